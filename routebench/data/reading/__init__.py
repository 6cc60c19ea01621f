"""Reading tables of answers as people write them: encodings, separators, JSON, wide tables."""
