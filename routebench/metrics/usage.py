"""How a router spreads the queries over the models."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from routebench.records import Floats, Ints

COLLAPSE = 0.95
"""A router that sends more than this share to one model is hardly a router."""


def usage(choice: Ints, models: int) -> Floats:
    """[m] share of decisions that went to each model, over all queries (and seeds)."""
    shares: Floats = np.bincount(choice.ravel(), minlength=models) / choice.size
    return shares


def usage_entropy(shares: ArrayLike) -> Floats:
    """Entropy in bits of shares [..., m]: 0 for one model, log2 m for all alike."""
    p = np.asarray(shares, np.float64)
    bits = np.log2(p, out=np.zeros_like(p), where=p > 0)
    entropy: Floats = np.abs((p * bits).sum(axis=-1))  # abs: a constant router's -0.0 is 0
    return entropy


def top_model_share(shares: ArrayLike) -> Floats:
    """The largest of the shares [..., m]."""
    top: Floats = np.asarray(shares, np.float64).max(axis=-1)
    return top
