"""PASS, REGRESSION or INCONCLUSIVE, decided from paired effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from routebench.metrics.effects import Effect, power_z
from routebench.metrics.statistics import ALPHA, TAIL, holm
from routebench.records import Floats


class Verdict(StrEnum):
    """The verdict on one router and metric."""

    PASS = "pass"  # noqa: S105
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"


def verdicts(effects: Sequence[Effect], margins: Sequence[float]) -> tuple[list[Verdict], Floats]:
    """Return the verdict on each effect of a family, and the family's Holm-adjusted p.

    A family passes only if all its members do, so that bounds need no adjustment; it fails if
    one does, so that p needs it.
    """
    adjusted = holm([1.0 if math.isnan(one.p) else one.p for one in effects])
    cases = zip(effects, margins, map(float, adjusted), strict=True)
    return [verdict(*case) for case in cases], adjusted


def verdict(effect: Effect, margin: float, p: float) -> Verdict:
    """Decide PASS where a loss of the margin is excluded, REGRESSION where one is certain."""
    if effect.identical or effect.low > -margin:
        return Verdict.PASS
    if p < ALPHA and effect.value <= -margin:
        return Verdict.REGRESSION
    return Verdict.INCONCLUSIVE


def queries_needed(effect: Effect, margin: float, n: int, family: int) -> int | None:
    """Return the number of queries that would decide in 80% of cases if the estimate were true.

    None where that is unknown, or beyond all reason: the estimate lies at the margin.
    """
    error = effect.mde / power_z(TAIL)
    if effect.value <= -margin:
        gap, z = -effect.value, power_z(ALPHA / family)
    else:
        gap, z = effect.value + margin, power_z(TAIL)
    wanted = n * (z * error / gap) ** 2 if gap > 0 else math.inf
    return math.ceil(wanted) if wanted < 1e8 else None


def jensen_shannon(first: Floats, second: Floats) -> float:
    """Return the divergence in bits of two distributions [m]: 0 if the same, 1 if disjoint."""
    middle = (first + second) / 2

    def against_middle(p: Floats) -> float:
        ratio = np.divide(p, middle, out=np.ones_like(p), where=p > 0)
        return float((p * np.log2(ratio)).sum())

    return max(0.0, (against_middle(first) + against_middle(second)) / 2)
