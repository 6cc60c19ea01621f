"""Routers as their authors published them, on the vectors of the run's encoder."""
