"""`exact`: short factual answers against references, by fixed rules."""
