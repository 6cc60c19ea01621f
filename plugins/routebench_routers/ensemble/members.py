"""The predictors of the ensemble: each from vectors to the models' expected scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from routebench.records import Floats, Table
from routebench_routers.linear import PENALTIES, fit_ridge
from routebench_routers.neighbours import Neighbours, prior_scores, shrunk_means
from routebench_routers.tasks.classifier import TaskClassifier
from routebench_routers.tasks.posterior import STRENGTHS

_NEIGHBOURS = (5, 10, 20, 50, 100, 200, 400)
_SHARPNESS = 8.0  # of the weights of similar queries, exp(8 · cosine)
_SOFTNESS = 9.0  # of the nearest clusters' weights, as in Avengers-Pro
_NEAREST = 3
_PER_CLUSTER = 20  # training queries at least, on average
_CLUSTERS = 32
_BLOCK = 512

Value = Callable[[Floats], float]
"""Value on validation of choosing by a predicted quality."""


class Predictor(Protocol):
    """One predictor."""

    def predict(self, vectors: Floats) -> Floats:
        """Return [n, m] the expected score of every model, for vectors [n, d]."""


@dataclass(frozen=True)
class Nearest:
    """Mean score over the k nearest training queries, k tuned on validation, as in `knn`."""

    vectors: Floats
    scores: Floats
    k: int

    @classmethod
    def learn(cls, vectors: Floats, scores: Floats, checked: Floats, value: Value) -> Nearest:
        everyone = len(vectors)
        ks = sorted({min(k, everyone) for k in (*_NEIGHBOURS, everyone)})
        predicted = Neighbours.of(vectors, scores).predict(checked, ks)
        k = _last_best(ks, [value(quality) for quality in predicted])
        return cls(vectors, scores, int(k))

    def again(self, vectors: Floats, table: Table) -> Nearest:
        """Return the same predictor of other training queries, k as it was chosen."""
        everyone = self.k == len(self.vectors)
        return Nearest(vectors, table.outcomes.score, len(table) if everyone else self.k)

    @cached_property
    def _neighbours(self) -> Neighbours:
        return Neighbours.of(self.vectors, self.scores)

    def predict(self, vectors: Floats) -> Floats:
        return self._neighbours.predict(vectors, [self.k])[0]


@dataclass(frozen=True)
class Weighted:
    """Mean score over all training queries, weighed by exp(8 · cosine)."""

    vectors: Floats
    scores: Floats

    def predict(self, vectors: Floats) -> Floats:
        known = np.isfinite(self.scores).astype(np.float64)
        scores, prior = np.nan_to_num(self.scores), prior_scores(self.scores)
        m, columns = len(prior), np.hstack([known, scores])
        quality = np.empty((len(vectors), m))
        for start in range(0, len(vectors), _BLOCK):
            weight = np.exp(_SHARPNESS * (vectors[start : start + _BLOCK] @ self.vectors.T - 1.0))
            sums = weight @ columns
            doubt = weight.mean(axis=1, keepdims=True)  # the prior counts as one average query
            quality[start : start + _BLOCK] = (sums[:, m:] + doubt * prior) / (sums[:, :m] + doubt)
        return quality


@dataclass(frozen=True)
class RidgeWeights:
    """A ridge regression per model, its penalty tuned on validation."""

    coefficients: Floats
    """[m, d]"""
    intercepts: Floats
    """[m]"""
    penalty: float = 0.0

    @classmethod
    def learn(cls, vectors: Floats, train: Table, checked: Floats, value: Value) -> RidgeWeights:
        fitted = [cls(*fit_ridge(vectors, train, penalty), penalty) for penalty in PENALTIES]
        return fitted[
            _last_best(range(len(fitted)), [value(one.predict(checked)) for one in fitted])
        ]

    def again(self, vectors: Floats, table: Table) -> RidgeWeights:
        """Return a regression on other training queries, with the penalty that was chosen."""
        return RidgeWeights(*fit_ridge(vectors, table, self.penalty), self.penalty)

    def predict(self, vectors: Floats) -> Floats:
        quality: Floats = vectors @ self.coefficients.T + self.intercepts
        return quality


@dataclass(frozen=True)
class Clusters:
    """Mean score in the three nearest clusters of training queries, shrunk, as in Avengers-Pro."""

    centres: Floats
    """[clusters, d] of unit length."""
    means: Floats
    """[clusters, m]"""
    shrinkage: float = 0.0

    @classmethod
    def learn(
        cls, vectors: Floats, scores: Floats, checked: Floats, value: Value, seed: int
    ) -> Clusters:
        centres, members = _clustered(vectors, seed)
        made = [cls(centres, shrunk_means(members, scores, each), each) for each in STRENGTHS]
        return made[_last_best(range(len(made)), [value(one.predict(checked)) for one in made])]

    def again(self, vectors: Floats, table: Table, seed: int) -> Clusters:
        """Return clusters of other training queries, with the shrinkage that was chosen."""
        centres, members = _clustered(vectors, seed)
        means = shrunk_means(members, table.outcomes.score, self.shrinkage)
        return Clusters(centres, means, self.shrinkage)

    def predict(self, vectors: Floats) -> Floats:
        similar = vectors @ self.centres.T
        least = np.sort(similar, axis=1)[:, -min(_NEAREST, similar.shape[1])]
        near = similar >= least[:, None] - 1e-9
        weight = np.where(near, np.exp(_SOFTNESS * (similar - 1.0)), 0.0)
        quality: Floats = (weight / weight.sum(axis=1, keepdims=True)) @ self.means
        return quality


@dataclass(frozen=True)
class TaskMeans:
    """Mean score by task, weighed by the predicted task, as in `task-posterior`."""

    tasks: TaskClassifier
    means: Floats
    """[tasks, m]"""
    shrinkage: float = 0.0

    @classmethod
    def learn(cls, vectors: Floats, train: Table, checked: Floats, value: Value) -> TaskMeans:
        assert train.queries.task is not None
        tasks = TaskClassifier.learn(vectors, train.queries.task, 10.0)
        groups = tasks.indicators(train.queries.task)
        scores = train.outcomes.score
        made = [cls(tasks, shrunk_means(groups, scores, each), each) for each in STRENGTHS]
        return made[_last_best(range(len(made)), [value(one.predict(checked)) for one in made])]

    def again(self, vectors: Floats, table: Table) -> TaskMeans:
        """Return the same of other training queries, with the shrinkage that was chosen."""
        assert table.queries.task is not None
        tasks = TaskClassifier.learn(vectors, table.queries.task, 10.0)
        groups = tasks.indicators(table.queries.task)
        means = shrunk_means(groups, table.outcomes.score, self.shrinkage)
        return TaskMeans(tasks, means, self.shrinkage)

    def predict(self, vectors: Floats) -> Floats:
        quality: Floats = self.tasks.probabilities(vectors) @ self.means
        return quality


def _clustered(vectors: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return centres [clusters, d] of unit length, and whose member each vector is."""
    from sklearn.cluster import KMeans

    k = max(1, min(_CLUSTERS, len(vectors) // _PER_CLUSTER, len(np.unique(vectors, axis=0))))
    fitted = KMeans(k, n_init=10, random_state=seed).fit(vectors)
    norms = np.linalg.norm(fitted.cluster_centers_, axis=1, keepdims=True)
    centres = fitted.cluster_centers_ / np.where(norms > 0, norms, 1.0)
    return centres, np.eye(k)[fitted.labels_]


def _last_best(candidates: Sequence[int], values: Sequence[float]) -> int:
    """Return the candidate of the highest value; of equals the last, which is the smoothest."""
    return candidates[max(range(len(values)), key=lambda at: (values[at], at))]
