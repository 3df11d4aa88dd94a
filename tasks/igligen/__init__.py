"""IGLIGEN: adapters that place phrases in boxes, trained on images and used in text-to-video models too."""
