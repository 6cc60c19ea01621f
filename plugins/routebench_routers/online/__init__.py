"""Routers that learn online, from the outcomes of what they chose."""
