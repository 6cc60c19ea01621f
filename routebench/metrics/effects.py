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
_PRECISE = 1e-12


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
    from scipy import special

    p = float(special.bdtr(gains, losses + gains, 0.5)) if losses else 1.0
    low, high = lower_bound(losses, gains, n), -lower_bound(gains, losses, n)
    return Effect((gains - losses) / n, low, high, p, mde((losses + gains + 1) / n, n))


@lru_cache(maxsize=1 << 16)
def lower_bound(losses: int, gains: int, n: int, tail: float = TAIL) -> float:
    """Return the lower bound of the mean of so many -1, +1 and 0 in n: where p is `tail`.

    By false position (Illinois) in standard deviations of the normal distribution, where p of a
    value is nearly a straight line.
    """
    from scipy import special

    rest = n - losses - gains
    if not gains:
        return -float(special.betaincinv(losses + 1, rest, 1 - tail)) if rest else -1.0

    def excess(at: float) -> float:
        p = min(max(chance_below(losses, gains, n, at), 1e-300), 1 - 1e-16)
        return float(special.ndtri(p)) - target

    target, spread = float(special.ndtri(tail)), math.sqrt(losses + gains + 1) / n
    low, high = (max(-1.0, (gains - losses) / n - 8 * spread), min(1.0, (gains - losses) / n))
    below, above = excess(low), excess(high)
    if below > 0 or above < 0:
        low, high = -1.0, 1.0
        below, above = excess(low), excess(high)
    kept = 0
    for _ in range(100):
        if high - low < _PRECISE:
            break
        at = (low * above - high * below) / (above - below)
        here = excess(at)
        if abs(here) < _PRECISE:
            return at
        if here > 0:
            high, above = at, here
            below /= 2 if kept > 0 else 1
            kept = 1
        else:
            low, below = at, here
            above /= 2 if kept < 0 else 1
            kept = -1
    return (low + high) / 2


def chance_below(losses: int, gains: int, n: int, at: float) -> float:
    """Return one-sided p that the mean of so many -1, +1 and 0 in n is `at` or less.

    Shares of losses, gains and the rest are Dirichlet(losses + 1, gains, rest): how many
    queries flip, and which part of those are losses, are then independent beta variables.
    """
    from scipy import special

    rest = n - losses - gains
    if not gains:
        return (
            float(special.betainc(rest, losses + 1, min(1.0, 1 + at))) if rest and at < 0 else 1.0
        )
    share = np.clip((1 - at / _flipped(losses + gains, rest)) / 2, 0, 1)
    return float(1 - special.betainc(losses + 1, gains, share).mean())


@lru_cache(maxsize=1 << 12)
def _flipped(flips: int, rest: int) -> Floats:
    """Return quantiles of the share of queries that flip, the unseen one among them."""
    from scipy import special

    if not rest:
        return np.ones(1)
    quantiles: Floats = special.betaincinv(1 + flips, rest, (np.arange(_GRID) + 0.5) / _GRID)
    return quantiles


@dataclass(frozen=True)
class Resampled:
    """One difference on B resamples of the queries, each with an unseen one."""

    value: float
    lows: Floats
    """[B] means with the worst unseen query."""
    highs: Floats
    """[B] means with the best unseen query."""

    @property
    def effect(self) -> Effect:
        """Return the interval of 95%, and p of no loss at all."""
        p = (1 + np.count_nonzero(self.highs >= 0)) / (len(self.highs) + 1)
        low, high = np.quantile(self.lows, TAIL), np.quantile(self.highs, 1 - TAIL)
        mde = power_z(TAIL) * float(self.lows.std())
        return Effect(self.value, float(low), float(high), float(p), mde)


def weighed(
    columns: Sequence[Differences], clusters: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> list[Effect]:
    """Return the effect of each difference, from the same resampled weights of the clusters."""
    undefined = Effect(math.nan, math.nan, math.nan, math.nan, math.nan)
    drawn = resampled(columns, clusters, resamples, seed)
    return [undefined if one is None else one.effect for one in drawn]


def resampled(
    columns: Sequence[Differences], clusters: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> list[Resampled | None]:
    """Return each difference on the same resampled weights; None where it is one of nothing."""
    if not columns:
        return []
    groups = Groups.of(clusters, len(clusters))
    summed = [_Summed.of(column, groups) for column in columns]
    matrix = np.concatenate([np.stack([*one.rows, one.base]) for one in summed])
    sums, unseen = _sums(matrix, groups.count, resamples, seed)
    made, start = [], 0
    for one in summed:
        rows = sums[:, start : start + len(one.rows)]
        base = sums[:, start + len(one.rows)]
        start += len(one.rows) + 1
        total = (rows * seed_weights(len(one.rows), resamples, seed)).sum(axis=1)
        made.append(one.resampled(total, base, unseen))
    return made


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

    def resampled(self, total: Floats, base: Floats, unseen: Floats) -> Resampled | None:
        """Return the means from resampled sums [B] and the unseen query's weights [B]."""
        whole = self.base.sum()
        if not whole > 0:
            return None
        value = float(np.mean([row.sum() for row in self.rows]) / whole)
        below = base + unseen * self.base.mean()
        lows, highs = ((total + unseen * end) / below for end in (self.worst, self.best))
        return Resampled(value, lows, highs)


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
    from scipy import special

    return float(special.ndtri(1 - tail) + special.ndtri(POWER))
