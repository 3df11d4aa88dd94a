"""The image corpus: ingest, boxes, latents."""
