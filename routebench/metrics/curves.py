"""Operating points and the curves through them: one pair of models, or a λ sweep over a pool.

`counts` [B, n] says how often each query is drawn in each of B resamples; ones([1, n]) gives the
point value. A level that is never reached and a ratio over nothing are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from routebench.metrics.bootstrap import Column
from routebench.metrics.statistics import TINY, difference, ratio
from routebench.records import Floats, Ints, Mask

CELLS = 1 << 16  # counts handled at a time: their running sums stay in the cache
NEAR = 1e-9
"""Relative: costs, and slopes between points, closer than this are taken for equal."""
ARENA_COSTS = (0.0044, 200.0)
"""USD per 1,000 queries that get RouterArena's full and zero cost score."""


@dataclass(frozen=True)
class Ranked:
    """Queries from the highest score to the lowest; those of equal score move together."""

    order: Ints
    """[n] row numbers."""
    ends: Ints
    """[k] last place in `order` of each distinct score."""

    @classmethod
    def of(cls, score: Floats) -> Ranked:
        score = np.asarray(score, np.float64)
        if np.isnan(score).any():
            raise ValueError("a score that ranks queries is NaN")
        order: Ints = np.argsort(-score, kind="stable")
        ranked = score[order]
        last = np.append(ranked[1:] != ranked[:-1], True)[: len(score)]
        return cls(order, np.flatnonzero(last))

    def blocks(self, counts: Column) -> Iterator[tuple[slice, Column]]:
        """Yield counts in rank order, a few resamples at a time, and which resamples they are."""
        if counts.ndim != 2 or counts.shape[1] != len(self.order):
            raise ValueError(f"counts of shape {counts.shape} for {len(self.order)} queries")
        step = max(1, CELLS // max(1, len(self.order)))
        for start in range(0, len(counts), step):
            rows = slice(start, start + step)
            yield rows, counts[rows].take(self.order, axis=1)

    def running(self, values: Column) -> Floats:
        """Return [b, k + 1] sums of values [b, n] in rank order, from nothing to all of them."""
        sums = np.zeros((len(values), len(self.ends) + 1))
        # Whole numbers are added up several times faster than floats, small ones fastest.
        kind: type[np.generic] = np.float64
        if values.dtype.kind in "iu":
            most = np.iinfo(values.dtype).max * values.shape[1]
            kind = np.int32 if most <= np.iinfo(np.int32).max else np.int64
        running = np.cumsum(values, axis=1, dtype=kind)
        sums[:, 1:] = running if len(self.ends) == values.shape[1] else running[:, self.ends]
        return sums


def as_whole(values: Floats) -> Column:
    """Return values as small integers where all are, which are added up faster; else as given."""
    whole = bool(((values == np.rint(values)) & (np.abs(values) < 128)).all())
    return values.astype(np.int8) if whole else values


@dataclass(frozen=True)
class PairCurve:
    """Quality over the share of queries sent to the strong one of two models (RouteLLM 2024)."""

    ranked: Ranked
    gain: Column
    """[n] strong minus weak, in rank order."""

    @classmethod
    def of(cls, need: Floats, weak: Floats, strong: Floats) -> PairCurve:
        """Rank queries by [n] scores that the strong model is needed; take [n] scores of both."""
        if not need.shape == weak.shape == strong.shape:
            raise ValueError(
                f"{need.shape}, {weak.shape} and {strong.shape} for one set of queries"
            )
        ranked = Ranked.of(need)
        gain = np.subtract(strong, weak, dtype=np.float64)[ranked.order]
        return cls(ranked, as_whole(gain))

    def measures(self, levels: Sequence[float], counts: Column) -> Floats:
        """Return [B, 1 + levels] APGR, and CPT of every level, from the same running sums.

        APGR is (AUC − q_W) / (q_S − q_W), AUC by trapezoids; exactly .5 for a constant need, whose
        curve is one straight line. CPT of level p is the smallest share of strong calls with
        quality q_W + p(q_S − q_W): the first crossing, linear between points; NaN where that is
        never reached. Both are NaN where q_S ≤ q_W.
        """
        values = np.empty((len(counts), 1 + len(levels)))
        for rows, calls, gained in self._curves(counts):
            n, total = calls[:, -1], gained[:, -1]
            better = total > TINY * n
            area = np.einsum("bk,bk->b", gained[:, 1:] + gained[:, :-1], np.diff(calls)) / 2
            values[rows, 0] = ratio(area, np.where(better, n * total, 0))
            for column, p in enumerate(levels, 1):
                reached = gained >= (p * total - TINY * n)[:, None]
                crossing = _crossing(calls, gained, p * total, reached.argmax(axis=1))
                defined = better & reached.any(axis=1)
                values[rows, column] = ratio(crossing, np.where(defined, n, 0))
        return values

    def _curves(self, counts: Column) -> Iterator[tuple[slice, Floats, Floats]]:
        """Yield resamples, and [b, k + 1] sums of strong calls and of what they gained."""
        for rows, drawn in self.ranked.blocks(counts):
            yield rows, self.ranked.running(drawn), self.ranked.running(drawn * self.gain)


def _crossing(x: Floats, y: Floats, level: Floats, at: Ints) -> Floats:
    """Return [b] where the line from point at − 1 to `at` takes the level; 0 at the first point."""
    row, before = np.arange(len(at)), np.maximum(at - 1, 0)
    (x0, x1), (y0, y1) = ((v[row, before], v[row, at]) for v in (x, y))
    part = np.clip(np.nan_to_num(ratio(level - y0, y1 - y0)), 0, 1)
    return x0 + part * (x1 - x0)


def lambda_grid(quality: Floats, cost: Floats, points: int = 64) -> Floats:
    """Return [L] ascending λ from 0, in score per USD, for `sweep`; L ≤ points.

    From validation predictions [n, m] and mean costs [m] alone. A query's choice changes at the
    slopes of its own cost–quality hull; each λ lies between two such slopes, as a λ on one would
    leave the choice to rounding. With more slopes than points, theirs are quantiles. At the last
    λ every query goes to the cheapest model. NaN qualities and costs: not considered.
    """
    if points < 2:
        raise ValueError(f"a grid of {points} points")
    steps = _hull_steps(*np.broadcast_arrays(cost, quality))
    switches = np.concatenate([np.empty(0), *(step.slope for step in steps)])
    if not len(switches):
        return np.zeros(1)
    between, upto = _between(switches)
    grid = np.append(between, 2 * switches.max())
    if len(grid) >= points:
        ranks = np.linspace(0, 1, points)[1:] * len(switches)
        grid = grid[np.unique(np.searchsorted(upto, ranks))]
    return np.append(0.0, grid)


def _between(switches: Floats) -> tuple[Floats, Ints]:
    """Return [k − 1] places between the k distinct switches, and [k] how many lie up to each.

    Switches that differ by rounding are one.
    """
    ranked = np.sort(switches)
    apart = np.diff(ranked) > NEAR * np.maximum(np.abs(ranked[1:]), np.abs(ranked[:-1]))
    upto = np.append(1 + np.flatnonzero(apart), len(ranked))
    return (ranked[upto[:-1] - 1] + ranked[upto[:-1]]) / 2, upto


def threshold_grid(quality: Floats, cost: Floats, points: int = 64) -> Floats:
    """Return a grid of λ for two models, from all calls to the dearer to all to the cheaper.

    For two models the predicted quality need not be a score, as only thresholds on it matter: λ
    below 0 sends more queries to the dearer model than the router itself would choose.
    """
    one, other = np.flatnonzero(~np.isnan(quality).all(axis=0) & ~np.isnan(cost))
    spread = cost[one] - cost[other]
    if not spread or not len(quality):
        return np.zeros(1)
    switches = (quality[:, one] - quality[:, other]) / spread
    between, upto = _between(switches)
    beyond = max(float(np.ptp(switches)), 1 / abs(spread))
    grid = np.concatenate([[switches.min() - beyond], between, [switches.max() + beyond]])
    if len(grid) > points:
        ranks = np.linspace(0, 1, points) * len(switches)
        grid = grid[np.unique(np.searchsorted(np.append(0, upto), ranks))]
    return grid


def sweep(quality: Floats, cost: Floats, lambdas: Floats) -> Ints:
    """Return [L, n] choices argmax_m quality − λ·cost, with the ties of `selection.best`.

    `quality` [n, m] and mean `cost` [m] in USD; NaN in either: not considered.
    """
    # The cheapest first, so that a later model must be better to be chosen.
    order = np.lexsort((np.arange(len(cost)), cost))[: np.count_nonzero(~np.isnan(cost))]
    columns = np.ascontiguousarray(quality[:, order].T)
    columns[np.isnan(columns)] = -np.inf
    if np.isneginf(columns.max(axis=0, initial=-np.inf)).any():
        raise ValueError("a query for which no model of known cost is considered")
    chosen = np.empty((len(lambdas), len(quality)), dtype=np.int64)
    for row, slope in zip(chosen, lambdas, strict=True):
        row[:] = order[_first_highest(columns, slope * cost[order])]
    return chosen


def _first_highest(columns: Floats, price: Floats) -> Ints:
    """Return [n] argmax over m of columns [m, n] − price [m]: several times faster than by rows."""
    top, chosen = columns[0] - price[0], np.zeros(columns.shape[1], dtype=np.int64)
    for j in range(1, len(columns)):
        value = columns[j] - price[j]
        chosen[value > top] = j
        np.maximum(top, value, out=top)
    return chosen


def iso_point(accuracy: Floats, cost: Floats, floor: float) -> int | None:
    """Return the cheapest of [L] points in λ order whose validation accuracy is at least `floor`.

    Ties to the more accurate, then the smaller λ; None where no point qualifies.
    """
    usable = np.flatnonzero((accuracy >= floor - TINY) & ~np.isnan(cost))
    order = np.lexsort((usable, -accuracy[usable], cost[usable]))
    return int(usable[order[0]]) if len(order) else None


def aiq(cost: Floats, quality: Floats, c_min: ArrayLike, c_max: ArrayLike) -> Floats:
    """Return [...] mean height of the non-decreasing upper hull of [..., L] over [c_min, c_max].

    The hull at x is the best quality that mixing points reaches at a mean cost of x or less
    (RouterBench 2024). The cheapest model must be one of the points. A point cheaper than c_min
    or dearer than c_max takes part, and the hull is cut at the bounds; right of its last point it
    is flat. NaN points do not exist. NaN where c_max ≤ c_min or no point reaches down to c_min.
    """
    x, y = np.broadcast_arrays(np.asarray(cost, np.float64), np.asarray(quality, np.float64))
    shape = np.broadcast_shapes(x.shape[:-1], np.shape(c_min), np.shape(c_max))
    x, y = (np.broadcast_to(v, (*shape, x.shape[-1])).reshape(-1, x.shape[-1]) for v in (x, y))
    low, high = (np.broadcast_to(c, shape).astype(np.float64).ravel() for c in (c_min, c_max))
    at, height = _leftmost(x, y)
    defined = (high > low) & (at - low <= NEAR * (high - low))
    low = np.where(defined, np.maximum(low, at), low)
    area = np.zeros(len(x))
    for step in _hull_steps(x, y):
        rows = step.rows
        left, right = (np.clip(v, low[rows], high[rows]) for v in (step.x0, step.x1))
        area[rows] += (right - left) * step.height((left + right) / 2)
        at[rows], height[rows] = step.x1, step.y1
    flat = high - np.clip(np.where(defined, at, low), low, high)
    area += np.where(defined, height, 0) * flat
    return ratio(area, np.where(defined, high - low, 0)).reshape(shape)


@dataclass(frozen=True)
class Step:
    """One segment, from (x0, y0) to (x1, y1), of the hulls of some rows."""

    rows: Ints
    x0: Floats
    y0: Floats
    x1: Floats
    y1: Floats

    @property
    def slope(self) -> Floats:
        return (self.y1 - self.y0) / (self.x1 - self.x0)

    def height(self, x: Floats) -> Floats:
        return self.y0 + self.slope * (x - self.x0)


def _hull_steps(x: Floats, y: Floats) -> Iterator[Step]:
    """Walk the non-decreasing upper hulls of points [B, L], all at once, from the left.

    As many steps as the longest hull has segments. NaN points do not exist.
    """
    x0, y0 = _leftmost(x, y)
    rows = np.flatnonzero(np.isfinite(x0))
    x, y, x0, y0 = x[rows], y[rows], x0[rows], y0[rows]
    while len(rows):
        right, up = x - x0[:, None], y - y0[:, None]
        ahead: Mask = (right > 0) & (up > 0)
        slope = np.divide(up, right, out=np.zeros_like(right), where=ahead)
        to = slope.argmax(axis=1)
        going = np.flatnonzero(slope.any(axis=1))
        rows, x, y, to = rows[going], x[going], y[going], to[going]
        x1, y1 = (v[np.arange(len(to)), to] for v in (x, y))
        yield Step(rows, x0[going], y0[going], x1, y1)
        x0, y0 = x1, y1


def _leftmost(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the [B] leftmost of points [B, L], of several the highest; (inf, −inf) without any."""
    missing = np.isnan(x) | np.isnan(y)
    left = np.where(missing, np.inf, x).min(axis=1, initial=np.inf)
    there = ~missing & (x == left[:, None])
    return left, np.where(there, y, -np.inf).max(axis=1, initial=-np.inf)


def qnc(cost: Floats, quality: Floats, best_quality: ArrayLike, best_cost: ArrayLike) -> Floats:
    """Return [...] smallest cost of the points [..., L] that reach `best_quality` / `best_cost`.

    Only the points themselves, nothing between them. NaN where none reaches it, or over 0.
    """
    level = np.asarray(best_quality, np.float64)[..., None] - TINY
    reaching = np.where(np.greater_equal(quality, level), cost, np.nan)
    least = np.fmin.reduce(reaching, axis=-1, initial=np.nan)
    return ratio(least, best_cost)


def arena_score(accuracy: ArrayLike, cost_per_1k: ArrayLike, beta: float = 0.1) -> Floats:
    """Return RouterArena's weighted harmonic mean of accuracy and log cost; NaN where both are 0.

    Cost in USD per 1,000 queries, clipped to `ARENA_COSTS`.
    """
    floor, ceiling = ARENA_COSTS
    a = np.asarray(accuracy, np.float64)
    spent = np.log2(np.clip(np.asarray(cost_per_1k, np.float64), floor, ceiling))
    c = (math.log2(ceiling) - spent) / (math.log2(ceiling) - math.log2(floor))
    return ratio((1 + beta) * a * c, beta * a + c)


def mix_lift(
    accuracy: ArrayLike,
    cost: ArrayLike,
    weak_accuracy: ArrayLike,
    weak_cost: ArrayLike,
    strong_accuracy: ArrayLike,
    strong_cost: ArrayLike,
) -> Floats:
    """Return the accuracy above that of tossing a coin between two models at the same mean cost.

    NaN where the two cost the same, or where the cost is not between theirs.
    """
    given = (accuracy, cost, weak_accuracy, weak_cost, strong_accuracy, strong_cost)
    a, c, a0, c0, a1, c1 = (np.asarray(v, np.float64) for v in given)
    slack = TINY * np.maximum(np.abs(c0), np.abs(c1))
    between = (c >= np.minimum(c0, c1) - slack) & (c <= np.maximum(c0, c1) + slack)
    share = np.clip(ratio(c - c0, c1 - c0), 0, 1)
    return np.where(between, difference(a, a0 + share * (a1 - a0)), np.nan)
