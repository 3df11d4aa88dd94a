"""The clause parser: captions of everyday English to timed events."""
