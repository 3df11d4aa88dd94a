"""Graph sequences as pictures."""
