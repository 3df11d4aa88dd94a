"""Checks of a dynamic scene graph, all in code."""
