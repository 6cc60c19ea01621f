"""Intervals, tests and power, computed from resampled means or exactly.

Everything here takes samples and counts; `bootstrap` makes the samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike

from routebench.records import Floats, Mask

TAIL = 0.025
"""Each side of a 95% interval."""
ALPHA = 0.05
FEW = 2000
"""Coin tosses up to which the binomial tail is added up in whole numbers."""
TINY = 1e-12
"""Relative: values that differ by less were summed or rounded differently, and are equal."""


@dataclass(frozen=True)
class Interval:
    """A 95% confidence interval; NaN bounds where no resample is defined."""

    low: float
    high: float
    undefined: float
    """Share of resamples in which the metric is undefined; they are left out."""


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return the elementwise quotient in float64; NaN, never an error or an infinity, over 0."""
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    )
    quotient: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
    return quotient


def difference(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return first − second in float64; exactly 0 where they differ by rounding alone.

    Whatever asks which side is better, or counts ties, subtracts by this: .1 + .2 is no better
    than .3. What is rounding is told by the largest value of both sides, as a sum near 0 may be
    one of large terms.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    size = max(_largest(a), _largest(b))
    apart = np.subtract(a, b)
    return np.where(np.abs(apart) <= TINY * size, 0.0, apart)


def tied(values: Floats) -> Floats:
    """Return values on a grid, to sort by: nearly all that differ by rounding alone are equal."""
    unit = TINY * _largest(values)
    return np.rint(values / unit) * unit if unit else values


def _largest(values: Floats) -> float:
    """Return the largest absolute value of those that are finite."""
    return float(np.max(np.abs(values), where=np.isfinite(values), initial=0.0))


def interval(samples: Floats) -> Interval:
    """Return the percentile interval of [B] resampled values."""
    defined = samples[~np.isnan(samples)]
    undefined = 1 - len(defined) / len(samples)
    if not len(defined):
        return Interval(math.nan, math.nan, 1.0)
    low, high = _quantiles(defined, (TAIL, 1 - TAIL))
    return Interval(low, high, undefined)


def _quantiles(values: Floats, shares: Sequence[float]) -> list[float]:
    """Return what `np.quantile` does, to the last bit: its checks cost more than a partition."""
    places = [(len(values) - 1) * share for share in shares]
    below = [math.floor(place) for place in places]
    found, ranked, start = [], values, 0
    for place, at in zip(places, below, strict=True):
        # One rank at a time, in what lies above the last one: NumPy is fastest at that.
        ranked = np.partition(ranked, at - start)[at - start :]
        low, start, part = float(ranked[0]), at, place - at
        high = float(ranked[1:].min(initial=np.inf)) if at + 1 < len(values) else low
        step = high - low
        found.append(low + step * part if part < 0.5 else high - step * (1 - part))
    return found


def proportion_interval(samples: Floats, n: int) -> Interval:
    """Return the percentile interval of a mean of n independent 0/1 values; exact at 0 and at 1.

    Where all n values agree every resample agrees too, and [1, 1] would claim that no failure
    can ever happen. The exact binomial bound says what n successes in a row can show.
    """
    bounds = interval(samples)
    low, high = round(bounds.low, 12), round(bounds.high, 12)
    if low == high and low in (0.0, 1.0):
        return Interval(*clopper_pearson(round(n * low), n), bounds.undefined)
    return bounds


def clopper_pearson(successes: int, n: int) -> tuple[float, float]:
    """Return the exact 95% interval of a binomial proportion (Clopper and Pearson 1934)."""
    from scipy import special

    if successes == n:
        return TAIL ** (1 / n) if n else 0.0, 1.0
    if not successes:
        return 0.0, -math.expm1(math.log(TAIL) / n)
    low = float(special.betaincinv(successes, n - successes + 1, TAIL))
    return low, float(special.betaincinv(successes + 1, n - successes, 1 - TAIL))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of McNemar's test: the discordant pairs are fair coin tosses."""
    n = only_first + only_second
    return min(1.0, 2 * _fair_tosses(min(only_first, only_second), n)) if n else 1.0


@cache
def _fair_tosses(k: int, n: int) -> float:
    """Return the chance of at most k heads among n tosses of a fair coin."""
    from scipy import special

    if n > FEW:
        return float(special.bdtr(k, n, 0.5))
    # C(n, i + 1) = C(n, i) (n - i) / (i + 1), without a rest; SciPy takes longer to import.
    ways = accumulate(range(k), lambda ways, i: ways * (n - i) // (i + 1), initial=1)
    return sum(ways) / (1 << n)


def bootstrap_p(differences: Floats) -> float:
    """Return two-sided p that a difference is 0, from [B] resampled differences.

    Twice the smaller tail, each counted with its ties and one more, so that it is never 0. Made
    by `difference`, equal sides are ties, however their means were rounded.
    """
    defined = differences[~np.isnan(differences)]
    tail = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    return min(1.0, 2 * (int(tail) + 1) / (len(defined) + 1))


def holm(p: ArrayLike) -> Floats:
    """Return Holm's step-down adjustment of a family of p values; order is kept."""
    raw = np.asarray(p, np.float64)
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def ranks(differences: Floats, p: Floats) -> list[int]:
    """Return 1 + the number of routers that are significantly better, so that ties are shared.

    `differences` [R, R] is row minus column and `p` [R, R] the raw two-sided p of each pair;
    Holm is taken over all R(R-1)/2 pairs.
    """
    first, second = np.triu_indices(len(p), k=1)
    better: Mask = np.zeros(p.shape, dtype=np.bool_)
    sure = holm(p[first, second]) < ALPHA
    above = differences[first, second] > 0
    better[first[sure & above], second[sure & above]] = True
    below = differences[first, second] < 0
    better[second[sure & below], first[sure & below]] = True
    return [1 + int(count) for count in better.sum(axis=0)]


def mde(discordance: float, n: float, power: float = 0.8, alpha: float = ALPHA) -> float:
    """Return the smallest paired difference that n queries detect with the given power, two-sided.

    `discordance` is the mean squared difference per query: for 0/1 scores the share of queries
    on which exactly one of the two is right (Connor 1987, under the null variance).
    """
    return _z(1 - alpha / 2, power) * math.sqrt(discordance / n)


@cache
def _z(one: float, other: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(one) + NormalDist().inv_cdf(other)
