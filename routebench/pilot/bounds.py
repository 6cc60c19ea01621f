"""Intervals of proportions and of the least of several means.

The gap between oracle and best single model is min_m δ_m, where δ_m is the mean of what the
oracle scores above model m. Its plug-in estimate is too low: the model that looks best is chosen on
the very queries that measure it. Chernozhukov, Lee and Rosen (2013, Econometrica 81, 667) bound
such a minimum; theirs is the choice of models that still count. The value is corrected by the
bias that the plug-in has in normal draws around what was seen (Efron and Tibshirani 1993, ch. 10).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from routebench.metrics.statistics import TAIL
from routebench.records import Floats, Ints

_DRAWS = 10_000
_RULED_OUT = 3.0
"""Standard errors below the best, paired, at which a model is the best no more."""


@dataclass(frozen=True, slots=True)
class LeastMean:
    """The least of several means, with its 95% interval."""

    value: float
    """Corrected for the choice of the least."""
    low: float
    high: float
    plug_in: float
    """The least mean as it was seen: too low on average."""
    contenders: tuple[int, ...]
    """The columns that may be the least."""


def proportion(values: Floats, tail: float = TAIL) -> tuple[float, float]:
    """Return the ends of an interval of the mean of [n] values in [0, 1], exact for 0 and 1.

    Clopper and Pearson's; of other values with as many draws as their variance is worth (Korn and
    Graubard 1998, Survey Methodology 24, 193).
    """
    from scipy import special

    n, mean = float(len(values)), float(values.mean())
    if not np.isin(values, (0.0, 1.0)).all() and (error := _errors(values[:, None])[0]) > 0:
        n = mean * (1 - mean) / error**2
    hits = mean * n
    low = special.betaincinv(hits, n - hits + 1, tail) if hits > 0 else 0.0
    high = special.betaincinv(hits + 1, n - hits, 1 - tail) if hits < n else 1.0
    return float(low), float(high)


def least_mean(values: Floats, first: int) -> LeastMean:
    """Return the least of the means of columns [n, m] in [0, 1]; `first` is one of the lowest.

    Low end: the least of all columns' own low ends, as the least of them is one of these columns.
    High end: the least of the contenders' high ends, at a level that they hold together.
    """
    means, errors = values.mean(axis=0), _errors(values)
    kept = _contenders(values, first)
    drawn = _deviations(values[:, kept])
    tail = _normal_tail(float(np.quantile(drawn.max(axis=1), 1 - TAIL)))
    low = min(proportion(column)[0] for column in values.T)
    high = min(proportion(column, tail)[1] for column in values[:, kept].T)
    least = float(means.min())
    again = (means[kept] + errors[kept] * drawn).min(axis=1).mean()
    value = min(2 * least - float(again), high)
    return LeastMean(value, low, high, least, tuple(map(int, kept)))


def _contenders(values: Floats, first: int) -> Ints:
    """Return the columns that may be the least: not 3 paired standard errors above the first."""
    above = values - values[:, [first]]
    kept: Ints = np.flatnonzero(above.mean(axis=0) <= _RULED_OUT * _errors(above))
    return kept


def _errors(values: Floats) -> Floats:
    """Return [m] standard errors of the means."""
    errors: Floats = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    return errors


def _deviations(values: Floats) -> Floats:
    """Return [draws, m] normal deviations, correlated as the columns are; none for a constant."""
    centred = values - values.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(scale > 0, scale, 1)
    sizes, vectors = np.linalg.eigh(unit.T @ unit)
    root = vectors * np.sqrt(np.maximum(sizes, 0))
    drawn: Floats = np.random.default_rng(0).standard_normal((_DRAWS, len(sizes))) @ root.T
    return drawn


def _normal_tail(deviations: float) -> float:
    from statistics import NormalDist

    return min(1 - NormalDist().cdf(deviations), TAIL)
