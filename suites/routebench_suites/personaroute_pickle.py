"""Embeddings out of a pickle, which is not run: see `routebench.outcomes.unpickle`."""

from __future__ import annotations

from routebench.outcomes.unpickle import read_arrays as read_pickle

__all__ = ["read_pickle"]
