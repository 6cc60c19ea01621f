"""Paired differences: each router against the references, and against one another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from routebench.metrics import definitions
from routebench.metrics.bootstrap import Column, Groups
from routebench.metrics.estimates import UNPRICED, is_binary
from routebench.metrics.per_query import Columns, Means, PerQuery, Values
from routebench.metrics.statistics import (
    Interval,
    bootstrap_p,
    difference,
    holm,
    interval,
    mcnemar,
    mde,
    ranks,
)
from routebench.records import Floats
from routebench.schema import Difference

METRICS = ("accuracy", "cost_per_1k", "total_cost_per_1k")
Resampled = tuple[PerQuery, Means]
"""A router or a reference with its means."""
ByMetric = dict[str, Difference]
"""By metric."""


@dataclass(frozen=True)
class Contrast:
    """One paired difference with its raw test."""

    value: float
    samples: Floats
    """[B]."""
    p: float
    test: str
    discordance: float
    mde: float | None
    """None for two that never differ."""

    @cached_property
    def bounds(self) -> Interval:
        return interval(self.samples)


def contrast(metric: str, first: Resampled, second: Resampled, groups: Groups) -> Contrast | None:
    """Return first minus second; None where the metric is not known of both."""
    sides = [
        (measure(metric, p.columns), measure(metric, m.point), measure(metric, m.samples))
        for p, m in (first, second)
    ]
    (a, a_point, a_samples), (b, b_point, b_samples) = sides
    if a is None or b is None or a_point is None or b_point is None:
        return None
    assert a_samples is not None
    assert b_samples is not None
    samples = difference(a_samples, b_samples)
    p, test = _test(metric, a, b, samples, groups)
    discordance, floor = _power(difference(_over_seeds(a), _over_seeds(b)), groups)
    return Contrast(float(difference(a_point, b_point)), samples, p, test, discordance, floor)


def measure(metric: str, values: Values | Columns) -> Floats | None:
    """Return a compared metric from columns or from means; None where costs are not known."""
    if metric == "accuracy":
        return values["score"]
    if "cost" not in values:
        return None
    answers = values["cost"]
    if metric == "total_cost_per_1k" and "router_cost" in values:
        answers = definitions.total_cost(answers, values["router_cost"])
    return definitions.cost_per_1k(answers)


def _test(metric: str, a: Column, b: Column, samples: Floats, groups: Groups) -> tuple[float, str]:
    """Return p by McNemar for independent queries with single 0/1 scores, else by bootstrap."""
    single = a.ndim == b.ndim == 1 and groups.size is None
    if metric == "accuracy" and single and is_binary(a) and is_binary(b):
        return mcnemar(int((a > b).sum()), int((a < b).sum())), "mcnemar"
    return bootstrap_p(samples), "bootstrap"


def _over_seeds(column: Column) -> Floats:
    """Return [n] means of a column [n] or [S, n]."""
    means: Floats = np.atleast_2d(column).mean(axis=0, dtype=np.float64)
    return means


def _power(paired: Floats, groups: Groups) -> tuple[float, float | None]:
    """Return the discordance of [n] differences, and what they could detect.

    Rows drawn together count for as many independent ones as give the same variance.
    """
    discordance = float((paired**2).mean())
    spread = float((groups.sum(paired) ** 2).sum())
    if not discordance or not spread or not math.isfinite(spread):
        return discordance, None
    return discordance, mde(discordance, discordance * len(paired) ** 2 / spread)


def differences(pairs: Sequence[tuple[Resampled, Resampled]], groups: Groups) -> list[ByMetric]:
    """Return first minus second of each pair; p is Holm-adjusted over the pairs, per metric."""
    result: list[ByMetric] = [{} for _ in pairs]
    for metric in METRICS:
        contrasts = _contrasts(metric, pairs, groups)
        usable = [c is not None and math.isfinite(c.value) for c in contrasts]
        adjusted = iter(holm([c.p for c, ok in zip(contrasts, usable, strict=True) if c and ok]))
        for by_metric, one, ok in zip(result, contrasts, usable, strict=True):
            by_metric[metric] = _difference(metric, one, float(next(adjusted)) if ok else None)
    return result


def _contrasts(
    metric: str, pairs: Sequence[tuple[Resampled, Resampled]], groups: Groups
) -> list[Contrast | None]:
    """Return the contrast of each pair; those of the same means are made once."""
    known: dict[tuple[Means, Means], Contrast | None] = {}
    for first, second in pairs:
        if (key := (first[1], second[1])) not in known:
            known[key] = contrast(metric, first, second, groups)
    return [known[first[1], second[1]] for first, second in pairs]


def against(
    routers: Mapping[str, Resampled], reference: Resampled, groups: Groups
) -> dict[str, ByMetric]:
    """Return each router's difference from one reference; Holm over the routers."""
    result = differences([(router, reference) for router in routers.values()], groups)
    return dict(zip(routers, result, strict=True))


def _difference(metric: str, contrast: Contrast | None, p: float | None) -> Difference:
    if contrast is None or p is None:
        reason = UNPRICED if contrast is None else "the router's own cost is not known"
        return Difference(value=None, reason=reason)
    bounds = contrast.bounds
    power = (
        {"discordance": contrast.discordance, "mde": contrast.mde} if metric == "accuracy" else {}
    )
    return Difference.model_validate(
        {"value": contrast.value, "low": bounds.low, "high": bounds.high}
        | {"p": p, "p_raw": contrast.p, "test": contrast.test}
        | power
    )


def rank(routers: Mapping[str, Resampled], groups: Groups) -> dict[str, int]:
    """Rank routers: 1 + the number of those significantly more accurate, all pairs compared."""
    sides = list(routers.values())
    value, p = np.zeros((len(sides), len(sides))), np.ones((len(sides), len(sides)))
    known: dict[tuple[Means, Means], tuple[float, float]] = {}
    for i, j in combinations(range(len(sides)), 2):
        if (key := (sides[i][1], sides[j][1])) not in known:
            pair = contrast("accuracy", sides[i], sides[j], groups)
            assert pair is not None
            known[key] = pair.value, pair.p
        value[i, j], p[i, j] = known[key]
    return dict(zip(routers, ranks(value, p), strict=True))
