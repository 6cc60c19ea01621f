"""The Python interface: run a benchmark, read its board, and compare boards."""
