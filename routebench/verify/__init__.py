"""Recompute a board from its run folder, regrade it, reprice it."""
