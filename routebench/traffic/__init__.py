"""One's own traffic: logs of requests as one table, and what they say of another policy."""
