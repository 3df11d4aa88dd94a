"""Events and scene graphs over time: what they are made of, how one becomes the other, how they are written and edited."""
