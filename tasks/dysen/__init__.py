"""Dynamic scene graphs: from events in a caption to graphs of each moment, their enrichment, checks and scores."""
