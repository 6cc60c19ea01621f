"""Sums of values by group."""

from __future__ import annotations

import numpy as np

from routebench.records import Floats, Ints


def sums(group: Ints, values: Floats, size: int) -> Floats:
    """Return [size] the sum of the values [n] of each group [n].

    >>> sums(np.array([0, 2, 2]), np.array([1.0, 2.0, 0.5]), 3).tolist()
    [1.0, 0.0, 2.5]
    """
    return np.bincount(group, values, size).astype(np.float64)
