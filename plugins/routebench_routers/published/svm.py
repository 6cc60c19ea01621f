"""Support vector machines on query vectors, one per model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats
from routebench_routers.published.examples import Examples, RankingRouter, VectorRouter

_BLOCK = 1024


class SVM(VectorRouter, RankingRouter):
    """A support vector machine (RBF kernel) per model tells whether it is best on a query.

    Source: the SVM router of LLMRouter (github.com/ulab-uiuc/LLMRouter), which classifies a query's
    vector into the model that did best. Preset `paper`: its C of 1 and gamma `scale`.

    Deviations: one machine against the rest for each model, where the source has one for each pair
    of models: a query with several best models is an example for each of them, where the source
    takes the first in its file. A query on which all models tie teaches nothing. C is chosen on
    validation.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        C: float | None = Field(
            None, gt=0, description="inverse penalty; 0.1, 1 or 10 by validation if unset"
        )
        gamma: float | None = Field(
            None, gt=0, description="width of the kernel; one over the vectors' variance if unset"
        )
        kernel_queries: int = Field(
            4000, ge=10, description="training queries at most; of more, evenly spaced ones by text"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"C": 1.0}}

    libraries = ("encoder", "sklearn.svm")
    deterministic = True
    effort = 30
    options: Options
    points: Floats
    """[s, d] support vectors of any model."""
    weights: Floats
    """[m, s]"""
    intercepts: Floats
    """[m]"""
    gamma: float

    def candidates(self, train: Examples) -> Sequence[dict[str, float]]:
        given = self.options.C
        return [{"C": each} for each in ((10.0, 1.0, 0.1) if given is None else (given,))]

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        best = train.best()
        rows = np.flatnonzero(best.any(axis=1))
        most = self.options.kernel_queries
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        points, wanted = train.vectors[rows], best[rows] > 0
        self.gamma = self.options.gamma or _scale(points)
        kernel = rbf(points, points, self.gamma)
        m = train.scores.shape[1]
        self.points = points
        self.weights, self.intercepts = np.zeros((m, len(points))), np.zeros(m)
        for model in range(m):
            known = train.known[rows, model]
            self.weights[model], self.intercepts[model] = _machine(
                kernel[np.ix_(known, known)], wanted[known, model], known, self.chosen["C"]
            )

    def ranking(self, vectors: Floats) -> Floats:
        parts = [
            rbf(vectors[start : start + _BLOCK], self.points, self.gamma) @ self.weights.T
            for start in range(0, max(1, len(vectors)), _BLOCK)
        ]
        ranks: Floats = np.concatenate(parts) + self.intercepts
        return ranks


def rbf(one: Floats, other: Floats, gamma: float) -> Floats:
    """Return [n, k] exp(-gamma · squared distance) of vectors [n, d] and [k, d]."""
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    kernel: Floats = np.exp(-gamma * np.maximum(squared, 0.0))
    return kernel


def _scale(points: Floats) -> float:
    """Return scikit-learn's gamma `scale`: 1 / (width · variance)."""
    spread = points.shape[1] * float(points.var()) if points.size else 0.0
    return 1.0 / spread if spread > 0 else 1.0


def _machine(kernel: Floats, wanted: Any, known: Any, penalty: float) -> tuple[Floats, float]:
    """Return the weight of every point, and the intercept; the share's sign where one class is."""
    from sklearn.svm import SVC

    weights = np.zeros(len(known))
    if not len(wanted) or wanted.all() or not wanted.any():
        return weights, 1.0 if len(wanted) and wanted.all() else -1.0
    fitted = SVC(C=penalty, kernel="precomputed", cache_size=500).fit(kernel, wanted)
    weights[np.flatnonzero(known)[fitted.support_]] = fitted.dual_coef_[0]
    return weights, float(fitted.intercept_[0])
