"""Routers by task, topic and user, with resamples drawn within each value of the facet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
from routebench.metrics.parties import Means, Party, resample
from routebench.metrics.setting import Setting
from routebench.records import Floats, Mask
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
    """The queries of one facet value: how many, and every party's means on them."""

    n: int
    independent: int
    """Clusters among them."""
    parties: dict[Name, Party]
    means: dict[Name, Means]


Sections = dict[str, dict[str, Section]]
"""By kind of facet, then by its value."""


def sections(
    setting: Setting, parties: Mapping[Name, Party], resamples: int, seed: int
) -> Sections:
    """Every party on every value of every facet that has at most `LIMIT` of them."""
    found: Sections = {}
    for k, kind in enumerate(KINDS):
        labels = setting.facets.get(kind)
        values = [] if labels is None else sorted({str(v) for v in labels if v is not None})
        if labels is None or len(values) > LIMIT:
            continue
        names = np.array(["" if v is None else str(v) for v in labels], dtype=object)
        present = np.array([v is not None for v in labels], dtype=np.bool_)
        found[kind] = {
            value: _section(
                setting, parties, (names == value) & present, resamples, seed, 1 + k * LIMIT + i
            )
            for i, value in enumerate(values)
        }
    return found


def _section(
    setting: Setting,
    parties: Mapping[Name, Party],
    rows: Mask,
    resamples: int,
    seed: int,
    stream: int,
) -> Section:
    within = {
        name: Party({k: v[..., rows] for k, v in p.columns.items() if k in ("score", "cost")})
        for name, p in parties.items()
    }
    clusters = setting.clusters[rows]
    means = resample(list(within.values()), clusters, resamples, seed, stream)
    count = Groups.of(clusters, len(clusters)).count
    return Section(len(clusters), count, within, dict(zip(within, means, strict=True)))


def facet(section: Section, name: Name) -> Facet:
    """One router on one section."""
    party, means = section.parties[name], section.means[name]
    exact = section.independent if is_binary(party.columns["score"]) else 0
    point, samples = base_metrics(means.point), base_metrics(means.samples)
    cost = null(UNPRICED)
    if "cost_per_1k" in point:
        cost = estimate(float(point["cost_per_1k"]), samples["cost_per_1k"])
    accuracy = estimate(float(point["accuracy"]), samples["accuracy"], exact=exact)
    return Facet(n=section.n, accuracy=accuracy, cost_per_1k=cost)


def gains(tasks: Mapping[str, Section] | None, router: Name) -> dict[str, Estimate]:
    """`gain_at_random`, `gain_at_best`: mean over tasks of accuracy / reference - 1.

    Resampled within each task, so that the tasks keep their sizes. None tells of too many tasks.
    """
    if tasks is None:
        return {metric: null(f"more than {LIMIT} tasks") for metric in GAINS}
    found = {}
    for metric, reference in GAINS.items():
        point = gain_at(_scores(tasks, router), _scores(tasks, reference))
        samples = gain_at(_samples(tasks, router), _samples(tasks, reference))
        found[metric] = estimate(float(point), samples, UNDEFINED[metric], ratio=True)
    return found


def worst(users: Mapping[str, Section] | None, router: Name) -> Estimate:
    """The least mean score of any user; each user's queries are resampled by themselves."""
    if users is None:
        return null(f"more than {LIMIT} users")
    point = float(_scores(users, router).min())
    return estimate(point, _samples(users, router).min(axis=1))


def _scores(tasks: Mapping[str, Section], name: Name) -> Floats:
    """[tasks] accuracy."""
    return np.array([section.means[name].point["score"] for section in tasks.values()])


def _samples(tasks: Mapping[str, Section], name: Name) -> Floats:
    """[B, tasks] accuracy."""
    return np.stack([s.means[name].samples["score"] for s in tasks.values()], axis=-1)
