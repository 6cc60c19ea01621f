"""Operating points: trade-offs of quality and cost chosen on validation, frozen, used on test.

A router that says what it expects of every model can be run at any trade-off λ, in score per
USD: argmax over models of expected quality − λ · mean train cost. A router of two models is run
at every threshold between them. Test outcomes choose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from routebench.metrics import curves
from routebench.metrics.points.choose import choose_point
from routebench.metrics.points.point import DEFAULT, Point
from routebench.records import Floats, Ints, Mask, Outcomes

GRID = 33
"""Values of λ on the way from quality alone to the cheapest model."""


@dataclass(frozen=True)
class ValidationFold:
    """The data of one fold on which its operating points are chosen."""

    validation: Outcomes
    cost: Floats
    """[m] mean cost of the models on the training queries."""
    best_single: int
    most_expensive: int
    clusters: Ints | None = None
    """[n] validation queries with the same number have the same text."""
    test_queries: int | None = None
    """Those of all folds, which verdicts are based on."""


@dataclass(frozen=True)
class Swept:
    """One job's trade-offs."""

    lambdas: Floats
    """[L] in score per USD."""
    choice: Ints
    """[L, n] on its test queries."""
    points: dict[str, tuple[Ints, float | None]]
    """By name: choices [n] on its test queries, and the λ; None where one fixed model it is."""
    fixed: dict[str, int] = field(default_factory=dict)
    """By name: the model that stands in, of points without a λ."""


def decide(quality: Floats, cost: Floats, lam: float) -> Ints:
    """Return [n] the model with the highest quality − λ · cost, as on the test queries.

    `quality` [n, m] is what a router expects, `cost` [m] the mean training cost in USD; NaN in
    either: not considered. Ties go to the cheaper model, then to the first by name.
    """
    chosen: Ints = curves.sweep(quality, cost, np.array([lam]))[0]
    return chosen


def grid(validation: Floats, cost: Floats) -> Floats:
    """Return [L] the λ that a router is run at, by what it expects of validation queries [n, m].

    `cost` [m] is the mean training cost in USD. The first λ is the most accurate.
    """
    considered = ~np.isnan(validation).all(axis=0) & np.isfinite(cost)
    of_kind = curves.threshold_grid if considered.sum() == 2 else curves.lambda_grid
    return of_kind(validation, cost, GRID)


def sweep(
    fold: ValidationFold, validation: Floats, test: Floats, points: Sequence[Point] = DEFAULT
) -> Swept:
    """Choose on the expected quality of the validation queries, apply to that of the test's.

    Both are [queries, models], with NaN columns for models that are not considered.
    `most-accurate` is no trade-off of these: it is the router's own choice.
    """
    lambdas = grid(validation, fold.cost)
    choice = curves.sweep(test, fold.cost, lambdas)
    made: dict[str, tuple[Ints, float | None]] = {}
    fixed: dict[str, int] = {}
    for name, index in _chosen(fold, validation, lambdas, points).items():
        if index is None:
            fixed[name] = fold.best_single
            made[name] = np.full(choice.shape[1], fold.best_single), None
        else:
            made[name] = choice[index], float(lambdas[index])
    return Swept(lambdas, choice, made, fixed)


def _chosen(
    fold: ValidationFold, quality: Floats, lambdas: Floats, points: Sequence[Point]
) -> dict[str, int | None]:
    """Return the position of each point on the grid; None where the best single model stands in."""
    asked = [point for point in points if point.kind != "most-accurate"]
    usable = _usable(fold, quality)
    if not usable.any():
        return {point.name: None for point in asked}
    outcomes = fold.validation.take(usable)
    choice = curves.sweep(quality[usable], fold.cost, lambdas)
    assert outcomes.cost is not None
    rows = np.arange(choice.shape[1])
    return {
        point.name: choose_point(
            outcomes.score[rows, choice],
            outcomes.cost[rows, choice],
            outcomes.score[:, fold.best_single],
            outcomes.cost[:, fold.best_single],
            point,
            None if fold.clusters is None else fold.clusters[usable],
            fold.test_queries,
        )
        for point in asked
    }


def _usable(fold: ValidationFold, quality: Floats) -> Mask:
    """Return [n] validation queries on which every model that may be chosen has an answer."""
    considered = ~np.isnan(quality).all(axis=0) & np.isfinite(fold.cost)
    considered[[fold.best_single, fold.most_expensive]] = True
    usable: Mask = np.logical_and.reduce(fold.validation.ok[:, considered], axis=1)
    return usable
