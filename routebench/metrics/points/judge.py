"""Judge the learned routers of a run, each at its one point fixed before the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from routebench.metrics.points.point import MOST_ACCURATE, Point
from routebench.metrics.points.results import AtPoint, Place, compared
from routebench.metrics.points.verdict import PointVerdict, point_verdicts
from routebench.metrics.points.words import router_verdict
from routebench.metrics.setting import RouterChoices, Setting
from routebench.schema import Estimate, PointResult, RouterVerdict

SAVINGS = {
    "savings_at_iso_accuracy": "same-accuracy",
    "savings_at_iso_accuracy_1pp": "within-1pp",
}
"""Metrics of a row that are savings at a point."""


def judge(
    setting: Setting,
    routed: Sequence[RouterChoices],
    places: Mapping[Place, AtPoint],
    judged: Point,
    resamples: int,
    seed: int,
) -> dict[str, PointVerdict]:
    """Return verdicts on the learned routers; none where savings or accuracy are not known."""
    if setting.measure != "accuracy" or setting.outcomes.cost is None:
        return {}
    scores = {
        one.name: compared(setting, one, places.get((one.name, judged.name)))
        for one in routed
        if not one.reference
    }
    return point_verdicts(scores, judged.value, resamples, seed)


def verdict_of(
    router: str, made: PointVerdict | None, points: Mapping[str, PointResult], judged: Point
) -> RouterVerdict | None:
    """Return the verdict as boards hold it: at `judged`, or by the router's own choice."""
    if made is None:
        return None
    point = judged.name if judged.name in points else MOST_ACCURATE.name
    saved = points[point].metrics["savings_vs_best_single"]
    return router_verdict(router, point, judged.value, made, saved)


def savings_at(points: Mapping[str, PointResult]) -> dict[str, Estimate]:
    """Return the savings at the points that every router with trade-offs has."""
    return {
        metric: points[name].metrics["savings_vs_best_single"]
        for metric, name in SAVINGS.items()
        if name in points
    }
