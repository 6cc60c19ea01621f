"""Calls to models on behalf of a request: passed through, paid for, asked again elsewhere."""
