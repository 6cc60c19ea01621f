"""Inference from paired differences: interval, one-sided bounds and p.

Differences are signed so that worse is negative. Both bounds and p come from one construction
(Gaffke 2005): draw weights of the queries from the flat Dirichlet distribution and add one
unseen query: the worst possible one for the lower bound, the best possible one for the upper
bound and for p. For 0/1 scores p is then the exact one-sided McNemar test and a bound on losses
alone that of Clopper and Pearson. A bootstrap without the unseen query treats five flips as all
that can happen, and so excludes losses that five flips cannot exclude.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from routebench.metrics.bootstrap import CROSSED_SEEDS, Groups, one_thread, seed_weights
from routebench.metrics.statistics import TAIL, mde
from routebench.records import Floats, Ints

RESAMPLES = 10_000
POWER = 0.8
_CHUNK = 64  # resamples per matrix product: their weights stay in the cache
_GRID = 256


@dataclass(frozen=True)
class Effect:
    """One paired difference, new minus old, worse is negative; NaN where it is undefined."""

    value: float
    low: float
    high: float
    p: float
    """One-sided, of no loss at all."""
    mde: float
    """The smallest loss this comparison detects in 80% of cases, two-sided 5%."""
    identical: bool = False


@dataclass(frozen=True)
class Differences:
    """The per-query differences to test: [n] or, by crossed seeds, [S, n]."""

    difference: Floats
    """Worse is negative."""
    worst: float
    """The worst difference that one unseen query could have; at most 0."""
    best: float
    """The best difference that one unseen query could have; at least 0."""
    base: Floats | None = None
    """[n] the divisors of a relative difference, whose sum divides that of the differences."""


def typical_size(steps: Floats) -> float:
    """Return the size of one step where few large ones make up a sum: mean square over mean.

    Costs are skewed: a few long answers decide a total, and their number is what is uncertain.
    """
    total = float(np.abs(steps).sum())
    return float((steps**2).sum()) / total if total else 0.0


def same() -> Effect:
    """Return the effect of two sides that decide alike: nothing to test."""
    return Effect(0.0, 0.0, 0.0, 1.0, 0.0, identical=True)


def flips(losses: int, gains: int, n: int) -> Effect:
    """Return the exact effect of so many losses and gains in n queries with 0/1 scores."""
    from scipy.special import bdtr

    p = float(bdtr(gains, losses + gains, 0.5)) if losses else 1.0
    low, high = lower_bound(losses, gains, n), -lower_bound(gains, losses, n)
    return Effect((gains - losses) / n, low, high, p, mde((losses + gains + 1) / n, n))


@lru_cache(maxsize=1 << 16)
def lower_bound(losses: int, gains: int, n: int, tail: float = TAIL) -> float:
    """Return the lower bound of the mean of so many -1, +1 and 0 in n, by bisection."""
    from scipy.special import betaincinv

    rest = n - losses - gains
    if not gains:
        return -float(betaincinv(losses + 1, rest, 1 - tail)) if rest else -1.0
    low, high = -1.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        below = chance_below(losses, gains, n, middle)
        low, high = (middle, high) if below < tail else (low, middle)
    return (low + high) / 2


def chance_below(losses: int, gains: int, n: int, at: float) -> float:
    """Return one-sided p that the mean of so many -1, +1 and 0 in n is `at` or less.

    Shares of losses, gains and the rest are Dirichlet(losses + 1, gains, rest): how many
    queries flip, and which part of those are losses, are then independent beta variables.
    """
    from scipy.special import betainc

    rest = n - losses - gains
    if not gains:
        return float(betainc(rest, losses + 1, min(1.0, 1 + at))) if rest and at < 0 else 1.0
    share = np.clip((1 - at / _flipped(losses + gains, rest)) / 2, 0, 1)
    return float(1 - betainc(losses + 1, gains, share).mean())


@lru_cache(maxsize=1 << 12)
def _flipped(flips: int, rest: int) -> Floats:
    """Return quantiles of the share of queries that flip, the unseen one among them."""
    from scipy.special import betaincinv

    if not rest:
        return np.ones(1)
    quantiles: Floats = betaincinv(1 + flips, rest, (np.arange(_GRID) + 0.5) / _GRID)
    return quantiles


def weighed(
    columns: Sequence[Differences], clusters: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> list[Effect]:
    """Return the effect of each difference, from the same resampled weights of the clusters."""
    if not columns:
        return []
    groups = Groups.of(clusters, len(clusters))
    summed = [_Summed.of(column, groups) for column in columns]
    matrix = np.concatenate([np.stack([*one.rows, one.base]) for one in summed])
    sums, unseen = _sums(matrix, groups.count, resamples, seed)
    effects, start = [], 0
    for one in summed:
        rows = sums[:, start : start + len(one.rows)]
        base = sums[:, start + len(one.rows)]
        start += len(one.rows) + 1
        total = (rows * seed_weights(len(one.rows), resamples, seed)).sum(axis=1)
        effects.append(one.effect(total, base, unseen))
    return effects


@dataclass(frozen=True)
class OneSided:
    """One paired difference with the one-sided bounds and p of any level."""

    value: float
    error: float
    """Standard error."""
    losses: int | None
    """Of 0/1 scores of one seed, each query drawn by itself; the bounds are then exact."""
    gains: int
    n: int
    lows: Floats
    """[B] means of resamples with the worst unseen query; empty for 0/1 scores."""
    highs: Floats
    """[B] with the best unseen query."""

    @classmethod
    def of(
        cls, column: Differences, clusters: Ints, resamples: int = RESAMPLES, seed: int = 0
    ) -> OneSided:
        """Take differences [n] or [S, n] whose clusters are drawn whole."""
        groups = Groups.of(clusters, len(clusters))
        rows = np.atleast_2d(column.difference)
        n = rows.shape[1]
        whole = groups.size is None and bool(np.isin(rows[0], (-1, 0, 1)).all())
        if whole and (rows == rows[0]).all():
            losses, gains = (int((rows[0] == sign).sum()) for sign in (-1, 1))
            value = (gains - losses) / n
            error = math.sqrt(max((losses + gains + 1) / n - value**2, 0) / n)
            return cls(value, error, losses, gains, n, np.empty(0), np.empty(0))
        one = _Summed.of(column, groups)
        sums, unseen = _sums(np.stack([*one.rows, one.base]), groups.count, resamples, seed)
        total = (sums[:, :-1] * seed_weights(len(one.rows), resamples, seed)).sum(axis=1)
        below = sums[:, -1] + unseen * one.base.mean()
        lows, highs = ((total + unseen * end) / below for end in (one.worst, one.best))
        value = float(np.mean([row.sum() for row in one.rows]) / one.base.sum())
        return cls(value, float(lows.std()), None, 0, n, lows, highs)

    def p_at_most(self, at: float) -> float:
        """Return p of the hypothesis that the true difference is `at` or less."""
        if self.losses is not None:
            return chance_below(self.losses, self.gains, self.n, at)
        return float((1 + np.count_nonzero(self.lows <= at)) / (len(self.lows) + 1))

    def p_at_least(self, at: float) -> float:
        """Return p of the hypothesis that the true difference is `at` or more."""
        if self.losses is not None:
            return chance_below(self.gains, self.losses, self.n, -at)
        return float((1 + np.count_nonzero(self.highs >= at)) / (len(self.highs) + 1))

    def low(self, tail: float) -> float:
        """Return the lower bound that is wrong with a chance of at most `tail`."""
        if self.losses is not None:
            return lower_bound(self.losses, self.gains, self.n, tail)
        return _order_statistic(self.lows, tail)

    def high(self, tail: float) -> float:
        """Return the upper bound that is wrong with a chance of at most `tail`."""
        if self.losses is not None:
            return -lower_bound(self.gains, self.losses, self.n, tail)
        return -_order_statistic(-self.highs, tail)


def _order_statistic(samples: Floats, tail: float) -> float:
    """Return the bound that lies above a value exactly where p of that value is below `tail`."""
    # p of x is (1 + number at or below x) / (B + 1).
    rank = math.ceil(tail * (len(samples) + 1)) - 2
    if rank < 0:
        return -1.0
    return float(np.partition(samples, rank)[rank])


@dataclass(frozen=True)
class _Summed:
    """A column by cluster."""

    rows: list[Floats]
    """[G] each: one per crossed seed."""
    base: Floats
    """[G]."""
    worst: float
    best: float

    @classmethod
    def of(cls, column: Differences, groups: Groups) -> _Summed:
        seeds = np.atleast_2d(column.difference)
        if len(seeds) < CROSSED_SEEDS or (seeds == seeds[0]).all():
            seeds = seeds.mean(axis=0, keepdims=True)
        ones = np.ones(seeds.shape[1])
        base = groups.sum(ones if column.base is None else column.base)
        size = seeds.shape[1] / groups.count
        rows = [np.asarray(groups.sum(row), np.float64) for row in seeds]
        return cls(rows, np.asarray(base, np.float64), size * column.worst, size * column.best)

    def effect(self, total: Floats, base: Floats, unseen: Floats) -> Effect:
        """Return the effect by resampled sums [B] and the unseen query's weights [B]."""
        whole = self.base.sum()
        if not whole > 0:
            return Effect(math.nan, math.nan, math.nan, math.nan, math.nan)
        value = float(np.mean([row.sum() for row in self.rows]) / whole)
        below = base + unseen * self.base.mean()
        lows, highs = ((total + unseen * end) / below for end in (self.worst, self.best))
        p = (1 + np.count_nonzero(highs >= 0)) / (len(highs) + 1)
        low, high = np.quantile(lows, TAIL), np.quantile(highs, 1 - TAIL)
        return Effect(value, float(low), float(high), p, power_z(TAIL) * float(lows.std()))


def _sums(matrix: Floats, groups: int, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Return [B, k] weighted sums of k rows [G], and the [B] weights of the unseen query."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    sums = np.empty((resamples, len(matrix)))
    with one_thread():
        for start in range(0, resamples, _CHUNK):
            rows = min(_CHUNK, resamples - start)
            # Exponential weights, divided by their sum, are flat Dirichlet ones.
            weights = rng.standard_exponential((rows, groups), dtype=np.float32)
            sums[start : start + rows] = weights.astype(np.float64) @ matrix.T
    return sums, rng.standard_exponential(resamples)


def power_z(tail: float) -> float:
    """Return standard errors between a one-sided limit and what passes it at the usual power."""
    from scipy.special import ndtri

    return float(ndtri(1 - tail) + ndtri(POWER))
