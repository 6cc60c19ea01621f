"""The fixed models that a fold's training data name."""

from __future__ import annotations

import numpy as np

from routebench.jobs.setup import Setup
from routebench.plugin.selection import best_single, by_cost
from routebench.records import Outcomes


def references(setup: Setup, fold: int) -> dict[str, int]:
    """Return the fixed models that a fold's training data name, as indices into the pool."""
    tables = setup.tables(fold)
    pool, (train, validation) = tables[0].pool, (table.outcomes for table in tables)
    cost = train.mean_cost()
    fixed = {"best_single": best_single(_both(train, validation), cost)}
    for name, declared in (("cheapest", pool.small), ("most_expensive", pool.large)):
        if declared is not None:
            fixed[name] = pool.index(declared)
        elif cost is not None:
            fixed[name] = by_cost(train, cost, dearest=name == "most_expensive")
    return fixed


def _both(one: Outcomes, other: Outcomes) -> Outcomes:
    """Concatenate scores and states of two parts."""
    return Outcomes(
        np.concatenate([one.score, other.score]), np.concatenate([one.state, other.state])
    )
