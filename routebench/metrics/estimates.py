"""From means to the estimates on the board, each with its interval or its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from routebench.metrics import definitions
from routebench.metrics.curves import arena_score
from routebench.metrics.per_query import BESIDE, Means, PerQuery, Values
from routebench.metrics.statistics import interval, proportion_interval
from routebench.records import Floats
from routebench.schema import Estimate

UNPRICED = "unpriced"
BY_LENGTH = {
    "half": "savings_if_dearer_half_length",
    "double": "savings_if_dearer_double_length",
}
"""Savings against the best single model, were the assumed answers of dearer models that long."""
UNDEFINED = {
    "savings_vs_most_expensive": "the most expensive model costs nothing",
    "savings_vs_best_single": "the best single model costs nothing",
    "savings_if_dearer_half_length": "the best single model costs nothing",
    "savings_if_dearer_double_length": "the best single model costs nothing",
    "gap_recovered": "the oracle is no better than the best single model",
    "gain_at_random": "a task on which random scores 0",
    "gain_at_best": "a task on which the best single model scores 0",
    "accuracy_given_attempted": "nothing was attempted",
    "router_cost_per_1k": "the router's own cost is not known",
    "total_cost_per_1k": "the router's own cost is not known",
    "arena_score": "neither accurate nor cheap",
}
"""Why a metric may be null although its inputs are there."""
RATIOS = frozenset(UNDEFINED) - {"router_cost_per_1k", "total_cost_per_1k"}
"""Metrics that can be undefined in a resample; for them that share is reported."""


COSTS = (
    "cost_per_1k",
    "router_cost_per_1k",
    "total_cost_per_1k",
    "savings_vs_best_single",
    "arena_score",
)
"""Metrics that need prices."""


def estimate(
    value: float, samples: Floats, undefined: str = "", ratio: bool = False, exact: int = 0
) -> Estimate:
    """Return a point value with the interval of its [B] samples.

    `undefined` is the reason given for NaN, `ratio` says that resamples may be undefined too,
    `exact` is the number of independent queries where the value is a mean of 0/1.
    """
    bounds = proportion_interval(samples, exact) if exact else interval(samples)
    share = bounds.undefined if ratio else None
    if not math.isfinite(value):
        return null(undefined or "undefined", share)
    low, high = (None, None) if math.isnan(bounds.low) else (bounds.low, bounds.high)
    return Estimate(value=value, low=low, high=high, reason=None, undefined=share)


def null(reason: str, undefined: float | None = None) -> Estimate:
    """Return an undefined estimate with its reason."""
    return Estimate(value=None, reason=reason, undefined=undefined)


def base_metrics(means: Values) -> dict[str, Floats]:
    """Return the metrics of references and routers alike: accuracy, cost, three-state metrics."""
    metrics = {"accuracy": means["score"]}
    if "cost" in means:
        metrics["cost_per_1k"] = definitions.cost_per_1k(means["cost"])
    if "correct" in means:
        c, i = means["correct"], means["incorrect"]
        metrics["attempted"] = definitions.attempted(c, i)
        metrics["accuracy_given_attempted"] = definitions.accuracy_given_attempted(c, i)
        metrics["f_score"] = definitions.f_score(c, i)
    return metrics | {name: means[name] for name in BESIDE if name in means}


def router_metrics(means: Values, references: Mapping[str, Values]) -> dict[str, Floats]:
    """Return every metric of a router that its means, and those of the references, can give."""
    metrics = base_metrics(means)
    best = references["best_single"]
    metrics["gap_recovered"] = definitions.gap_recovered(
        means["score"], best["score"], references["oracle"]["score"]
    )
    if "router_cost" in means:
        metrics["router_cost_per_1k"] = definitions.cost_per_1k(means["router_cost"])
    if "cost" in means:
        # All-in: a router that spends on routing saves that much less.
        total = definitions.total_cost(means["cost"], means["router_cost"])
        metrics["total_cost_per_1k"] = definitions.cost_per_1k(total)
        metrics["savings_vs_best_single"] = definitions.savings(total, best["cost"])
        metrics["arena_score"] = arena_score(means["score"], metrics["total_cost_per_1k"])
        if "most_expensive" in references:
            most_expensive = references["most_expensive"]["cost"]
            metrics["savings_vs_most_expensive"] = definitions.savings(total, most_expensive)
        for name in BY_LENGTH:
            if (column := f"cost_{name}") in means and column in best:
                spent = definitions.total_cost(means[column], means["router_cost"])
                metrics[BY_LENGTH[name]] = definitions.savings(spent, best[column])
    return metrics


@dataclass(frozen=True)
class RouterEstimates:
    """The metrics of routers beside the same references; those of the same means are made once."""

    references: Mapping[str, Means]
    n: int
    """Independent queries."""
    _known: dict[Means, dict[str, Estimate]] = field(default_factory=dict)

    def of(self, entrant: PerQuery, means: Means) -> dict[str, Estimate]:
        """Return the metrics of one router."""
        if means not in self._known:
            self._known[means] = self._made(entrant, means)
        return dict(self._known[means])

    def _made(self, entrant: PerQuery, means: Means) -> dict[str, Estimate]:
        others = self.references
        point = router_metrics(means.point, {k: m.point for k, m in others.items()})
        samples = router_metrics(means.samples, {k: m.samples for k, m in others.items()})
        for values, shares in ((point, means.usage), (samples, means.usage_samples)):
            values["usage_entropy"] = definitions.usage_entropy(shares)
            values["top_model_share"] = definitions.top_model_share(shares)
        made = _estimates(point, samples, entrant, self.n)
        return made | _nulls(point, "most_expensive" in others)


def reference_estimates(entrant: PerQuery, means: Means, n: int) -> dict[str, Estimate]:
    """Return the metrics of one reference."""
    point, samples = base_metrics(means.point), base_metrics(means.samples)
    nulls = {} if "cost" in entrant.columns else {"cost_per_1k": null(UNPRICED)}
    return _estimates(point, samples, entrant, n) | nulls


def _estimates(
    point: Mapping[str, Floats], samples: Mapping[str, Floats], entrant: PerQuery, n: int
) -> dict[str, Estimate]:
    exact = {"attempted", "top_model_share"}
    if is_binary(entrant.columns["score"]):
        exact.add("accuracy")
    return {
        name: estimate(
            float(value),
            samples[name],
            UNDEFINED.get(name, ""),
            name in RATIOS,
            n if name in exact else 0,
        )
        for name, value in point.items()
    }


def _nulls(known: Mapping[str, Floats], most_expensive: bool) -> dict[str, Estimate]:
    nulls = {name: null(UNPRICED) for name in COSTS if name not in known}
    if "savings_vs_most_expensive" not in known:
        priced = "cost_per_1k" in known
        reason = "no most expensive model is known" if priced and not most_expensive else UNPRICED
        nulls["savings_vs_most_expensive"] = null(reason)
    return nulls


def is_binary(values: Floats) -> bool:
    """Return whether all values are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def usage_intervals(means: Means, n: int) -> list[tuple[float, float]]:
    """Return the interval of each model's share, for n independent queries."""
    intervals = [proportion_interval(samples, n) for samples in np.transpose(means.usage_samples)]
    return [(one.low, one.high) for one in intervals]
