"""The SQLite store of paid answers."""
