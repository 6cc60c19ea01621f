"""Routers by task, topic and user, with resamples drawn within each value of the facet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from routebench.metrics.bootstrap import Groups
from routebench.metrics.definitions import gain_at
from routebench.metrics.estimates import (
    UNDEFINED,
    UNPRICED,
    base_metrics,
    estimate,
    is_binary,
    null,
)
from routebench.metrics.per_query import Means, PerQuery, resample
from routebench.metrics.setting import Setting
from routebench.records import Floats, Mask, Strings
from routebench.schema import Estimate, Facet

RESAMPLES = 1000
LIMIT = 200
"""A facet with more values than this is no table anyone reads."""
KINDS = ("task", "topic", "user")
GAINS = {
    "gain_at_random": ("reference", "random"),
    "gain_at_best": ("reference", "best_single"),
}

Name = tuple[str, str]
"""("router" or "reference", its name): a router may be called like a reference."""


@dataclass(frozen=True)
class Section:
    """The queries of one facet value: how many, and every entrant's means on them."""

    n: int
    independent: int
    """Clusters among them."""
    entrants: dict[Name, PerQuery]
    means: dict[Name, Means]
    _known: dict[Means, Facet] = field(default_factory=dict)

    def facet(self, name: Name) -> Facet:
        """Return the facet of one router; that of the same means is made once."""
        means = self.means[name]
        if means not in self._known:
            self._known[means] = _facet(self, name)
        return self._known[means]


Sections = dict[str, dict[str, Section]]
"""By kind of facet, then by its value."""


def sections(
    setting: Setting, entrants: Mapping[Name, PerQuery], resamples: int, seed: int
) -> Sections:
    """Measure every entrant on every value of every facet that has at most `LIMIT` of them."""
    by_kind: Sections = {}
    for k, kind in enumerate(KINDS):
        rows = rows_by_value(setting.facets.get(kind))
        if rows is not None:
            by_kind[kind] = {
                value: _section(setting, entrants, of_value, resamples, seed, 1 + k * LIMIT + i)
                for i, (value, of_value) in enumerate(rows.items())
            }
    return by_kind


def rows_by_value(labels: Strings | None) -> dict[str, Mask] | None:
    """Return the rows [n] of each label; None without labels, or with more than `LIMIT`."""
    values = [] if labels is None else sorted({str(v) for v in labels if v is not None})
    if labels is None or len(values) > LIMIT:
        return None
    names = np.array([None if v is None else str(v) for v in labels], dtype=object)
    return {value: names == value for value in values}


def _section(
    setting: Setting,
    entrants: Mapping[Name, PerQuery],
    rows: Mask,
    resamples: int,
    seed: int,
    stream: int,
) -> Section:
    within = {
        name: PerQuery({k: v[..., rows] for k, v in p.columns.items() if k in ("score", "cost")})
        for name, p in entrants.items()
    }
    clusters = setting.clusters[rows]
    means = resample(list(within.values()), clusters, resamples, seed, stream)
    count = Groups.of(clusters, len(clusters)).count
    return Section(len(clusters), count, within, dict(zip(within, means, strict=True)))


def _facet(section: Section, name: Name) -> Facet:
    entrant, means = section.entrants[name], section.means[name]
    exact = section.independent if is_binary(entrant.columns["score"]) else 0
    point, samples = base_metrics(means.point), base_metrics(means.samples)
    cost = null(UNPRICED)
    if "cost_per_1k" in point:
        cost = estimate(float(point["cost_per_1k"]), samples["cost_per_1k"])
    accuracy = estimate(float(point["accuracy"]), samples["accuracy"], exact=exact)
    return Facet(n=section.n, accuracy=accuracy, cost_per_1k=cost)


def gains(tasks: Mapping[str, Section] | None, router: Name) -> dict[str, Estimate]:
    """Return `gain_at_random`, `gain_at_best`: mean over tasks of accuracy / reference - 1.

    Resampled within each task, so that the tasks keep their sizes. None tells of too many tasks.
    """
    if tasks is None:
        return {metric: null(f"more than {LIMIT} tasks") for metric in GAINS}
    if not tasks:
        return {metric: null("no scored query has a task") for metric in GAINS}
    estimates = {}
    for metric, reference in GAINS.items():
        point = gain_at(_scores(tasks, router), _scores(tasks, reference))
        samples = gain_at(_samples(tasks, router), _samples(tasks, reference))
        estimates[metric] = estimate(float(point), samples, UNDEFINED[metric], ratio=True)
    return estimates


def worst(users: Mapping[str, Section] | None, router: Name) -> Estimate:
    """Return the lowest mean score of any user; each user's queries are resampled separately."""
    if users is None:
        return null(f"more than {LIMIT} users")
    point = float(_scores(users, router).min())
    return estimate(point, _samples(users, router).min(axis=1))


def _scores(tasks: Mapping[str, Section], name: Name) -> Floats:
    """Return [tasks] accuracy."""
    return np.array([section.means[name].point["score"] for section in tasks.values()])


def _samples(tasks: Mapping[str, Section], name: Name) -> Floats:
    """Return [B, tasks] accuracy."""
    return np.stack([s.means[name].samples["score"] for s in tasks.values()], axis=-1)
