"""Try a trained router: ask it, see whom it chooses and why, and what that cost."""
