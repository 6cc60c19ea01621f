"""`policy`: a language model names a policy per query, a mapper the model."""
