"""DreamFrame: stories told in frames and dialogues, with questions about them."""
