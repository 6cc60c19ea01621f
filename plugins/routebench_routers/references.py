"""Reference routers, which any learned router must beat."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, hookimpl
from routebench.plugin.selection import best, by_cost, covered
from routebench.records import Decisions, Floats, Ints, Mask, Pool, Queries, Table
from routebench.routers.state import DeclaredState


def pooled(train: Table, validation: Table) -> tuple[Floats, Mask, Floats | None]:
    """Return both tables' scores [n, m] and OK cells, and the models' mean train cost [m]."""
    scores = np.concatenate([train.outcomes.score, validation.outcomes.score])
    ok = np.concatenate([train.outcomes.ok, validation.outcomes.ok])
    return scores, ok, train.outcomes.mean_cost()


def mean_scores(scores: Floats, ok: Mask) -> Floats:
    """Return [m] the mean over OK cells; NaN for a model without any."""
    counts = ok.sum(axis=0)
    means: Floats = np.full(len(counts), np.nan)
    np.divide(np.where(ok, scores, 0.0).sum(axis=0), counts, out=means, where=counts > 0)
    return means


def _best_covered(scores: Floats, ok: Mask, cost: Floats | None) -> int:
    """Return the model with the best mean score among those scored on at least half the rows."""
    means = np.where(covered(ok), mean_scores(scores, ok), np.nan)
    return int(best(means[None, :], cost)[0])


class Random(DeclaredState):
    """A random model per query, drawn by the seed and the query's text.

    Its expectation is known in closed form: the board's reference `random`.
    """

    family = "references"

    reference = True
    effort = 0.1
    seed: int
    models: int

    @hookimpl
    def fit(self, train: Table, context: Context) -> None:
        self.seed, self.models = context.seed, len(train.pool)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        # Drawn from the text, not from a stream: the decision does not depend on the batch.
        return Decisions(np.array([self._draw(text) for text in queries.text], dtype=np.int64))

    def _draw(self, text: str) -> int:
        # A separate prefix: splits hash "seed:text" too, and must not be correlated with the draw.
        digest = hashlib.sha256(f"random:{self.seed}:{text}".encode()).digest()
        return int.from_bytes(digest[:8], "big") * self.models >> 64


class _OneModel(DeclaredState):
    """A constant router: always the model that the subclass picks."""

    reference = True
    deterministic = True
    effort = 0.1
    choice: int

    @hookimpl
    def fit(self, train: Table, validation: Table) -> None:
        self.choice = self._pick(train, validation)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.full(len(queries), self.choice))

    def _pick(self, train: Table, validation: Table) -> int:
        raise NotImplementedError


class BestSingle(_OneModel):
    """The model with the best mean score on train and validation together."""

    family = "references"

    def _pick(self, train: Table, validation: Table) -> int:
        scores, ok, cost = pooled(train, validation)
        return _best_covered(scores, ok, cost)


class _ByPrice(_OneModel):
    """The named model, else the suite's declared one, else the one found by mean training cost."""

    class Options(BaseModel):
        model: str | None = Field(None, description="name of the model; found by cost if not given")

    options: Options
    dearest = False

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None; raise an `OptionError` for an unknown model."""
        if self.options.model:
            pool.index(self.options.model)
        if priced or self.options.model or self._declared(pool):
            return None
        return "needs prices, or a model by name: --set NAME.model=MODEL"

    def _pick(self, train: Table, validation: Table) -> int:
        name = self.options.model or self._declared(train.pool)
        if name:
            return train.pool.index(name)
        cost = train.outcomes.mean_cost()
        assert cost is not None, "needs() turns unpriced runs away"
        return by_cost(train.outcomes, cost, dearest=self.dearest)

    def _declared(self, pool: Pool) -> str | None:
        return pool.large if self.dearest else pool.small


class Cheapest(_ByPrice):
    """The model with the lowest mean cost on the training queries."""

    family = "references"


class MostExpensive(_ByPrice):
    """The model the suite declares large, else the dearest on the training queries."""

    family = "references"

    dearest = True


class TaskPrior(DeclaredState):
    """The best model of each query's task on train and validation; overall best for new tasks."""

    family = "by task"

    reference = True
    deterministic = True
    effort = 0.1
    choices: dict[str, int]
    default: int

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None."""
        return None if "task" in shown else "needs tasks that routers may see: --show task"

    @hookimpl
    def fit(self, train: Table, validation: Table) -> None:
        scores, ok, cost = pooled(train, validation)
        self.choices, self.default = {}, _best_covered(scores, ok, cost)
        assert train.queries.task is not None
        assert validation.queries.task is not None
        tasks = np.concatenate([train.queries.task, validation.queries.task])
        for task in sorted(set(tasks) - {None}):
            rows = tasks == task
            self.choices[str(task)] = _best_covered(scores[rows], ok[rows], cost)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        assert queries.task is not None
        choices: Ints = np.array(
            [self.choices.get(task, self.default) for task in queries.task], dtype=np.int64
        )
        return Decisions(choices)
