"""LLM-grounded video diffusion: benchmark prompts, layout planning, and the rules that score layouts."""
