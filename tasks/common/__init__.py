"""Parts that every stage needs, written once."""
