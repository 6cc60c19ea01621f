"""From a party's means to the estimates on the board, each with its interval or its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from routebench.metrics import definitions
from routebench.metrics.curves import arena_score
from routebench.metrics.parties import BESIDE, Means, Party, Values
from routebench.metrics.statistics import interval, proportion_interval
from routebench.records import Floats
from routebench.schema import Estimate

UNPRICED = "unpriced"
UNDEFINED = {
    "savings_vs_strongest": "the strongest model costs nothing",
    "savings_vs_best_single": "the best single model costs nothing",
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
    """A point value with the interval of its [B] samples.

    `undefined` is the reason given for NaN, `ratio` says that resamples may be undefined too,
    `exact` is the number of independent queries where the value is a mean of 0/1.
    """
    found = proportion_interval(samples, exact) if exact else interval(samples)
    share = found.undefined if ratio else None
    if not math.isfinite(value):
        return null(undefined or "undefined", share)
    low, high = (None, None) if math.isnan(found.low) else (found.low, found.high)
    return Estimate(value=value, low=low, high=high, reason=None, undefined=share)


def null(reason: str, undefined: float | None = None) -> Estimate:
    """An estimate that is not there, and why."""
    return Estimate(value=None, reason=reason, undefined=undefined)


def base_metrics(own: Values) -> dict[str, Floats]:
    """What references and routers share: accuracy, cost, and the three-state metrics."""
    found = {"accuracy": own["score"]}
    if "cost" in own:
        found["cost_per_1k"] = definitions.cost_per_1k(own["cost"])
    if "correct" in own:
        c, i = own["correct"], own["incorrect"]
        found["attempted"] = definitions.attempted(c, i)
        found["accuracy_given_attempted"] = definitions.accuracy_given_attempted(c, i)
        found["f_score"] = definitions.f_score(c, i)
    return found | {name: own[name] for name in BESIDE if name in own}


def router_metrics(own: Values, references: Mapping[str, Values]) -> dict[str, Floats]:
    """Every metric of a router that its means, and those of the references, can give."""
    found = base_metrics(own)
    best = references["best_single"]
    found["gap_recovered"] = definitions.gap_recovered(
        own["score"], best["score"], references["oracle"]["score"]
    )
    if "router_cost" in own:
        found["router_cost_per_1k"] = definitions.cost_per_1k(own["router_cost"])
    if "cost" in own:
        # All-in: a router that spends on routing saves that much less.
        total = definitions.total_cost(own["cost"], own["router_cost"])
        found["total_cost_per_1k"] = definitions.cost_per_1k(total)
        found["savings_vs_best_single"] = definitions.savings(total, best["cost"])
        found["arena_score"] = arena_score(own["score"], found["total_cost_per_1k"])
        if "strongest" in references:
            strongest = references["strongest"]["cost"]
            found["savings_vs_strongest"] = definitions.savings(total, strongest)
    return found


def router_estimates(
    party: Party, means: Means, references: Mapping[str, Means], n: int
) -> dict[str, Estimate]:
    """The metrics of one router on n independent queries."""
    point = router_metrics(means.point, {k: m.point for k, m in references.items()})
    samples = router_metrics(means.samples, {k: m.samples for k, m in references.items()})
    for values, shares in ((point, means.usage), (samples, means.usage_samples)):
        values["usage_entropy"] = definitions.usage_entropy(shares)
        values["top_model_share"] = definitions.top_model_share(shares)
    return _estimates(point, samples, party, n) | _nulls(point, "strongest" in references)


def reference_estimates(party: Party, means: Means, n: int) -> dict[str, Estimate]:
    """The metrics of one reference."""
    point, samples = base_metrics(means.point), base_metrics(means.samples)
    nulls = {} if "cost" in party.columns else {"cost_per_1k": null(UNPRICED)}
    return _estimates(point, samples, party, n) | nulls


def _estimates(
    point: Mapping[str, Floats], samples: Mapping[str, Floats], party: Party, n: int
) -> dict[str, Estimate]:
    exact = {"attempted", "top_model_share"}
    if is_binary(party.columns["score"]):
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


def _nulls(known: Mapping[str, Floats], strongest: bool) -> dict[str, Estimate]:
    nulls = {name: null(UNPRICED) for name in COSTS if name not in known}
    if "savings_vs_strongest" not in known:
        priced = "cost_per_1k" in known
        reason = "no strongest model is known" if priced and not strongest else UNPRICED
        nulls["savings_vs_strongest"] = null(reason)
    return nulls


def is_binary(values: Floats) -> bool:
    """Whether all values are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def usage_intervals(means: Means, n: int) -> list[tuple[float, float]]:
    """Interval of each model's share, for n independent queries."""
    found = [proportion_interval(samples, n) for samples in np.transpose(means.usage_samples)]
    return [(one.low, one.high) for one in found]
