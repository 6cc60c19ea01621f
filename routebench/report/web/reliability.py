"""Stated confidence against the score, and the risk of answering only when sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.board.read_run import Stored
from routebench.metrics.calibration import RiskCoverage
from routebench.records import Floats
from routebench.report.web.browse import confidence

BINS, POINTS = 10, 60


@dataclass(frozen=True)
class Reliability:
    """Of one router, first seed: bins of equal mass, and a thinned risk–coverage curve."""

    router: str
    stated: Floats
    mean_score: Floats
    coverage: Floats
    risk: Floats


def reliability(stored: Stored) -> list[Reliability]:
    """Return the routers that state a confidence; none where the measure is a reward."""
    if stored.board.suite.measure != "accuracy":
        return []
    outcomes, n = stored.outcomes, len(stored.rows)
    made = []
    for router in stored.routers:
        sure = confidence(stored, router)
        if sure is None:
            continue
        choice = stored.choices(router)[0]
        score = np.where(outcomes.ok, outcomes.score, np.nan)[np.arange(n), choice]
        known = ~np.isnan(sure) & ~np.isnan(score)
        if known.sum() >= BINS:
            made.append(_of(router, sure[known], score[known]))
    return made


def _of(router: str, sure: Floats, score: Floats) -> Reliability:
    order = np.argsort(sure, kind="stable")
    bins = np.array_split(order, BINS)
    coverage, risk = RiskCoverage.of(sure, score).points()
    thin = np.unique(np.linspace(0, len(coverage) - 1, POINTS).astype(int))
    return Reliability(
        router,
        np.array([sure[rows].mean() for rows in bins]),
        np.array([score[rows].mean() for rows in bins]),
        coverage[thin],
        risk[thin],
    )
