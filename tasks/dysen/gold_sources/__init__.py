"""Gold graphs: from sprites, captions, frames and annotation files, and merged."""
