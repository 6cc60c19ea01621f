"""Avengers-Pro: what each model got and cost in the clusters nearest to a query."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.plugin.selection import best
from routebench.records import Decisions, Floats, Ints, Queries
from routebench_routers.neighbours import shrunk_means
from routebench_routers.published.clusters import indicators, kmeans, unit
from routebench_routers.published.examples import Examples, VectorRouter

_PER_CLUSTER = 20  # training queries at least, on average


class AvengersPro(VectorRouter):
    """k-means clusters of queries; each ranks the models by performance against cost.

    A query's nearest clusters, weighed by softmax(-beta · (1 - cosine)), vote with
    alpha · p + (1 - alpha) · (1 - c): p is a model's mean score in the cluster, brought to [0, 1]
    over the models, and c its mean cost there over the dearest one's.

    Source: Avengers (arXiv 2505.19797) and Avengers-Pro (2508.12631). Preset `paper`: 64 clusters
    of ten starts, the three nearest, beta 9, alpha .7, no shrinkage.

    Deviations: mean scores are shrunk to the models' overall means, as small clusters are noise;
    the number of clusters and the shrinkage are chosen on validation; alpha is that of the run's
    objective (1 for accuracy alone) unless it is set, and the run's curves trade the expected score
    itself.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        clusters: int | None = Field(
            None, ge=1, description="clusters; 16, 32 or 64 by validation if unset"
        )
        nearest: int = Field(3, ge=1, description="clusters that vote on a query")
        beta: float = Field(9.0, ge=0, description="how much more the nearer ones weigh")
        alpha: float | None = Field(
            None, ge=0, le=1, description="weight of performance; the run's objective if unset"
        )
        shrinkage: float | None = Field(
            None, ge=0, description="pseudo-queries in every cluster; by validation if unset"
        )
        starts: int = Field(30, ge=1, description="starts of k-means")

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"clusters": 64, "nearest": 3, "alpha": 0.7, "shrinkage": 0.0, "starts": 10}
    }

    libraries = ("encoder", "sklearn.cluster")
    effort = 3
    options: Options
    centres: Floats
    """[clusters, d]"""
    means: Floats
    """[clusters, m] mean scores."""
    prices: Floats | None = None
    """[clusters, m] mean costs over the dearest model's."""

    def candidates(self, train: Examples) -> Sequence[dict[str, float]]:
        several = (16, 32, 64) if self.options.clusters is None else (self.options.clusters,)
        most = max(1, len(train) // _PER_CLUSTER)
        counts = sorted({min(each, most) for each in several})
        given = self.options.shrinkage
        strengths = (1.0, 10.0, 100.0) if given is None else (given,)
        # From many small clusters, taken as they are, to few that are close to the overall means.
        return [
            {"clusters": count, "shrinkage": strength}
            for strength in strengths
            for count in reversed(counts)
        ]

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        count = int(self.chosen["clusters"])
        if count not in self._clustered or held is None:
            self._clustered[count] = kmeans(train.vectors, count, self.options.starts, context.seed)
        self.centres, labels = self._clustered[count]
        groups = indicators(labels, len(self.centres))
        self.means = shrunk_means(groups, train.scores, max(self.chosen["shrinkage"], 1e-9))
        if train.costs is not None:
            price = shrunk_means(groups, train.costs, max(self.chosen["shrinkage"], 1e-9))
            dearest = price.max(axis=1, keepdims=True)
            self.prices = price / np.where(dearest > 0, dearest, 1.0)

    @cached_property
    def _clustered(self) -> dict[int, tuple[Floats, Ints]]:
        """Return the clusterings of this fit, by the number of clusters."""
        return {}

    def expected(self, vectors: Floats) -> Floats:
        quality: Floats = self._weights(vectors) @ self.means
        return quality

    def decide(self, queries: Queries) -> Decisions:
        objective = self.chooser.objective
        alpha = self.options.alpha
        if alpha is None:
            total = objective.performance + objective.cost
            alpha = objective.performance / total if total > 0 else 1.0
        vectors = self._vectors(list(queries.text))
        weights = self._weights(vectors)
        votes = self._spread(weights @ votes_of(self.means, self.prices, alpha))
        quality = self._spread(weights @ self.means)
        return Decisions(best(votes, self.chooser.cost), quality=quality)

    def _weights(self, vectors: Floats) -> Floats:
        return cluster_weights(vectors, self.centres, self.options.nearest, self.options.beta)


def cluster_weights(vectors: Floats, centres: Floats, nearest: int, beta: float) -> Floats:
    """Return [n, clusters] the weights of each vector's nearest clusters; they sum to 1."""
    distance = 1.0 - unit(vectors) @ unit(centres).T
    furthest = np.sort(distance, axis=1)[:, min(nearest, len(centres)) - 1]
    near = distance <= furthest[:, None] + 1e-9
    weight = np.where(near, np.exp(-beta * distance), 0.0)
    shares: Floats = weight / weight.sum(axis=1, keepdims=True)
    return shares


def votes_of(means: Floats, prices: Floats | None, alpha: float) -> Floats:
    """Return [clusters, m] alpha · performance + (1 - alpha) · (1 - cost), both within [0, 1]."""
    low, high = means.min(axis=1, keepdims=True), means.max(axis=1, keepdims=True)
    performance: Floats = (means - low) / np.where(high > low, high - low, 1.0)
    if prices is None:
        return performance
    votes: Floats = alpha * performance + (1 - alpha) * (1 - prices)
    return votes
