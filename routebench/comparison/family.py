"""The family of a gate: all routers by all gated metrics, tested together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from routebench.comparison.measures import MetricPair, quality, saving, spending
from routebench.comparison.paired import CommonQueries, RouterPair
from routebench.comparison.rules import AUTO, Margins, Metric, Rules, split
from routebench.comparison.schema import Comparison
from routebench.comparison.verdict import Verdict, queries_needed, verdicts
from routebench.errors import DataError
from routebench.metrics.effects import Effect, weighed


@dataclass(frozen=True)
class _Case:
    """One router and metric."""

    pair: RouterPair
    metric: Metric
    measure: MetricPair | None
    reason: str | None
    """Why there is no measure."""


def comparisons(
    queries: CommonQueries, routers: Sequence[RouterPair], metrics: Sequence[Metric], rules: Rules
) -> list[Comparison]:
    """Test all routers by all metrics: routers in order, the metrics of each in order."""
    cases = [
        _case(pair, metric) for pair in routers for metric in metrics if _applies(pair, metric)
    ]
    tested = [case for case in cases if case.measure]
    effects = _effects(queries, [case.measure for case in tested if case.measure])
    margins = [_margin(c, e, rules.margins) for c, e in zip(tested, effects, strict=True)]
    verdict_of, adjusted = verdicts(effects, margins)
    numbers = iter(zip(effects, margins, verdict_of, map(float, adjusted), strict=True))
    return [
        _comparison(case, rules.margins, len(tested), *next(numbers))
        if case.measure
        else missing(case.pair.second.router, case.metric, case.reason or "")
        for case in cases
    ]


def missing(router: str, metric: Metric, reason: str) -> Comparison:
    """Return a failure: a comparison that cannot be made must not pass."""
    return Comparison(router=router, metric=metric, verdict=Verdict.MISSING, reason=reason)


def _applies(pair: RouterPair, metric: Metric) -> bool:
    """Return whether either side has the point of a metric: references have none."""
    point = split(metric)[1]
    if point is None:
        return True
    boards = pair.queries.first.board, pair.queries.second.board
    return any(
        point in row.points
        for board in boards
        for row in board.rows
        if row.router == pair.second.router
    )


def _case(pair: RouterPair, metric: Metric) -> _Case:
    measure, reason = None, None
    ranked_by = pair.queries.second.board.suite.measure
    name, point = split(metric)
    if point is not None:
        try:
            sides = [pair.queries.side(pair.second.router, of, point) for of in (0, 1)]
        except DataError as error:
            return _Case(pair, metric, None, error.message)
        pair = RouterPair.of(*sides)
    if not pair.scored.any():
        reason = "no query on which both sides have a usable answer"
    elif name == "savings":
        reason = "unpriced, or the cost of the routing or of best-single is not known"
        measure = saving(pair)
    elif name == "cost":
        unpriced = pair.queries.outcomes.cost is None
        reason = "the candidate is unpriced" if unpriced else "the routing's own cost is unknown"
        measure = spending(pair)
    elif name != ranked_by:
        reason = f"this suite is measured by {ranked_by}"
    else:
        measure = quality(pair, unit=name == "accuracy")
    return _Case(pair, metric, measure, reason)


def _effects(queries: CommonQueries, measures: Sequence[MetricPair]) -> list[Effect]:
    """Return effects in the order of the metrics, resampled together where they need it."""
    columns = [measure.differences for measure in measures if measure.differences]
    drawn = iter(weighed(columns, queries.setting.clusters))
    return [measure.exact or next(drawn) for measure in measures]


def _margin(case: _Case, effect: Effect, margins: Margins) -> float:
    margin = margins.of(case.metric)
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
    values: dict[str, Any] = {
        "router": case.pair.second.router,
        "metric": case.metric,
        "verdict": verdict,
        "old": case.measure.old,
        "new": case.measure.new,
        "margin_from": "mde" if margins.of(case.metric) == AUTO else "rules",
        "queries": (n := int(case.pair.scored.sum())),
    }
    if math.isnan(effect.value):
        values["reason"] = "relative to a baseline that costs nothing"
        return Comparison.model_validate(values)
    if effect.identical:
        values["reason"] = "decided alike"
    else:
        values["test"] = "mcnemar" if case.measure.exact else "weights"
    if verdict is Verdict.INCONCLUSIVE:
        values["queries_needed"] = queries_needed(effect, margin, n, family)
    numbers = {
        "difference": effect.value,
        "low": effect.low,
        "high": effect.high,
        "p": p,
        "p_raw": effect.p,
        "mde": effect.mde,
        "margin": margin,
    }
    return Comparison.model_validate(values | numbers)
