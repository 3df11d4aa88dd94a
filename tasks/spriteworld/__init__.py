"""The embedded world: a renderer of sprites with exact labels, and the tiny checkpoints trained on it."""
