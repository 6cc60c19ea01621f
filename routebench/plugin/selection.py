"""Choosing a model from predicted quality, with one rule for ties everywhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from routebench.records import Floats, Ints, Mask, Objective, Outcomes, Table

COVERED = 0.5


def best(quality: Floats, cost: Floats | None) -> Ints:
    """Return the index of the best model per row: higher quality, then cheaper, then by name.

    `quality` is [n, m], with NaN for a model that cannot be chosen; `cost` [m] is the models'
    mean cost, None where unpriced. Returns [n].
    """
    order = np.arange(quality.shape[1])
    if cost is not None:
        order = np.lexsort((order, np.nan_to_num(cost, nan=np.inf)))
    ranked = np.where(np.isnan(quality), -np.inf, quality)[:, order]
    chosen: Ints = order[ranked.argmax(axis=1)]
    return chosen


def covered(ok: Mask) -> Mask:
    """Return [m] the models OK on at least half of the queries [n, m]; all where none is.

    A mean over fewer is no ground to send every query to one model: one lucky cell is perfect.
    """
    enough: Mask = ok.mean(axis=0) >= COVERED
    return enough if enough.any() else np.ones_like(enough)


def best_single(outcomes: Outcomes, cost: Floats | None) -> int:
    """Return the covered model with the best mean score; ties to the cheaper, then the name."""
    means = np.where(covered(outcomes.ok), outcomes.mean_score(), np.nan)
    return int(best(means[None, :], cost)[0])


def by_cost(outcomes: Outcomes, cost: Floats, dearest: bool = False) -> int:
    """Return the covered model with the lowest (or highest) mean cost [m]; ties to the name."""
    signed = np.where(covered(outcomes.ok), cost if dearest else -cost, np.nan)
    return int(best(signed[None, :], None)[0])


def utility(quality: Floats, cost: Floats | None, objective: Objective) -> Floats:
    """Return [n, m] the objective's value of quality: w_p · quality − w_c · cost.

    `cost` [m] is min–max normalised over the pool; without prices only quality counts.
    """
    weighted = objective.performance * quality
    if cost is None or objective.cost == 0:
        return weighted
    spread = np.nanmax(cost) - np.nanmin(cost)
    normalised = (cost - np.nanmin(cost)) / spread if spread > 0 else np.zeros_like(cost)
    return weighted - objective.cost * normalised


@dataclass(frozen=True)
class Chooser:
    """Turns predicted quality into choices under a run's objective; goes into a checkpoint."""

    objective: Objective
    cost: Floats | None
    """[m] mean cost of the models on the training queries."""

    @classmethod
    def learn(cls, train: Table, objective: Objective) -> Chooser:
        return cls(objective, train.outcomes.mean_cost())

    def choose(self, quality: Floats) -> Ints:
        """Return [n] the model with the highest utility; ties to the cheaper, then the name."""
        return best(utility(quality, self.cost, self.objective), self.cost)

    def value(self, quality: Floats, table: Table) -> float:
        """Return the mean utility of choosing by `quality` on a table; −inf without a cell."""
        actual = utility(table.outcomes.score, self.cost, self.objective)
        reached = actual[np.arange(len(table)), self.choose(quality)]
        return float(np.nanmean(reached)) if np.isfinite(reached).any() else -np.inf

    def to_json(self) -> dict[str, Any]:
        cost = None if self.cost is None else [None if np.isnan(c) else c for c in self.cost]
        return {"objective": asdict(self.objective), "cost": cost}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Chooser:
        cost = values["cost"]
        known = None if cost is None else np.array(cost, dtype=np.float64)
        return cls(Objective(**values["objective"]), known)
