"""Scores of events and graphs against gold: what matches, which ticks belong together, and tables of planners."""
