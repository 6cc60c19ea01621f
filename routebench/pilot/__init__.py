"""What a few queries, answered by all models, say of a benchmark before it is paid for."""
