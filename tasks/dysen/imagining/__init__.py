"""Enrichment: imagined details, edits of the whole, and what is mended."""
