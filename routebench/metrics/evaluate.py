"""Score every router of a run on the same queries, with intervals, comparisons and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any, Literal

import numpy as np

from routebench.errors import DataError
from routebench.metrics import contrasts, headroom
from routebench.metrics.bootstrap import CROSSED_SEEDS, Groups
from routebench.metrics.estimates import (
    reference_estimates,
    router_estimates,
    usage_intervals,
)
from routebench.metrics.facets import RESAMPLES as FACET_RESAMPLES
from routebench.metrics.facets import Sections, facet, gains, sections, worst
from routebench.metrics.parties import Means, Party, reference_parties, resample, router_party
from routebench.metrics.policies import policies
from routebench.metrics.predictions import RESAMPLES as CURVE_RESAMPLES
from routebench.metrics.predictions import Predictions, predictions, reference_curves
from routebench.metrics.setting import Routed, Setting, missing_share, scorable, state_counts
from routebench.metrics.statistics import ALPHA
from routebench.records import Mask
from routebench.schema import (
    BelowBestSingle,
    CurvePoint,
    Difference,
    Estimate,
    Facet,
    Measure,
    OperatingPoint,
    Policies,
    collapse,
)

__all__ = ["Evaluation", "Routed", "Scores", "Setting", "evaluate"]

REFERENCES = {"best-single": "best_single", "strongest": "strongest", "random": "random"}
"""What routers are compared with, as the board names it."""


@dataclass(frozen=True)
class Scores:
    """One router's part of the board; the fields are those of `board.schema.Row`."""

    rank: int
    interval_scope: Literal["queries and seeds", "this checkpoint only"]
    metrics: dict[str, Estimate]
    seed_spread: dict[str, float]
    against: dict[str, dict[str, Difference]]
    usage: dict[str, float]
    usage_interval: dict[str, tuple[float, float]]
    by_task: dict[str, Facet]
    by_topic: dict[str, Facet]
    by_user: dict[str, Facet]
    policies: Policies | None
    operating_points: dict[str, OperatingPoint]
    curve: list[CurvePoint]
    warnings: list[str]

    def as_row(self) -> dict[str, Any]:
        """Keyword arguments for a `Row`."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class Evaluation:
    """All that the test outcomes say of a run's routers and of its data."""

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
    kept: Mask
    """[n] the queries that were scored."""


@dataclass(frozen=True)
class _Field:
    """Everyone with their means on the scored queries."""

    setting: Setting
    groups: Groups
    routers: dict[str, tuple[Party, Means]]
    references: dict[str, tuple[Party, Means]]
    sections: Sections
    predictions: dict[str, Predictions]
    policies: dict[str, Policies]


def evaluate(
    setting: Setting,
    routed: list[Routed],
    resamples: int = 10_000,
    seed: int = 0,
    against: Sequence[str] = (),
) -> Evaluation:
    """Score routers against the references of a setting, and against some of themselves.

    All are scored on the queries on which every model that any of them chose is OK. Raises
    `DataError` where no such query is left.
    """
    kept = scorable(setting, routed)
    states = state_counts(setting.outcomes)
    if not kept.any():
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        raise DataError(
            f"none of {len(kept)} test queries can be scored: each lacks a model that was chosen",
            f"test cells by state: {counts}",
        )
    _check_complete(setting, kept)
    everyone = _measure(setting.take(kept), routed, kept, resamples, seed)
    compared = _against(everyone, against)
    curves = reference_curves(everyone.setting, min(resamples, CURVE_RESAMPLES), seed)
    smallest = _median_mde(compared)
    return Evaluation(
        routers=_scores(everyone, compared),
        references={
            name: reference_estimates(party, means, everyone.groups.count) | curves.get(name, {})
            for name, (party, means) in everyone.references.items()
        },
        **_headroom(everyone),
        mde=smallest,
        mde_of=None
        if smallest is None
        else f"{setting.measure} against best-single, median of the routers",
        scored=int(kept.sum()),
        left_out=int((~kept).sum()),
        missing=missing_share(states),
        states=states,
        kept=kept,
    )


def _check_complete(setting: Setting, kept: Mask) -> None:
    """An OK cell without a number would turn every mean into nothing."""
    ok = setting.outcomes.ok & kept[:, None]
    for name in ("score", "cost"):
        values = getattr(setting.outcomes, name)
        if values is not None and not np.isfinite(values[ok]).all():
            raise DataError(f"a test cell in state ok has no {name}")


def _measure(
    setting: Setting, routed: list[Routed], kept: Mask, resamples: int, seed: int
) -> _Field:
    routers = {one.name: router_party(one, kept, setting) for one in routed}
    if len(routers) < len(routed):
        raise ValueError("two routers of one name")
    references = reference_parties(setting)
    parties = [*routers.values(), *references.values()]
    means = iter(resample(parties, setting.clusters, resamples, seed))
    asked = [one.take(kept) for one in routed]
    within = {("router", name): party for name, party in routers.items()}
    within |= {("reference", name): references[name] for name in ("random", "best_single")}
    return _Field(
        setting,
        Groups.of(setting.clusters, len(setting.clusters)),
        {name: (party, next(means)) for name, party in routers.items()},
        {name: (party, next(means)) for name, party in references.items()},
        sections(setting, within, min(resamples, FACET_RESAMPLES), seed),
        predictions(
            setting,
            [one.once() for one in asked],
            min(resamples, CURVE_RESAMPLES),
            seed,
        ),
        policies(setting, asked, resamples, seed),
    )


def _against(
    everyone: _Field, routers: Sequence[str]
) -> dict[str, dict[str, dict[str, Difference]]]:
    """By reference or router, by router and metric."""
    others = {name: everyone.routers[name] for name in routers if name in everyone.routers}
    others |= {
        name: everyone.references[key]
        for name, key in REFERENCES.items()
        if key in everyone.references
    }
    return {
        name: contrasts.against(everyone.routers, other, everyone.groups)
        for name, other in others.items()
    }


def _scores(
    everyone: _Field, against: Mapping[str, Mapping[str, dict[str, Difference]]]
) -> dict[str, Scores]:
    ranks = contrasts.rank(everyone.routers, everyone.groups)
    return {
        name: _router(
            everyone, name, ranks[name], {other: found[name] for other, found in against.items()}
        )
        for name in everyone.routers
    }


def _router(
    everyone: _Field, name: str, rank: int, against: dict[str, dict[str, Difference]]
) -> Scores:
    party, means = everyone.routers[name]
    models = everyone.setting.pool.models
    usage = dict(zip(models, means.usage.tolist(), strict=True))
    by = {kind: _facets(everyone.sections, kind, name) for kind in ("task", "topic", "user")}
    predicted = everyone.predictions[name]
    for task, pair in predicted.by_task.items():
        if task in by["task"]:
            by["task"][task] = by["task"][task].model_copy(update={"pair": pair})
    return Scores(
        rank=rank,
        interval_scope=(
            "queries and seeds" if party.seeds >= CROSSED_SEEDS else "this checkpoint only"
        ),
        metrics=_metrics(everyone, name),
        seed_spread=_seed_spread(party),
        against=against,
        usage=usage,
        usage_interval=dict(
            zip(models, usage_intervals(means, everyone.groups.count), strict=True)
        ),
        by_task=by["task"],
        by_topic=by["topic"],
        by_user=by["user"],
        policies=everyone.policies.get(name),
        operating_points=predicted.points,
        curve=predicted.curve,
        warnings=_warnings(usage, against, everyone.setting.measure),
    )


def _metrics(everyone: _Field, name: str) -> dict[str, Estimate]:
    party, means = everyone.routers[name]
    references = {key: found for key, (_, found) in everyone.references.items()}
    metrics = router_estimates(party, means, references, everyone.groups.count)
    metrics |= everyone.predictions[name].metrics
    if "task" in everyone.setting.facets and not everyone.setting.beside:
        metrics |= gains(everyone.sections.get("task"), ("router", name))
    if everyone.setting.beside:
        metrics["worst_user"] = worst(everyone.sections.get("user"), ("router", name))
    return metrics


def _facets(found: Sections, kind: str, router: str) -> dict[str, Facet]:
    return {
        value: facet(section, ("router", router)) for value, section in found.get(kind, {}).items()
    }


def _seed_spread(party: Party) -> dict[str, float]:
    """Standard deviation over seeds of accuracy and cost per 1k."""
    if party.seeds < 2:
        return {}
    spread = {}
    for metric in ("accuracy", "cost_per_1k"):
        column = contrasts.measure(metric, party.columns)
        if column is not None:
            by_seed = np.atleast_2d(column).mean(axis=1)
            spread[metric] = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else 0.0
    return spread


def _warnings(
    usage: Mapping[str, float], against: Mapping[str, dict[str, Difference]], measure: Measure
) -> list[str]:
    found = [str(collapsed)] if (collapsed := collapse(usage)) else []
    quality = against["best-single"]["accuracy"]
    if quality.value is not None and quality.value < 0 and (quality.p or 0) < ALPHA:
        found.append(str(BelowBestSingle(measure)))
    return found


def _median_mde(against: Mapping[str, Mapping[str, dict[str, Difference]]]) -> float | None:
    known = [row["accuracy"].mde for row in against["best-single"].values()]
    differing = [value for value in known if value is not None]
    return median(differing) if differing else None


def _headroom(everyone: _Field) -> dict[str, Any]:
    outcomes = everyone.setting.outcomes
    score = {name: float(m.point["score"]) for name, (_, m) in everyone.references.items()}
    dominates = None
    if "cheapest" in score:
        dominates = score["cheapest"] >= score["best_single_hindsight"]
    return {
        "headroom": score["oracle"] - score["best_single"],
        "disagreement": headroom.disagreement(outcomes),
        "routable": headroom.routable(outcomes, everyone.setting.best_single),
        "cheapest_dominates": dominates,
    }
