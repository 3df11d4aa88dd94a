"""LLM-grounded video diffusion: benchmark prompts, layouts and their planning, and the rules that score them."""
