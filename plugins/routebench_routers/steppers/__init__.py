"""Routers that see answers before they pay for the next: cascades, and their reference lines."""
