"""The mean of several simple predictors, or their weighted sum."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field, field_validator

from routebench.hookspecs import Context, FittedEncoder
from routebench.plugin.selection import utility
from routebench.records import Floats, Queries, Table
from routebench.routers.quality_router import QualityRouter
from routebench_routers.ensemble.members import (
    Clusters,
    Nearest,
    Predictor,
    RidgeWeights,
    TaskMeans,
    Weighted,
)

Name = Literal["knn", "weighted-knn", "ridge", "clusters", "task-posterior"]
NAMES: tuple[Name, ...] = ("knn", "weighted-knn", "ridge", "clusters", "task-posterior")


class Ensemble(QualityRouter):
    """The mean of simple predictors of every model's score, all from the run's encoder.

    Members: tuned kNN, kNN over all weighed by exp(8 · cosine), ridge regression, shrunk clusters
    (after Avengers-Pro, arXiv 2508.12631), and the task posterior where training knows tasks; each
    is tuned on validation. What decides is the weighted sum of their row-centred predictions (a
    query's mean over the models taken off, as what is common to all models chooses nothing). The
    weights are non-negative and fitted by least squares to the row-centred scores of validation,
    which no member was trained on: stacked regressions (Wolpert 1992, Breiman 1996). With
    `combine = "mean"` they are equal.

    Never below its best member on validation beyond noise: where one member's choices are better
    there than the ensemble's by more than `margin` standard errors of the paired difference, that
    member routes alone. The default is the two-sided 5% limit for five such comparisons; a smaller
    one would follow the luck of the best of five.
    """

    family = "learned from texts"

    class Options(BaseModel):
        members: tuple[Name, ...] = Field(NAMES, min_length=1, description="predictors to combine")
        combine: Literal["stacked", "mean"] = Field(
            "stacked", description="non-negative weights fitted on validation, or equal ones"
        )
        margin: float = Field(
            2.6, ge=0, description="standard errors by which one member must lead to route alone"
        )

        @field_validator("members")
        @classmethod
        def _once(cls, value: tuple[Name, ...]) -> tuple[Name, ...]:
            if len(set(value)) < len(value):
                raise ValueError("each member once")
            return value

    cheap_fit = True
    effort = 6
    options: Options
    encoder: FittedEncoder
    weights: dict[str, float]
    """By member; those that are there were learned."""
    knn: Nearest | None = None
    weighted: Weighted | None = None
    ridge: RidgeWeights | None = None
    clusters: Clusters | None = None
    tasks: TaskMeans | None = None
    note: str = ""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Return those of its members."""
        more = ("sklearn.cluster",) if "clusters" in self.options.members else ()
        return ("encoder", "sklearn.linear_model", *more)

    @property
    def deterministic(self) -> bool:
        """Return whether no member draws random numbers: k-means does."""
        return "clusters" not in self.options.members

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self.encoder = context.encoder
        self._learn_members(train, validation, context)
        members = self._members
        checked = self._vectors(validation.queries)
        predicted = {name: member.predict(checked) for name, member in members.items()}
        self.weights = self._fitted(predicted, validation)
        leader = self._leader(predicted, validation)
        if leader is not None:
            self.weights = {name: float(name == leader) for name in members}
        self.note = self._described(predicted, validation, leader)
        context.progress(1.0, self.note)

    def relearn(self, table: Table, context: Context) -> None:
        self.encoder = context.encoder
        vectors = self._vectors(table.queries)
        if self.knn is not None:
            self.knn = self.knn.again(vectors, table)
        if self.weighted is not None:
            self.weighted = Weighted(vectors, table.outcomes.score)
        if self.ridge is not None:
            self.ridge = self.ridge.again(vectors, table)
        if self.clusters is not None:
            self.clusters = self.clusters.again(vectors, table, context.seed)
        if self.tasks is not None:
            self.tasks = self.tasks.again(vectors, table)

    def predict(self, queries: Queries) -> Floats:
        vectors = self._vectors(queries)
        used = {name: one for name, one in self._members.items() if self.weights[name] > 0}
        return self._combined({name: one.predict(vectors) for name, one in used.items()})

    def facts(self) -> dict[str, str | float]:
        """Return the members' weights and what each gets on validation."""
        return {"members": self.note}

    @property
    def _members(self) -> dict[str, Predictor]:
        found = (self.knn, self.weighted, self.ridge, self.clusters, self.tasks)
        return {n: one for n, one in zip(NAMES, found, strict=True) if one is not None}

    def _learn_members(self, train: Table, validation: Table, context: Context) -> None:
        wanted, scores = set(self.options.members), train.outcomes.score
        if train.queries.task is None and wanted != {"task-posterior"}:
            wanted.discard("task-posterior")
        vectors, checked = self._vectors(train.queries), self._vectors(validation.queries)

        def value(quality: Floats) -> float:
            return self.chooser.value(quality, validation)

        if "knn" in wanted:
            self.knn = Nearest.learn(vectors, scores, checked, value)
        if "weighted-knn" in wanted:
            self.weighted = Weighted(vectors, scores)
        if "ridge" in wanted:
            self.ridge = RidgeWeights.learn(vectors, train, checked, value)
        if "clusters" in wanted:
            self.clusters = Clusters.learn(vectors, scores, checked, value, context.seed)
        if "task-posterior" in wanted:
            self.tasks = TaskMeans.learn(vectors, train, checked, value)

    def _fitted(self, predicted: dict[str, Floats], validation: Table) -> dict[str, float]:
        """Return the members' weights: equal ones, or those that fit validation."""
        equal = dict.fromkeys(predicted, 1.0 / len(predicted))
        score = validation.outcomes.score
        rows = np.isfinite(score).all(axis=1)
        if self.options.combine == "mean" or rows.sum() < 2 * len(predicted):
            return equal
        from scipy.optimize import nnls

        columns = [_centred(one[rows]).reshape(-1) for one in predicted.values()]
        weights, _ = nnls(np.stack(columns, axis=1), _centred(score[rows]).reshape(-1))
        return dict(zip(predicted, map(float, weights), strict=True)) if weights.any() else equal

    def _leader(self, predicted: dict[str, Floats], validation: Table) -> str | None:
        """Return the member that is better than all together on validation, beyond noise."""
        value = utility(validation.outcomes.score, self.chooser.cost, self.chooser.objective)
        rows = np.arange(len(validation))
        together = value[rows, self.chooser.choose(self._combined(predicted))]
        reached, leader = 0.0, None
        for name, quality in predicted.items():
            lead = value[rows, self.chooser.choose(quality)] - together
            lead = lead[np.isfinite(lead)]
            error = lead.std(ddof=1) / np.sqrt(len(lead)) if len(lead) > 1 else np.inf
            if len(lead) and lead.mean() > max(reached, self.options.margin * error):
                reached, leader = float(lead.mean()), name
        return leader

    def _combined(self, predicted: dict[str, Floats]) -> Floats:
        """Return [n, m] the weighted sum of what is centred, at the mean level of the members."""
        level = np.mean([one.mean(axis=1, keepdims=True) for one in predicted.values()], axis=0)
        parts = (self.weights[name] * _centred(one) for name, one in predicted.items())
        quality: Floats = level + sum(parts)
        return quality

    def _described(
        self, predicted: dict[str, Floats], validation: Table, leader: str | None
    ) -> str:
        parts = [
            f"{name} {self.chooser.value(one, validation):.4f}"
            + (f" (weight {self.weights[name]:.2f})" if self.options.combine == "stacked" else "")
            for name, one in predicted.items()
        ]
        alone = f"; {leader} routes alone" if leader else ""
        return f"on validation {', '.join(parts)}{alone}"

    def _vectors(self, queries: Queries) -> Floats:
        return np.asarray(self.encoder.encode(list(queries.text)), dtype=np.float64)


def _centred(quality: Floats) -> Floats:
    centred: Floats = quality - quality.mean(axis=1, keepdims=True)
    return centred
