"""Language models: any OpenAI-compatible endpoint or a small local one, structured replies, and a reply cache."""
