"""Average ranks of routers over suites, after Demšar (JMLR 2006): Friedman and Nemenyi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, inf, isfinite, sqrt

import numpy as np

from routebench.grid.schema import RankTest
from routebench.records import Floats

ALPHA = 0.05
_DIGITS = 12  # means of the same decisions may differ by rounding


def ranked(scores: Floats) -> Floats:
    """Return ranks [n, k] of k routers on n suites, 1 for the highest score; ties share the mean.

    >>> ranked(np.array([[0.5, 0.7, 0.5]])).tolist()
    [[2.5, 1.0, 2.5]]
    """
    from scipy.stats import rankdata

    ranks: Floats = rankdata(-np.round(scores, _DIGITS), axis=1)
    return ranks


def critical_value(k: int, alpha: float = ALPHA) -> float:
    """Return Nemenyi's q for k routers: the studentized range's quantile over √2."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - alpha, k, inf)) / sqrt(2)


def rank_test(suites: Sequence[str], scores: Mapping[str, Sequence[float]]) -> RankTest:
    """Return the test of at least three routers' `scores` on at least two suites.

    Two routers are different if Friedman finds any difference and their average ranks are the
    critical difference apart, q √(k (k + 1) / 6 n).
    """
    from scipy.stats import friedmanchisquare

    names = sorted(scores)
    table = np.array([scores[name] for name in names], dtype=np.float64).T
    n, k = table.shape
    ranks = ranked(table)
    average = ranks.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic, p = friedmanchisquare(*ranks.T)
    known = isfinite(statistic)  # not so where all are equal everywhere
    q = critical_value(k)
    difference = q * sqrt(k * (k + 1) / (6 * n))
    needed = ceil(q**2 * k * (k + 1) / (6 * (k - 1) ** 2))
    order = sorted(range(k), key=lambda at: (average[at], names[at]))
    least = difference if known and p < ALPHA else inf
    groups = cliques([float(average[at]) for at in order], least)
    return RankTest(
        suites=list(suites),
        routers=[names[at] for at in order],
        alpha=ALPHA,
        statistic=float(statistic) if known else None,
        p=float(p) if known else None,
        q=q,
        critical_difference=difference,
        suites_needed=needed,
        groups=[[names[order[at]] for at in group] for group in groups],
        sentence=_sentence(n, k, difference, needed, float(p) if known else None, len(groups)),
    )


def cliques(average: Sequence[float], least: float) -> list[range]:
    """Return the largest runs of ordered average ranks of which no two are `least` apart.

    >>> cliques([1.0, 2.0, 4.5], 3)
    [range(0, 2), range(1, 3)]
    """
    found: list[range] = []
    for start in range(len(average)):
        stop = max(at for at in range(len(average)) if average[at] - average[start] < least) + 1
        if not found or stop > found[-1].stop:
            found.append(range(start, stop))
    return found


def _sentence(n: int, k: int, least: float, needed: int, p: float | None, groups: int) -> str:
    """Return what the test says, and first what it cannot say."""
    start = f"{k} routers on {n} suites"
    if n < needed:
        return (
            f"{start} are too few suites to prove any difference: first on every suite against "
            f"last on every suite are {k - 1} ranks apart, the critical difference is "
            f"{least:.2f}; {needed} suites are the least with which one could be shown"
        )
    if p is None:
        return f"{start}: all are equal on every suite"
    if p >= ALPHA:
        return f"{start}: Friedman finds no difference between them (p = {p:.2g})"
    found = "no two are" if groups == 1 else "routers are different if they are"
    return (
        f"{start}: not all are equal (Friedman, p = {p:.2g}); {found} {least:.2f} ranks apart, the "
        "critical difference (Nemenyi, 5%)"
    )
