"""Routers that learn from the tasks of training queries, and predict those of others."""
