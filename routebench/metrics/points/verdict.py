"""Prove routers, each at one operating point, to be within a margin of a reference, or not.

Of every router two one-sided questions are asked: is its loss against the best single model
proven to be below the margin, and is it proven to be above. Holm's step-down procedure over the
routers of a run keeps the chance of any false answer to either at 5%.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from routebench.metrics.effects import power_z
from routebench.metrics.points.bounds import Bounds, bounds
from routebench.metrics.statistics import ALPHA, difference, holm
from routebench.records import Floats, Ints

VerdictKind = Literal["proven", "worse", "not proven", "same"]
MOST_QUERIES = 1e8


@dataclass(frozen=True)
class PointScores:
    """The scores of a router at its point, and of the reference, on the same n test queries."""

    score: Floats
    """[S, n] by seed."""
    reference: Floats
    """[n]."""
    clusters: Ints
    """[n] queries with the same number have the same text."""
    same: bool = False
    """Whether the point is the reference itself on every query: nothing is tested."""


@dataclass(frozen=True)
class PointVerdict:
    """The verdict on one router, with one-sided bounds at the level of its Holm step."""

    kind: VerdictKind
    """proven: loses less than the margin; worse: loses more; same: it is the reference."""
    difference: float
    """Accuracy minus that of the reference."""
    low: float
    """Above −margin exactly where the verdict is `proven`."""
    high: float
    """Below −margin exactly where the verdict is `worse`."""
    level: float
    """One-sided level of `low`: .05 divided by the routers not yet decided at its step."""
    p: float
    """Holm-adjusted, of the hypothesis that it loses the margin or more."""
    queries: int | None
    """Test queries that would decide in 80% of cases if the difference were as observed."""


def point_verdicts(
    routers: Mapping[str, PointScores], margin: float, resamples: int = 10_000, seed: int = 0
) -> dict[str, PointVerdict]:
    """Return the verdict on each learned router of a run; references do not belong to `routers`."""
    tested = _tested(routers, resamples, seed)
    p = {name: b.p_at_most(-margin) for name, b in tested.items()}
    adjusted = dict(zip(p, map(float, holm(list(p.values()))), strict=True)) if p else {}
    lows = _step_down(p, lambda name, level: tested[name].low(level), -margin)
    above = {name: b.p_at_least(-margin) for name, b in tested.items()}
    highs = _step_down(above, lambda name, level: -tested[name].high(level), margin)
    verdicts = {}
    for name, one in routers.items():
        if one.same:
            verdicts[name] = PointVerdict("same", 0.0, 0.0, 0.0, ALPHA, 1.0, None)
            continue
        (low, level), (minus_high, level_above) = lows[name], highs[name]
        kind: VerdictKind = "not proven"
        if low > -margin:
            kind = "proven"
        elif -minus_high < -margin:
            kind = "worse"
        needed = None
        if kind == "not proven":
            at = level if tested[name].value > -margin else level_above
            needed = _queries(tested[name], len(one.clusters), margin, at)
        verdicts[name] = PointVerdict(
            kind, tested[name].value, low, -minus_high, level, adjusted[name], needed
        )
    return verdicts


def _tested(routers: Mapping[str, PointScores], resamples: int, seed: int) -> dict[str, Bounds]:
    """Return the bounds of those that are not the reference; equal queries are drawn once."""
    alike: dict[bytes, dict[str, PointScores]] = {}
    for name, one in routers.items():
        if not one.same:
            alike.setdefault(one.clusters.tobytes(), {})[name] = one
    tested: dict[str, Bounds] = {}
    for group in alike.values():
        columns = [difference(np.atleast_2d(one.score), one.reference) for one in group.values()]
        clusters = next(iter(group.values())).clusters
        tested |= zip(group, bounds(columns, clusters, resamples, seed), strict=True)
    return tested


def _step_down(
    p: Mapping[str, float], bound: Callable[[str, float], float], limit: float
) -> dict[str, tuple[float, float]]:
    """Return bounds and their levels: above the limit for what Holm's procedure rejects.

    From the smallest p on, each is tested at α over the number not yet rejected; from the first
    that is not rejected on, all stay at its level. Equal p are tested at the level of the first.
    """
    bounds, left, going = {}, len(p), True
    level, last = ALPHA, -1.0
    for name in sorted(p, key=lambda name: p[name]):
        if p[name] != last:
            level, last = ALPHA / left, p[name]
        bounds[name] = bound(name, level), level
        going = going and bounds[name][0] > limit
        left -= going
    return bounds


def _queries(one: Bounds, n: int, margin: float, level: float) -> int | None:
    """Return the number of queries that would decide; None where it is beyond all reason."""
    gap = abs(one.value + margin)
    wanted = n * (power_z(level) * one.error / gap) ** 2 if gap else math.inf
    return math.ceil(wanted) if wanted < MOST_QUERIES else None
