"""The family of a gate: all routers by all gated metrics, tested together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from routebench.gate.measures import Both, Ground, Measure
from routebench.gate.rules import AUTO, Margins, Metric, Rules
from routebench.gate.schema import Comparison
from routebench.gate.verdict import Effect, Verdict, queries_needed, verdicts, weighed


@dataclass(frozen=True)
class _Case:
    """One router and metric."""

    both: Both
    metric: Metric
    measure: Measure | None
    reason: str | None
    """Why there is no measure."""


def comparisons(
    ground: Ground, routers: Sequence[Both], metrics: Sequence[Metric], rules: Rules
) -> list[Comparison]:
    """Routers in order, the metrics of each in order."""
    cases = [_case(both, metric) for both in routers for metric in metrics]
    tested = [case for case in cases if case.measure]
    effects = _effects(ground, [case.measure for case in tested if case.measure])
    margins = [_margin(c, e, rules.margins) for c, e in zip(tested, effects, strict=True)]
    told, adjusted = verdicts(effects, margins)
    numbers = iter(zip(effects, margins, told, map(float, adjusted), strict=True))
    return [
        _comparison(case, rules.margins, len(tested), *next(numbers))
        if case.measure
        else missing(case.both.router, case.metric, case.reason or "")
        for case in cases
    ]


def missing(router: str, metric: Metric, reason: str) -> Comparison:
    """What cannot be compared fails: it may not pass unseen."""
    return Comparison(router=router, metric=metric, verdict=Verdict.MISSING, reason=reason)


def _case(both: Both, metric: Metric) -> _Case:
    measure, reason = None, None
    ranked_by = both.ground.new.board.suite.measure
    if not both.scored.any():
        reason = "no query on which both sides have a usable answer"
    elif metric == "cost":
        unpriced = both.new.answers is None
        reason = "the candidate is unpriced" if unpriced else "the routing's own cost is unknown"
        measure = both.spending()
    elif metric != ranked_by:
        reason = f"this suite is measured by {ranked_by}"
    else:
        measure = both.quality(unit=metric == "accuracy")
    return _Case(both, metric, measure, reason)


def _effects(ground: Ground, measures: Sequence[Measure]) -> list[Effect]:
    """In the order of the measures; what needs resampling is resampled together."""
    columns = [measure.paired for measure in measures if measure.paired]
    drawn = iter(weighed(columns, ground.clusters))
    return [measure.exact or next(drawn) for measure in measures]


def _margin(case: _Case, effect: Effect, margins: Margins) -> float:
    margin = getattr(margins, case.metric)
    return effect.mde if margin == AUTO else float(margin)


def _comparison(
    case: _Case,
    margins: Margins,
    family: int,
    effect: Effect,
    margin: float,
    verdict: Verdict,
    p: float,
) -> Comparison:
    assert case.measure is not None
    told: dict[str, Any] = {
        "router": case.both.router,
        "metric": case.metric,
        "verdict": verdict,
        "old": case.measure.old,
        "new": case.measure.new,
        "margin_from": "mde" if getattr(margins, case.metric) == AUTO else "rules",
        "queries": (n := int(case.both.scored.sum())),
    }
    if math.isnan(effect.value):
        told["reason"] = "relative to a baseline that costs nothing"
        return Comparison.model_validate(told)
    if effect.identical:
        told["reason"] = "decided alike"
    else:
        told["test"] = "mcnemar" if case.measure.exact else "weights"
    if verdict is Verdict.INCONCLUSIVE:
        told["queries_needed"] = queries_needed(effect, margin, n, family)
    numbers = {
        "difference": effect.value,
        "low": effect.low,
        "high": effect.high,
        "p": p,
        "p_raw": effect.p,
        "mde": effect.mde,
        "margin": margin,
    }
    return Comparison.model_validate(told | numbers)
