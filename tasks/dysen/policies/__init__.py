"""Choosing examples: the policy, its training, its rewards."""
