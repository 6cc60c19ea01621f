"""Processes that may read and write only what they were given."""
