"""What the answers and the routing cost. Arguments are mean USD per query, plain or [B]."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from routebench.metrics.statistics import ratio
from routebench.records import Floats


def cost_per_1k(mean_cost: ArrayLike) -> Floats:
    """USD per 1,000 queries."""
    return 1000 * np.asarray(mean_cost, np.float64)


def total_cost(mean_cost: ArrayLike, mean_router_cost: ArrayLike) -> Floats:
    """The answers' cost and the router's own, in the unit they come in."""
    return np.add(mean_cost, mean_router_cost, dtype=np.float64)


def savings(cost: ArrayLike, reference_cost: ArrayLike) -> Floats:
    """1 - cost / reference cost: .3 is 30% cheaper; NaN where the reference costs nothing."""
    return 1 - ratio(cost, reference_cost)
