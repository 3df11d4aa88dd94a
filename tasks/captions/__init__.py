"""From captions to typed scene descriptions: by a parser of English clauses, or slot by slot with a language model."""
