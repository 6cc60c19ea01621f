"""Score every router of a run on the same queries, with intervals, comparisons and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from routebench.errors import DataError
from routebench.metrics import contrasts, headroom
from routebench.metrics.bootstrap import CROSSED_SEEDS, Groups
from routebench.metrics.contrasts import ByMetric, Resampled
from routebench.metrics.estimates import (
    RouterEstimates,
    null,
    reference_estimates,
    usage_intervals,
)
from routebench.metrics.facets import RESAMPLES as FACET_RESAMPLES
from routebench.metrics.facets import Sections, gains, sections, worst
from routebench.metrics.per_query import (
    PerQuery,
    collapsed,
    reference_columns,
    resample,
    router_columns,
)
from routebench.metrics.points.judge import judge, savings_at, verdict_of
from routebench.metrics.points.point import MOST_ACCURATE, WITHIN_1PP, Point
from routebench.metrics.points.results import (
    REFERENCE,
    at_points,
    resampled_apart,
    results,
)
from routebench.metrics.points.verdict import PointVerdict
from routebench.metrics.policies import policies
from routebench.metrics.predictions import RESAMPLES as CURVE_RESAMPLES
from routebench.metrics.predictions import Predictions, predictions, reference_curves
from routebench.metrics.setting import RouterChoices, Setting, missing_share, scorable, state_counts
from routebench.metrics.statistics import ALPHA, difference, mde
from routebench.records import Mask
from routebench.schema import (
    BEST_SINGLE,
    REFERENCES,
    BelowBestSingle,
    CurvePoint,
    Estimate,
    Facet,
    Measure,
    PointResult,
    Policies,
    RouterVerdict,
    collapse,
)

DISCORDANCE = 0.1
"""Two routers of one kind often differ on about as many queries: what a run can tell then."""

__all__ = ["Evaluation", "RouterChoices", "Scores", "Setting", "evaluate"]


@dataclass(frozen=True)
class Scores:
    """One router's part of the board; the fields are those of `board.schema.Row`."""

    rank: int
    interval_scope: Literal["queries and seeds", "this checkpoint only"]
    metrics: dict[str, Estimate]
    seed_spread: dict[str, float]
    against: dict[str, ByMetric]
    usage: dict[str, float]
    usage_interval: dict[str, tuple[float, float]]
    by_task: dict[str, Facet]
    by_topic: dict[str, Facet]
    by_user: dict[str, Facet]
    policies: Policies | None
    pair: tuple[str, str] | None
    points: dict[str, PointResult]
    verdict: RouterVerdict | None
    mde: float | None
    curve: list[CurvePoint]
    warnings: list[str]

    def as_row(self) -> dict[str, Any]:
        """Return the keyword arguments for a `Row`."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation: a run's routers, references and diagnostics."""

    routers: dict[str, Scores]
    references: dict[str, dict[str, Estimate]]
    headroom: float
    disagreement: float
    routable: float
    cheapest_dominates: bool | None
    """Whether no single model is more accurate than the cheapest; None when unpriced."""
    mde: float | None
    mde_of: str | None
    scored: int
    left_out: int
    missing: float
    states: dict[str, int]


@dataclass(frozen=True)
class _Entrants:
    """Routers and references with their means on the scored queries."""

    setting: Setting
    judged: Point
    groups: Groups
    routers: dict[str, Resampled]
    references: dict[str, Resampled]
    estimates: RouterEstimates
    sections: Sections
    predictions: dict[str, Predictions]
    policies: dict[str, Policies]
    points: dict[str, dict[str, PointResult]]
    """By router, then point: all but the router's own choice."""
    verdicts: dict[str, PointVerdict]
    over_mix: dict[str, Estimate]


def evaluate(
    setting: Setting,
    routed: list[RouterChoices],
    resamples: int = 10_000,
    seed: int = 0,
    against: Sequence[str] = (),
    judged: Point = WITHIN_1PP,
) -> Evaluation:
    """Score routers against the references of a setting, and against some of themselves.

    Learned ones are judged at the point `judged`, or by their own choice where that is all they
    have. All are scored on the queries on which every model that any of them chose is OK. Raises
    `DataError` where no such query is left.
    """
    scored = scorable(setting, routed)
    states = state_counts(setting.outcomes)
    if not scored.any():
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        raise DataError(
            f"none of {len(scored)} test queries can be scored: each lacks a model that was chosen",
            f"test cells by state: {counts}",
        )
    _check_complete(setting, scored)
    entrants = _measure(setting.take(scored), routed, scored, resamples, seed, judged)
    compared = _against(entrants, against)
    curves = reference_curves(entrants.setting, min(resamples, CURVE_RESAMPLES), seed)
    smallest = None
    if setting.measure == "accuracy":
        smallest = mde(DISCORDANCE, entrants.groups.count)
    return Evaluation(
        routers=_scores(entrants, compared),
        references={
            name: reference_estimates(entrant, means, entrants.groups.count) | curves.get(name, {})
            for name, (entrant, means) in entrants.references.items()
        },
        **_headroom(entrants),
        mde=smallest,
        mde_of=None
        if smallest is None
        else f"two sides of which one alone is right on {DISCORDANCE:.0%} of the queries",
        scored=int(scored.sum()),
        left_out=int((~scored).sum()),
        missing=missing_share(states),
        states=states,
    )


def _check_complete(setting: Setting, scored: Mask) -> None:
    """Raise for an OK cell without a number: it would turn every mean into nothing."""
    ok = setting.outcomes.ok & scored[:, None]
    for name in ("score", "cost"):
        values = getattr(setting.outcomes, name)
        if values is not None and not np.isfinite(values[ok]).all():
            raise DataError(f"a test cell in state ok has no {name}")


def _measure(
    setting: Setting,
    routed: list[RouterChoices],
    scored: Mask,
    resamples: int,
    seed: int,
    judged: Point,
) -> _Entrants:
    routers = {one.name: router_columns(one, scored, setting) for one in routed}
    if len(routers) < len(routed):
        raise ValueError("two routers of one name")
    references = reference_columns(setting)
    routed = [one.take(scored) for one in routed]
    places = at_points(setting, routed)
    whole = {place: one.columns(setting) for place, one in places.items() if one.whole}
    entrants = [*routers.values(), *references.values(), *whole.values()]
    means = iter(resample(entrants, setting.clusters, resamples, seed))
    policies_of = policies(setting, routed, resamples, seed)  # next, on the resamples just drawn
    within = {("router", name): entrant for name, entrant in routers.items()}
    within |= {("reference", name): references[name] for name in ("random", "best_single")}
    groups = Groups.of(setting.clusters, len(setting.clusters))
    by_router = {name: (entrant, next(means)) for name, entrant in routers.items()}
    by_reference = {name: (entrant, next(means)) for name, entrant in references.items()}
    at_whole = {place: (entrant, next(means)) for place, entrant in whole.items()}
    estimates = RouterEstimates(
        {name: means for name, (_, means) in by_reference.items()}, groups.count
    )
    found = results(setting, places, at_whole, by_reference["best_single"], estimates, groups)
    for part in resampled_apart(setting, places, resamples, seed):
        found |= results(setting, places, *part)
    points: dict[str, dict[str, PointResult]] = {}
    for (router, point), result in found.items():
        points.setdefault(router, {})[point] = result
    return _Entrants(
        setting,
        judged,
        groups,
        by_router,
        by_reference,
        estimates,
        sections(setting, within, min(resamples, FACET_RESAMPLES), seed),
        predictions(
            setting,
            [one.once() for one in routed],
            min(resamples, CURVE_RESAMPLES),
            seed,
        ),
        policies_of,
        points,
        judge(setting, routed, places, judged, resamples, seed),
        {
            one.name: null(REFERENCE)
            if one.reference
            else headroom.over_mix(
                setting.outcomes, np.atleast_2d(collapsed(one.choice)), setting.clusters
            )
            for one in routed
        },
    )


def _against(entrants: _Entrants, routers: Sequence[str]) -> dict[str, dict[str, ByMetric]]:
    """Return differences by reference or router, then by router and metric."""
    others = {name: entrants.routers[name] for name in routers if name in entrants.routers}
    others |= {
        name: entrants.references[key]
        for name, key in REFERENCES.items()
        if key in entrants.references
    }
    return {
        name: contrasts.against(entrants.routers, other, entrants.groups)
        for name, other in others.items()
    }


def _scores(
    entrants: _Entrants, against: Mapping[str, Mapping[str, ByMetric]]
) -> dict[str, Scores]:
    ranks = contrasts.rank(entrants.routers, entrants.groups)
    return {
        name: _router(
            entrants,
            name,
            ranks[name],
            {other: by_router[name] for other, by_router in against.items()},
        )
        for name in entrants.routers
    }


def _router(entrants: _Entrants, name: str, rank: int, against: dict[str, ByMetric]) -> Scores:
    entrant, means = entrants.routers[name]
    models = entrants.setting.pool.models
    usage = dict(zip(models, means.usage.tolist(), strict=True))
    by = {kind: _facets(entrants.sections, kind, name) for kind in ("task", "topic", "user")}
    predicted = entrants.predictions[name]
    metrics = _metrics(entrants, name)
    points = dict(entrants.points.get(name, {}))
    if name in entrants.verdicts:
        points[MOST_ACCURATE.name] = PointResult(
            n=len(entrants.setting.best_single),
            metrics={m: metrics[m] for m in metrics if m not in entrants.predictions[name].metrics},
            against={BEST_SINGLE: against[BEST_SINGLE]},
            usage=usage,
        )
    for task, pair in predicted.by_task.items():
        if task in by["task"]:
            by["task"][task] = by["task"][task].model_copy(update={"pair": pair})
    return Scores(
        rank=rank,
        interval_scope=(
            "queries and seeds" if entrant.seeds >= CROSSED_SEEDS else "this checkpoint only"
        ),
        metrics=metrics | savings_at(points),
        seed_spread=_seed_spread(entrant),
        against=against,
        usage=usage,
        usage_interval=dict(
            zip(models, usage_intervals(means, entrants.groups.count), strict=True)
        ),
        by_task=by["task"],
        by_topic=by["topic"],
        by_user=by["user"],
        policies=entrants.policies.get(name),
        pair=predicted.pair,
        points=points,
        verdict=verdict_of(name, entrants.verdicts.get(name), points, entrants.judged),
        mde=against[BEST_SINGLE]["accuracy"].mde,
        curve=predicted.curve,
        warnings=_warnings(usage, against, entrants.setting.measure),
    )


def _metrics(entrants: _Entrants, name: str) -> dict[str, Estimate]:
    entrant, means = entrants.routers[name]
    metrics = entrants.estimates.of(entrant, means)
    metrics |= entrants.predictions[name].metrics
    metrics["over_mix"] = entrants.over_mix[name]
    if "task" in entrants.setting.facets and not entrants.setting.beside:
        metrics |= gains(entrants.sections.get("task"), ("router", name))
    if entrants.setting.beside:
        metrics["worst_user"] = worst(entrants.sections.get("user"), ("router", name))
    return metrics


def _facets(by_kind: Sections, kind: str, router: str) -> dict[str, Facet]:
    return {
        value: section.facet(("router", router)) for value, section in by_kind.get(kind, {}).items()
    }


def _seed_spread(entrant: PerQuery) -> dict[str, float]:
    """Return the standard deviation over seeds of accuracy and cost per 1k."""
    if entrant.seeds < 2:
        return {}
    spread = {}
    for metric in ("accuracy", "cost_per_1k"):
        column = contrasts.measure(metric, entrant.columns)
        if column is not None:
            by_seed = np.atleast_2d(column).mean(axis=1)
            spread[metric] = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else 0.0
    return spread


def _warnings(
    usage: Mapping[str, float], against: Mapping[str, ByMetric], measure: Measure
) -> list[str]:
    warnings = [str(collapsed)] if (collapsed := collapse(usage)) else []
    quality = against[BEST_SINGLE]["accuracy"]
    if quality.value is not None and quality.value < 0 and (quality.p or 0) < ALPHA:
        warnings.append(str(BelowBestSingle(measure)))
    return warnings


def _headroom(entrants: _Entrants) -> dict[str, Any]:
    outcomes = entrants.setting.outcomes
    score = {name: float(m.point["score"]) for name, (_, m) in entrants.references.items()}
    dominates = None
    if "cheapest" in score:
        dominates = bool(difference(score["cheapest"], score["best_single_hindsight"]) >= 0)
    return {
        "headroom": float(difference(score["oracle"], score["best_single"])),
        "disagreement": headroom.disagreement(outcomes),
        "routable": headroom.routable(outcomes, entrants.setting.best_single),
        "cheapest_dominates": dominates,
    }
