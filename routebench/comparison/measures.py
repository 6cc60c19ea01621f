"""The gated metrics of one router in two runs, with the test of each difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.comparison.paired import RouterPair
from routebench.comparison.schema import Flip, Flips
from routebench.metrics import definitions
from routebench.metrics.bootstrap import Column, Groups
from routebench.metrics.effects import Differences, Effect, flips, same, typical_size
from routebench.metrics.estimates import is_binary
from routebench.metrics.per_query import collapsed
from routebench.metrics.statistics import difference, tied
from routebench.records import Floats

LARGEST = 10


@dataclass(frozen=True)
class MetricPair:
    """One metric of one router in both runs; either its effect, or differences to resample."""

    old: float
    new: float
    exact: Effect | None = None
    """Known without resampling: decided alike, or 0/1 scores."""
    differences: Differences | None = None


def decided_alike(pair: RouterPair) -> bool:
    """Return whether all decisions are the same."""
    return np.array_equal(collapsed(pair.first.choice), collapsed(pair.second.choice))


def quality(pair: RouterPair, unit: bool) -> MetricPair:
    """Return the metric pair of accuracy, in [0, 1] (`unit`), or of a reward, of any range."""
    old, new = (_by_seed(side.columns["score"]) for side in pair.columns)
    means = float(old.mean()), float(new.mean())
    if decided_alike(pair):
        return MetricPair(*means, exact=same())
    change = _difference(new, old)
    independent = Groups.of(clusters := pair.queries.setting.clusters, len(clusters)).size is None
    plain = unit and len(old) == len(new) == 1 and independent
    if plain and is_binary(old) and is_binary(new):
        losses, gains = int((change < 0).sum()), int((change > 0).sum())
        return MetricPair(*means, exact=flips(losses, gains, change.shape[1]))
    ends = (-1.0, 1.0) if unit else _range(pair, pair.queries.outcomes.score, old)
    return MetricPair(*means, differences=_on_all_queries(pair, change, ends))


def spending(pair: RouterPair) -> MetricPair | None:
    """Return the metric pair of total costs, relative to the old; None if one is not known."""
    cells = pair.queries.outcomes.cost
    if cells is None:
        return None
    old, new = (
        _by_seed(definitions.total_cost(side.columns["cost"], side.columns["router_cost"]))
        for side in pair.columns
    )
    if np.isnan(old).any() or np.isnan(new).any():
        return None
    means = 1000 * float(old.mean()), 1000 * float(new.mean())
    free = not old.any() and not new.any()
    if free or (decided_alike(pair) and np.array_equal(old, new)):
        return MetricPair(*means, exact=same())
    cheapest, dearest = _range(pair, cells, old)
    saved, ends = _difference(old, new), (-dearest, -cheapest)
    return MetricPair(*means, differences=_on_all_queries(pair, saved, ends, old.mean(axis=0)))


def saving(pair: RouterPair) -> MetricPair | None:
    """Return the metric pair of savings against the best single model; None if not known.

    Both sides are measured by what that model's answers cost, so that their difference is one of
    costs, relative to those.
    """
    cells = pair.queries.outcomes.cost
    if cells is None:
        return None
    old, new = (
        _by_seed(definitions.total_cost(side.columns["cost"], side.columns["router_cost"]))
        for side in pair.columns
    )
    best = pair.queries.best_single[pair.scored]
    base = cells[pair.scored][np.arange(len(best)), best]
    if not np.isfinite(base).all() or not base.any() or np.isnan(old).any() or np.isnan(new).any():
        return None
    means = 1 - float(old.mean() / base.mean()), 1 - float(new.mean() / base.mean())
    if decided_alike(pair) and np.array_equal(old, new):
        return MetricPair(*means, exact=same())
    cheapest, dearest = _range(pair, cells, old)
    saved, ends = _difference(old, new), (-dearest, -cheapest)
    return MetricPair(*means, differences=_on_all_queries(pair, saved, ends, base))


def _by_seed(column: Column) -> Floats:
    """Return [S, k] values of a column; one row where all seeds have the same."""
    return np.atleast_2d(np.asarray(collapsed(np.atleast_2d(column)), np.float64))


def _difference(first: Floats, second: Floats) -> Floats:
    """Return [S, k] by seed, or [1, k] of means over seeds where the two have different ones."""
    if len(first) != len(second):
        first, second = (side.mean(axis=0, keepdims=True) for side in (first, second))
    return difference(first, second)


def _on_all_queries(
    pair: RouterPair, change: Floats, ends: tuple[float, float], base: Floats | None = None
) -> Differences:
    """Fill in zeros for unscored queries, so that all routers are resampled together."""
    n = len(pair.scored)
    padded, weight = np.zeros((len(change), n)), np.zeros(n)
    padded[:, pair.scored] = change
    weight[pair.scored] = 1 if base is None else base
    return Differences(padded, *ends, weight)


def _range(pair: RouterPair, cells: Floats, old: Floats) -> tuple[float, float]:
    """Return the largest change, down and up, that one other decision could make."""
    ok, cells, base = pair.queries.outcomes.ok[pair.scored], cells[pair.scored], old.mean(axis=0)
    low = np.where(ok, cells, np.inf).min(axis=1) - base
    high = np.where(ok, cells, -np.inf).max(axis=1) - base
    return -typical_size(np.minimum(low, 0)), typical_size(np.maximum(high, 0))


def changed_decisions(pair: RouterPair) -> Flips:
    """List the changed decisions, those that matter most first."""
    seed, at = np.nonzero(pair.moved & pair.scored)

    def of_both(old: Floats, new: Floats) -> Floats:
        return np.stack([old[seed, at], new[seed, at]])

    old, new = pair.first, pair.second
    score, cost, spent = of_both(old.score, new.score), None, np.zeros(len(at))
    if old.answer_cost is not None and new.answer_cost is not None:
        cost = of_both(old.answer_cost, new.answer_cost)
        spent = tied(cost[1] - cost[0])
    gained = tied(score[1] - score[0])
    order = np.lexsort((at, -np.abs(spent), gained, -np.abs(gained)))
    _, foremost = np.unique(at[order], return_index=True)
    largest = []
    for k in order[np.sort(foremost)][:LARGEST]:
        paid = None if cost is None else cost[:, k]
        one = pair.changed(int(at[k]), int(seed[k]), score[:, k], paid)
        before, after = (None, None) if one.cost is None else one.cost
        largest.append(
            Flip(
                query=one.query,
                user=one.user,
                old_model=one.models[0],
                new_model=one.models[1],
                old_score=one.score[0],
                new_score=one.score[1],
                old_cost=before,
                new_cost=after,
            )
        )
    return Flips(
        router=pair.second.router,
        changed=float(pair.moved.mean()),
        worse=int((pair.gain < 0).sum()),
        better=int((pair.gain > 0).sum()),
        largest=largest,
    )
