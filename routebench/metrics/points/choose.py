"""Choose one of a router's trade-offs by its outcomes on validation queries."""

from __future__ import annotations

import numpy as np

from routebench.metrics import curves
from routebench.metrics.points.point import Point
from routebench.records import Floats, Ints


def choose_point(
    score: Floats,
    cost: Floats,
    reference_score: Floats,
    reference_cost: Floats,
    point: Point,
    clusters: Ints | None = None,
) -> int | None:
    """Return the trade-off that a point asks for, or None where the reference stands in.

    `score` and `cost` are [L, n]: what each of L trade-offs, from the most accurate to the
    cheapest, comes to on n validation queries. The reference's are [n]. Rows of `clusters` [n]
    with one number hold the same text.
    """
    accuracy, spent = score.mean(axis=1), cost.mean(axis=1)
    if point.kind in ("savings", "cost"):
        budget = (
            (1 - point.value) * reference_cost.mean()
            if point.kind == "savings"
            else point.value / 1000
        )
        return _best_within(accuracy, spent, budget)
    floor = float(reference_score.mean()) - point.value
    index = curves.iso_point(accuracy, spent, floor)
    # The reference qualifies too: take it if it is cheaper by more than rounding.
    if index is not None and spent[index] > reference_cost.mean() * (1 + curves.NEAR):
        return None
    return index


def _best_within(accuracy: Floats, cost: Floats, budget: float) -> int:
    """Return the most accurate of [L] trade-offs within a budget, or the cheapest of all."""
    affordable = np.flatnonzero(cost <= budget * (1 + curves.NEAR))
    if not len(affordable):
        return int(np.flatnonzero(cost == cost.min())[-1])
    best = accuracy[affordable].max()
    # The last of equal points, which costs least.
    return int(affordable[np.flatnonzero(accuracy[affordable] == best)[-1]])
