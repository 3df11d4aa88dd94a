"""What several systems share about videos: files that hold them."""
