"""Choose one of a router's trade-offs by its outcomes on validation queries.

The cheapest of many trade-offs that reach an accuracy on validation has mostly been lucky there.
So a trade-off must pass the accuracy by so much that the expected shortfall on other queries is at
most `SHORTFALL`, however good the router truly is (docs/operating-points.md).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from routebench.metrics import curves
from routebench.metrics.bootstrap import Groups
from routebench.metrics.points.point import Point
from routebench.metrics.statistics import ALPHA, TINY, difference
from routebench.records import Floats, Ints

SHORTFALL = 0.001
"""By how much a chosen trade-off may fall short of what its point asks, in expectation."""


def choose_point(
    score: Floats,
    cost: Floats,
    reference_score: Floats,
    reference_cost: Floats,
    point: Point,
    clusters: Ints | None = None,
    test_queries: int | None = None,
) -> int | None:
    """Return the trade-off that a point asks for, or None where the reference stands in.

    `score` and `cost` are [L, n]: what each of L trade-offs, from the most accurate to the
    cheapest, comes to on n validation queries. The reference's are [n]. Rows of `clusters` [n]
    with one number hold the same text. `test_queries` is the number of those that a verdict will
    be based on, as many as validation has if it is not given.
    """
    spent, reference = cost.mean(axis=1), float(reference_cost.mean())
    if point.kind == "savings":
        return _best_within(score.mean(axis=1), spent, (1 - point.value) * reference)
    if point.kind == "cost":
        return _best_within(score.mean(axis=1), spent, point.value / 1000)
    gained = difference(score, reference_score)
    error = standard_error(gained, clusters)
    loss: Floats = np.full(len(spent), point.value)
    if point.kind == "within":
        tested = error * np.sqrt(len(reference_score) / (test_queries or len(reference_score)))
        loss = np.maximum(0, point.value - _one_sided() * tested)
    reached = gained.mean(axis=1) >= required_gain(error) - loss - TINY
    # The reference qualifies too: a trade-off must not be dearer, but for rounding.
    usable = np.flatnonzero(reached & (spent <= reference * (1 + curves.NEAR)))
    order = np.lexsort((usable, -gained.mean(axis=1)[usable], spent[usable]))
    return int(usable[order[0]]) if len(order) else None


def standard_error(gained: Floats, clusters: Ints | None = None) -> Floats:
    """Return [L] standard errors of the mean of [L, n] differences in score.

    One query more than was seen differs, so that a trade-off that never differed on validation is
    not taken for one that never will.
    """
    n = gained.shape[1]
    centred = gained - gained.mean(axis=1, keepdims=True)
    groups = Groups.of(clusters, n)
    sums = np.stack([groups.sum(row) for row in centred])
    error: Floats = np.sqrt((sums**2).sum(axis=1) + 1) / n
    return error


def required_gain(error: Floats) -> Floats:
    """Return what a difference with these standard errors must be on validation, at least 0.

    Of a path of trade-offs whose true differences go down to all losses, the last is taken whose
    difference δ plus error ε reaches this f: there δ = f − ε, short by ε − f. The expectation of
    that is largest where no trade-off is truly better than the reference: then it is E[(ε − f)⁺] =
    σ(φ(z) − z·Φ(−z)) with z = f/σ, which is set to `SHORTFALL`.
    """
    return np.array([value * _deviations(SHORTFALL / value) for value in error.tolist()])


@lru_cache(maxsize=1 << 14)
def _deviations(loss: float) -> float:
    """Return the z ≥ 0 at which the unit normal loss φ(z) − z·Φ(−z) is as given, by bisection."""
    from scipy import special

    ndtr, low, high = special.ndtr, 0.0, 8.0
    for _ in range(50):
        middle = (low + high) / 2
        density = np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
        above = density - middle * ndtr(-middle) > loss
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2 if low else 0.0


def _one_sided() -> float:
    """Return how many standard errors a one-sided bound lies off."""
    from scipy import special

    return float(special.ndtri(1 - ALPHA))


def _best_within(accuracy: Floats, cost: Floats, budget: float) -> int:
    """Return the most accurate of [L] trade-offs within a budget, or the cheapest of all."""
    affordable = np.flatnonzero(cost <= budget * (1 + curves.NEAR))
    if not len(affordable):
        return int(np.flatnonzero(cost == cost.min())[-1])
    best = accuracy[affordable].max()
    # The last of equal points, which costs least.
    return int(affordable[np.flatnonzero(accuracy[affordable] == best)[-1]])
