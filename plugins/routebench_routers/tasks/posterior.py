"""The task posterior: predict the task from the text, then score the models by task."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder
from routebench.records import Floats, Queries, Table
from routebench.routers.quality_router import QualityRouter
from routebench_routers.neighbours import shrunk_means
from routebench_routers.tasks.classifier import TaskClassifier

STRENGTHS = (1.0, 5.0, 20.0, 100.0, 400.0, 1e6)
"""The last makes all tasks alike: right where tasks do not tell the models apart."""


class TaskPosterior(QualityRouter):
    """A model's expected quality is its mean score by task, weighed by the text's P(task).

    P(task | text) is a multinomial logistic regression (C = 10) on the run's encoder, learned from
    the tasks of training queries; the query's own task is never needed. A task's mean scores are
    shrunk to the models' overall means by as many pseudo-queries as do best on validation.

    Source: the plug-in rule E[y | x] = Σ P(t | x) E[y | t], with the shrinkage of James and Stein
    (1961) at a tuned strength; no published router is followed. Deviation from the plain rule: what
    a text says beyond its task is not used at all.
    """

    family = "by task"

    class Options(BaseModel):
        shrinkage: float | None = Field(
            None, gt=0, description="pseudo-queries in every task; tuned on validation if unset"
        )
        C: float = Field(10.0, gt=0, description="inverse penalty of the task classifier")

    learns_from = ("task",)
    libraries = ("encoder", "sklearn.linear_model")
    deterministic = True
    cheap_fit = True
    effort = 2
    options: Options
    encoder: FittedEncoder
    tasks: TaskClassifier
    means: Floats
    """[tasks, m] shrunk mean scores."""
    shrinkage: float

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        assert train.queries.task is not None
        self.encoder = context.encoder
        vectors, checked = self._vectors(train.queries), self._vectors(validation.queries)
        self.tasks = TaskClassifier.learn(vectors, train.queries.task, self.options.C)
        groups = self.tasks.indicators(train.queries.task)
        posterior = self.tasks.probabilities(checked)
        reached = -np.inf
        given = self.options.shrinkage
        for strength in (given,) if given else STRENGTHS:
            means = shrunk_means(groups, train.outcomes.score, strength)
            value = self.chooser.value(posterior @ means, validation)
            if value >= reached:  # of equals, the stronger shrinkage, which is tried later
                reached, self.means, self.shrinkage = value, means, strength
        context.progress(1.0, f"{len(means)} tasks, each with {self.shrinkage:g} pseudo-queries")

    def relearn(self, table: Table, context: Context) -> None:
        assert table.queries.task is not None
        self.encoder = context.encoder
        vectors = self._vectors(table.queries)
        self.tasks = TaskClassifier.learn(vectors, table.queries.task, self.options.C)
        groups = self.tasks.indicators(table.queries.task)
        self.means = shrunk_means(groups, table.outcomes.score, self.shrinkage)

    def predict(self, queries: Queries) -> Floats:
        quality: Floats = self.tasks.probabilities(self._vectors(queries)) @ self.means
        return quality

    def facts(self) -> dict[str, str | float]:
        """Return the tasks known and the shrinkage kept."""
        return {"tasks": len(self.tasks.names), "shrinkage": self.shrinkage}

    def _vectors(self, queries: Queries) -> Floats:
        return np.asarray(self.encoder.encode(list(queries.text)), dtype=np.float64)
