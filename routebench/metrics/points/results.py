"""Results of routers at their operating points, from the same resamples as their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from routebench.metrics import contrasts
from routebench.metrics.bootstrap import Groups
from routebench.metrics.contrasts import Resampled
from routebench.metrics.estimates import RouterEstimates, null
from routebench.metrics.headroom import ChosenCells, over_mix
from routebench.metrics.per_query import (
    PerQuery,
    collapsed,
    reference_columns,
    resample,
    router_columns,
)
from routebench.metrics.points.verdict import PointScores
from routebench.metrics.setting import RouterChoices, Setting
from routebench.plugin.selection import COVERED
from routebench.records import Mask
from routebench.schema import BEST_SINGLE, Estimate, PointResult

REFERENCE = "a reference, which claims nothing"
Place = tuple[str, str]
"""Router and point."""


@dataclass(frozen=True)
class AtPoint:
    """One router at one point, on the queries on which all models it considers answered."""

    routed: RouterChoices
    """Its choices at the point, on all scored queries."""
    lambdas: list[float | None]
    rows: Mask
    """[n] the queries that count."""

    @property
    def whole(self) -> bool:
        """Return whether that is all of them, so that rows and points share their resamples."""
        return bool(self.rows.all())

    def columns(self, setting: Setting) -> PerQuery:
        """Return its columns; `setting` holds the queries that count."""
        taken = self.routed.take(self.rows)
        return router_columns(taken, np.ones(len(setting.best_single), dtype=np.bool_), setting)


def at_points(setting: Setting, routed: Iterable[RouterChoices]) -> dict[Place, AtPoint]:
    """Return every router at every point it has, but its own choice, which is its row."""
    places = {}
    for one in routed:
        if not one.points or (rows := covered_rows(setting, one)).mean() < COVERED:
            continue
        for point, (choice, fixed) in one.points.items():
            cost = one.router_cost
            # Where one fixed model stands in, nothing is routed.
            spent = None if cost is None else np.where(fixed, 0.0, cost)
            at = RouterChoices(
                one.name,
                choice,
                spent,
                answer_cost=one.point_cost.get(point),
                reference=one.reference,
            )
            places[one.name, point] = AtPoint(at, one.lambdas[point], rows)
    return places


def covered_rows(setting: Setting, one: RouterChoices) -> Mask:
    """Mask [n] queries answered by all models that a router considers, and by the references."""
    needed = one.considered
    needed[list(setting.cost_bounds)] = True
    for fixed in setting.fixed.values():
        needed[fixed] = True
    rows: Mask = np.logical_and.reduce(setting.outcomes.ok[:, needed], axis=1)
    return rows


def resampled_apart(
    setting: Setting, places: Mapping[Place, AtPoint], resamples: int, seed: int
) -> list[tuple[dict[Place, Resampled], Resampled, RouterEstimates, Groups]]:
    """Return points with holes, resampled with their references, by the queries that count.

    Beside them the best single model.
    """
    by_rows: dict[bytes, list[Place]] = {}
    for place, one in places.items():
        if not one.whole:
            by_rows.setdefault(one.rows.tobytes(), []).append(place)
    made = []
    for same in by_rows.values():
        part = setting.take(places[same[0]].rows)
        references = reference_columns(part)
        columns = [places[place].columns(part) for place in same]
        means = iter(resample([*columns, *references.values()], part.clusters, resamples, seed))
        points = {place: (own, next(means)) for place, own in zip(same, columns, strict=True)}
        known = {name: next(means) for name in references}
        groups = Groups.of(part.clusters, len(part.clusters))
        best = references["best_single"], known["best_single"]
        made.append((points, best, RouterEstimates(known, groups.count), groups))
    return made


def results(
    setting: Setting,
    places: Mapping[Place, AtPoint],
    resampled: Mapping[Place, Resampled],
    best: Resampled,
    estimates: RouterEstimates,
    groups: Groups,
) -> dict[Place, PointResult]:
    """Return results of points on the same queries; p is adjusted over the routers at a point."""
    against = _against_best_single(resampled, best, groups)
    models = setting.pool.models
    made = {}
    for place, (own, means) in resampled.items():
        lambdas = places[place].lambdas
        made[place] = PointResult(
            n=int(places[place].rows.sum()),
            lambdas=lambdas,
            fixed=sum(value is None for value in lambdas) / len(lambdas),
            metrics=estimates.of(own, means) | {"over_mix": matching(setting, places[place])},
            against={BEST_SINGLE: against[place]},
            usage=dict(zip(models, means.usage.tolist(), strict=True)),
        )
    return made


def matching(setting: Setting, one: AtPoint) -> Estimate:
    """Return what matching queries to models is worth at a point; nothing for references."""
    if one.routed.reference:
        return null(REFERENCE)
    part = setting if one.whole else setting.take(one.rows)
    choice = np.atleast_2d(collapsed(one.routed.choice[:, one.rows]))
    return over_mix(part.outcomes, choice, part.clusters)


def _against_best_single(
    resampled: Mapping[Place, Resampled], best: Resampled, groups: Groups
) -> dict[Place, contrasts.ByMetric]:
    by_point: dict[str, list[Place]] = {}
    for place in resampled:
        by_point.setdefault(place[1], []).append(place)
    made: dict[Place, contrasts.ByMetric] = {}
    for places in by_point.values():
        pairs = [(resampled[place], best) for place in places]
        made |= dict(zip(places, contrasts.differences(pairs, groups), strict=True))
    return made


def compared(setting: Setting, one: RouterChoices, place: AtPoint | None) -> PointScores:
    """Return a router's scores at its point, or of its own choice, beside the best single's."""
    choice, rows = one.choice, np.ones(len(setting.best_single), dtype=np.bool_)
    if place is not None:
        choice, rows = place.routed.choice, place.rows
    part, choice = setting.take(rows), choice[:, rows]
    choice = np.atleast_2d(collapsed(choice))
    return PointScores(
        ChosenCells.of(part.outcomes, choice).score,
        ChosenCells.of(part.outcomes, part.best_single).score,
        part.clusters,
        same=bool((choice == part.best_single).all()),
    )
