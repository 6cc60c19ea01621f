"""Operating points: trade-offs of quality and cost chosen on validation, frozen, used on test.

A router that says what it expects of every model can be run at any trade-off λ, in score per
USD: argmax over models of expected quality − λ · mean train cost. A router of two models is run
at every threshold between them. Test outcomes choose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.metrics import curves
from routebench.records import Floats, Ints, Mask, Outcomes

GRID = 33
"""Values of λ on the way from quality alone to the cheapest model."""

POINTS = {
    "iso_accuracy": "as accurate as the best single model on validation, as cheap as can be",
    "iso_accuracy_1pp": "at most 1 pp less accurate than the best single model on validation",
    "drop_1pct": "at most 1% less accurate than the strongest model on validation",
    "calls_50": "at most half of validation sent to the strongest model, as accurate as can be",
}


@dataclass(frozen=True)
class ValidationFold:
    """The data of one fold on which its operating points are chosen."""

    validation: Outcomes
    cost: Floats
    """[m] mean cost of the models on the training queries."""
    best_single: int
    strongest: int


@dataclass(frozen=True)
class Swept:
    """One job's trade-offs."""

    lambdas: Floats
    """[L] in score per USD."""
    choice: Ints
    """[L, n] on its test queries."""
    points: dict[str, tuple[Ints, float | None]]
    """By name: choices [n] on its test queries, and the λ; None where one fixed model it is."""


def sweep(fold: ValidationFold, validation: Floats, test: Floats) -> Swept:
    """Choose on the expected quality of the validation queries, apply to that of the test's.

    Both are [queries, models], with NaN columns for models that are not considered.
    """
    considered = ~np.isnan(validation).all(axis=0) & np.isfinite(fold.cost)
    pair = considered.sum() == 2
    grid = curves.threshold_grid if pair else curves.lambda_grid
    lambdas = grid(validation, fold.cost, GRID)
    choice = curves.sweep(test, fold.cost, lambdas)
    points: dict[str, tuple[Ints, float | None]] = {}
    for name, (index, model) in _chosen(fold, validation, lambdas).items():
        if index is None:
            points[name] = np.full(choice.shape[1], model), None
        else:
            points[name] = choice[index], float(lambdas[index])
    return Swept(lambdas, choice, points)


def _chosen(
    fold: ValidationFold, quality: Floats, lambdas: Floats
) -> dict[str, tuple[int | None, int]]:
    """Return the position of each point on the grid, or the model that stands in for it."""
    single, strongest = fold.best_single, fold.strongest
    usable = _usable(fold, quality)
    if not usable.any():
        return {name: (None, strongest if name == "drop_1pct" else single) for name in POINTS}
    outcomes = fold.validation.take(usable)
    choice = curves.sweep(quality[usable], fold.cost, lambdas)
    assert outcomes.cost is not None
    rows = np.arange(choice.shape[1])
    accuracy = outcomes.score[rows, choice].mean(axis=1)
    cost = outcomes.cost[rows, choice].mean(axis=1)
    singles = outcomes.cost.mean(axis=0)
    share = (choice == strongest).mean(axis=1)

    def cheapest(model: int, keep: float, less: float) -> tuple[int | None, int]:
        floor = keep * outcomes.score[:, model].mean() - less
        index = curves.iso_point(accuracy, cost, floor)
        # The single model qualifies too: take it if it is cheaper by more than rounding.
        if index is not None and cost[index] > singles[model] * (1 + curves.NEAR):
            index = None
        return index, model

    within = np.where(share <= 0.5, accuracy, -np.inf)
    return {
        "iso_accuracy": cheapest(single, 1.0, 0.0),
        "iso_accuracy_1pp": cheapest(single, 1.0, 0.01),
        "drop_1pct": cheapest(strongest, 0.99, 0.0),
        "calls_50": (
            # The last of equal points, which costs least.
            int(np.flatnonzero(within == within.max())[-1]) if (share <= 0.5).any() else None,
            single,
        ),
    }


def _usable(fold: ValidationFold, quality: Floats) -> Mask:
    """Return [n] validation queries on which every model that may be chosen has an answer."""
    considered = ~np.isnan(quality).all(axis=0) & np.isfinite(fold.cost)
    considered[[fold.best_single, fold.strongest]] = True
    usable: Mask = np.logical_and.reduce(fold.validation.ok[:, considered], axis=1)
    return usable
