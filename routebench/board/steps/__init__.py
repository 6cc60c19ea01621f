"""Routers that see answers on the board: who was asked, and at what trade-off."""
