"""The headroom of routing, and the references that rows are compared with.

Only OK cells count. Ties go to the cheaper model where costs are known, then to the first name
(columns are in name order).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.metrics.bootstrap import CROSSED_SEEDS, Groups
from routebench.metrics.statistics import TAIL, TINY, difference, ratio
from routebench.plugin.selection import COVERED, covered
from routebench.records import Codes, Floats, Ints, Mask, Outcomes
from routebench.schema import Estimate

ONE_MODEL = "every query goes to one model: there is nothing to match"
HOLES = "the models it chose have no answer on most test queries"


def oracle_choice(outcomes: Outcomes) -> Ints:
    """Return [n] best model of every query; among equals the one cheapest on that very query.

    Every query must have an OK cell.
    """
    score = np.where(outcomes.ok, outcomes.score, -np.inf)
    best = score == score.max(axis=1, keepdims=True)
    cost = np.zeros_like(score) if outcomes.cost is None else outcomes.cost
    choice: Ints = np.where(best, cost, np.inf).argmin(axis=1)
    return choice


def random_mean(values: Floats | Mask, ok: Mask) -> Floats:
    """Return the [n] mean over the OK models of each query: a uniform router's expectation."""
    return ratio(np.where(ok, values, 0.0).sum(axis=1), ok.sum(axis=1))


def hindsight_choice(outcomes: Outcomes, mean_cost: Floats | None) -> int:
    """Return the model best on these very queries; ties by [m] train mean cost, then name.

    Models answered on fewer than half of the queries are passed over: one lucky cell is no
    upper line. Where that leaves none, all count.
    """
    score = np.where(covered(outcomes.ok), outcomes.mean_score(), np.nan)
    return best_model(score, mean_cost)


def best_model(score: Floats, mean_cost: Floats | None) -> int:
    """Return the index of the highest of [m] scores, never NaN; ties by mean cost, then name."""
    best = score == np.nanmax(score)
    cost = np.zeros_like(score) if mean_cost is None else np.nan_to_num(mean_cost, nan=np.inf)
    # A tied model of unknown cost must still beat one that is not tied at all.
    return int(np.lexsort((np.arange(len(score)), cost, ~best))[0])


def disagreement(outcomes: Outcomes) -> float:
    """Return the share of queries on which the models' scores differ."""
    top, bottom = _extremes(outcomes)
    return float((difference(top, bottom) > 0).mean())


def routable(outcomes: Outcomes, best_single: Ints) -> float:
    """Return the share of queries that some model answers better than the best single one [n]."""
    reached = np.take_along_axis(outcomes.score, best_single[:, None], axis=1)[:, 0]
    return float((difference(_extremes(outcomes)[0], reached) > 0).mean())


def _extremes(outcomes: Outcomes) -> tuple[Floats, Floats]:
    top = np.where(outcomes.ok, outcomes.score, -np.inf).max(axis=1)
    bottom = np.where(outcomes.ok, outcomes.score, np.inf).min(axis=1)
    return top, bottom


@dataclass(frozen=True)
class ChosenCells:
    """The outcomes that a choice leads to: [n], or [S, n] for one choice per seed."""

    score: Floats
    cost: Floats | None
    grade: Codes | None

    @classmethod
    def of(cls, outcomes: Outcomes, choice: Ints) -> ChosenCells:
        """Return the cells of models [n] or [S, n]."""
        at = (np.arange(choice.shape[-1]), choice)
        return cls(
            outcomes.score[at],
            None if outcomes.cost is None else outcomes.cost[at],
            None if outcomes.grade is None else outcomes.grade[at],
        )


def over_mix(outcomes: Outcomes, choice: Ints, clusters: Ints) -> Estimate:
    """Return what matching queries to models is worth: accuracy minus Σ share_m · mean_m.

    The same shares of queries, dealt to the models at random, have that accuracy. `choice` [S, n]
    is by seed, whose mean is taken; queries on which a chosen model has no answer are left out.
    The interval is of the estimate's influence function, by cluster: two-sided 95%.
    """
    used = np.unique(choice)
    answered: Mask = np.logical_and.reduce(outcomes.ok[:, used], axis=1)
    if (choice == choice[:, :1]).all():
        return Estimate(value=0.0, reason=ONE_MODEL)
    if answered.mean() < COVERED:
        return Estimate(value=None, reason=HOLES)
    score, choice, n = outcomes.score[answered], choice[:, answered], int(answered.sum())
    values, influence = zip(*(_matching(score, one) for one in choice), strict=True)
    groups = Groups.of(clusters[answered], n)
    sums = groups.sum(np.mean(influence, axis=0))
    variance = float((sums**2).sum()) / n**2 * groups.count / max(groups.count - 1, 1)
    if len(choice) >= CROSSED_SEEDS:
        variance += float(np.var(values, ddof=1)) / len(choice)
    value, half = float(np.mean(values)), _deviations(groups.count) * variance**0.5
    return Estimate(value=value, low=value - half, high=value + half)


def _matching(score: Floats, choice: Ints) -> tuple[float, Floats]:
    """Return one seed's worth of matching, and the [n] influence of each query on it.

    It is Σ_m cov(1[choice = m], score_m) over the queries. A query adds to it what its own score
    is above the mean of its model, less what the mix scores on it above the mix's mean.
    """
    n, m = score.shape
    share = np.bincount(choice, minlength=m) / n
    used = share > 0
    mean = np.where(used, np.where(used, score, 0).mean(axis=0), 0)
    own = score[np.arange(n), choice] - mean[choice]
    mixed = np.where(used, score, 0) @ share
    value = float(own.mean())
    influence: Floats = own - (mixed - mixed.mean()) - value
    return (0.0 if abs(value) <= TINY else value), influence


def _deviations(count: int) -> float:
    """Return how many standard errors an interval reaches to either side."""
    from scipy import special

    return float(special.stdtrit(max(count - 1, 1), 1 - TAIL))
