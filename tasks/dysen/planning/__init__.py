"""Events from a language model: what it is asked, and which examples it is shown."""
