"""Pick queries one after the other, each by what it tells of the decisions that are in doubt.

A query's worth is how much its outcome narrows the predictions of all queries, each weighted by the
regret expected there, per dollar: weighted variance reduction (integrated variance, Cohn 1996), as
the ensemble's covariance gives it in closed form. What a pick tells is known to the next one, so
that no two picks say the same.
"""

from __future__ import annotations

import numpy as np

from routebench.active.ensemble import LinearEnsemble
from routebench.records import Floats, Ints

_AT_ONCE = 20
"""Picks between two looks at all queries."""
_CANDIDATES = 2_000
"""Queries that are looked at, drawn anew for each call."""


def pick(
    known: Floats,
    score: Floats,
    pool: Floats,
    usd: Floats,
    budget: float,
    rng: np.random.Generator,
) -> Ints:
    """Return rows of the pool, the first pick first, that together cost no more than the budget.

    `known` [n, d] are features with scores [n, m], `pool` [p, d] those of which nothing is known,
    and `usd` [p] what a query's outcomes would cost.
    """
    drawn = rng.permutation(len(pool))[:_CANDIDATES]
    at, price = pool[drawn], usd[drawn]
    ensemble = LinearEnsemble.learn(known, score)
    covariance = ensemble.covariance.copy()
    regret = ensemble.expected_regret(at, rng)
    doubt = (at * regret[:, None]).T @ at
    free = np.ones(len(at), dtype=np.bool_)
    made: list[int] = []
    while (open_ := np.flatnonzero(free & (price <= budget))).size:
        spread = at[open_] @ covariance
        told = ((spread @ doubt) * spread).sum(axis=1)
        worth = told / (1 + (spread * at[open_]).sum(axis=1)) / price[open_]
        for row in open_[np.argsort(-worth, kind="stable")[:_AT_ONCE]]:
            free[row] = False
            if price[row] > budget:
                continue
            budget -= price[row]
            made.append(int(row))
            told_by = covariance @ at[row]
            covariance -= np.outer(told_by, told_by) / (1 + at[row] @ told_by)
    picked: Ints = drawn[np.array(made, dtype=np.int64)]
    return picked


def expected_usd(length: Floats, cost: Floats, wanted: Floats) -> Floats:
    """Return [p] what queries of these lengths cost, by a line through the known ones [n].

    No query is taken to cost less than the cheapest tenth of what is known.
    """
    slope, start = np.polyfit(length, cost, 1) if np.ptp(length) > 0 else (0.0, cost.mean())
    least = float(np.quantile(cost, 0.1))
    made: Floats = np.maximum(start + slope * wanted, max(least, 1e-12))
    return made
