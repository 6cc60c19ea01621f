"""`simulated`: six invented models that answer the embedded questions."""
