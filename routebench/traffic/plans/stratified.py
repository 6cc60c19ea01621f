"""The difference over all traffic from a stratified sample of the differing queries.

With N_h of D differing queries in stratum h, n_h of them bought, and mean and variance of their
differences y̅_h and s_h², over N requests of which all others count exactly 0:

    Δ = Σ N_h y̅_h / N        SE² = Σ N_h² (1 − n_h / N_h) s_h² / n_h / N²

The requests of the log are the population: what is bought whole has no error. s_h² is drawn by one
query towards what the log suggests, so that a few equal answers do not look certain; the degrees of
freedom are Satterthwaite's.
"""

from __future__ import annotations

import numpy as np

from routebench.metrics.statistics import TAIL
from routebench.records import Floats, Ints
from routebench.traffic.estimators import Estimated
from routebench.traffic.plans.design import LEAST


def merged(stratum: Ints, sizes: Ints) -> Ints:
    """Return [h] the stratum that each is taken into: those with too few answers are one.

    >>> merged(np.array([0] * 9 + [1, 2]), np.array([20, 30, 30])).tolist()
    [0, 0, 0]
    """
    n = np.bincount(stratum, minlength=len(sizes))
    into = np.arange(len(sizes))
    few = (n < LEAST) & (n < sizes)
    if few.any():
        into[few] = np.flatnonzero(few)[0]
        if n[few].sum() < LEAST and not few.all():
            into[few] = np.where(few, -1, n).argmax()
    return into


def estimate(outcome: Floats, stratum: Ints, sizes: Ints, spread: Floats, events: int) -> Estimated:
    """Return the difference over all traffic with its 95% interval.

    `outcome` [n] times the requests it stands for, of the queries bought; `sizes` [h] of all that
    differ, `spread` [h] the standard deviation that the log suggests.
    """
    from scipy.stats import t

    into = merged(stratum, sizes)
    own, count = into[stratum], len(sizes)
    size = np.bincount(into, sizes, count).astype(float)
    prior = np.bincount(into, sizes * spread**2, count)
    n = np.bincount(own, minlength=count).astype(float)
    used = n > 0
    size, n = size[used], n[used]
    prior = prior[used] / size
    mean = np.bincount(own, outcome, count)[used] / n
    square = np.bincount(own, outcome**2, count)[used]
    variance = (square - n * mean**2 + prior) / n
    part = size**2 * (1.0 - n / size) * variance / n
    error = float(np.sqrt(max(part.sum(), 0.0))) / events
    value = float((size * mean).sum()) / events
    if error == 0:
        return Estimated(value, value, value)
    freedom = part.sum() ** 2 / (part**2 / np.maximum(n - 1, 1)).sum()
    reach = float(t.ppf(1 - TAIL, max(freedom, 1.0))) * error
    return Estimated(value, value - reach, value + reach)
