"""Routers that see answers: what they are shown, how they are stepped, and who serves them."""
