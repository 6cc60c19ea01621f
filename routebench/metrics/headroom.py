"""What there is to gain by routing, and the references that rows are read against.

Only OK cells count. Ties go to the cheaper model where costs are known, then to the first name
(columns are in name order).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.metrics.statistics import ratio
from routebench.plugin.selection import covered
from routebench.records import Codes, Floats, Grade, Ints, Mask, Outcomes


def oracle_choice(outcomes: Outcomes) -> Ints:
    """[n] best model of every query; among equals the one cheapest on that very query.

    Every query must have an OK cell.
    """
    score = np.where(outcomes.ok, outcomes.score, -np.inf)
    best = score == score.max(axis=1, keepdims=True)
    cost = np.zeros_like(score) if outcomes.cost is None else outcomes.cost
    choice: Ints = np.where(best, cost, np.inf).argmin(axis=1)
    return choice


def random_mean(values: Floats | Mask, ok: Mask) -> Floats:
    """[n] mean over the OK models of each query: a uniform router's expectation, no draws."""
    return ratio(np.where(ok, values, 0.0).sum(axis=1), ok.sum(axis=1))


def single_accuracy(outcomes: Outcomes) -> Floats:
    """[m] accuracy of always asking one model, over its OK cells; NaN without any."""
    return outcomes.mean_score()


def hindsight_choice(outcomes: Outcomes, mean_cost: Floats | None) -> int:
    """The model best on these very queries; ties by [m] train mean cost, then name.

    Models answered on fewer than half of the queries are passed over: one lucky cell is no
    upper line. Where that leaves none, all count.
    """
    accuracy = single_accuracy(outcomes)
    return best_model(np.where(covered(outcomes.ok), accuracy, np.nan), mean_cost)


def best_model(score: Floats, mean_cost: Floats | None) -> int:
    """Index of the highest of [m] scores (NaN never wins); ties by mean cost, then name."""
    best = score == np.nanmax(score)
    cost = np.zeros_like(score) if mean_cost is None else np.nan_to_num(mean_cost, nan=np.inf)
    # A tied model of unknown cost must still beat one that is not tied at all.
    return int(np.lexsort((np.arange(len(score)), cost, ~best))[0])


def disagreement(outcomes: Outcomes) -> float:
    """Share of queries on which the models' scores differ."""
    top, bottom = _extremes(outcomes)
    return float((top > bottom).mean())


def routable(outcomes: Outcomes, best_single: Ints) -> float:
    """Share of queries that some model answers better than the best single one [n]."""
    reached = np.take_along_axis(outcomes.score, best_single[:, None], axis=1)[:, 0]
    return float((_extremes(outcomes)[0] > reached).mean())


def _extremes(outcomes: Outcomes) -> tuple[Floats, Floats]:
    top = np.where(outcomes.ok, outcomes.score, -np.inf).max(axis=1)
    bottom = np.where(outcomes.ok, outcomes.score, np.inf).min(axis=1)
    return top, bottom


@dataclass(frozen=True)
class Cells:
    """The outcomes that a choice leads to: [n], or [S, n] for one choice per seed."""

    score: Floats
    cost: Floats | None
    grade: Codes | None

    @classmethod
    def chosen(cls, outcomes: Outcomes, choice: Ints) -> Cells:
        """The cells of models [n] or [S, n]."""
        at = (np.arange(choice.shape[-1]), choice)
        return cls(
            outcomes.score[at],
            None if outcomes.cost is None else outcomes.cost[at],
            None if outcomes.grade is None else outcomes.grade[at],
        )

    @property
    def correct(self) -> Mask:
        """Cells graded CORRECT, in the shape of `score`."""
        return np.equal(self._grade, Grade.CORRECT)

    @property
    def incorrect(self) -> Mask:
        """Cells graded INCORRECT."""
        return np.equal(self._grade, Grade.INCORRECT)

    @property
    def _grade(self) -> Codes:
        if self.grade is None:
            raise ValueError("these outcomes have no three-state grades")
        return self.grade
