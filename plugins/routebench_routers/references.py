"""Reference routers: what any learned router must beat."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import best, by_cost, covered
from routebench.records import Decisions, Floats, Ints, Mask, Pool, Queries, Table


def pooled(train: Table, validation: Table) -> tuple[Floats, Mask, Floats | None]:
    """Scores [n, m] and OK cells of both tables, and the models' mean train cost [m]."""
    scores = np.concatenate([train.outcomes.score, validation.outcomes.score])
    ok = np.concatenate([train.outcomes.ok, validation.outcomes.ok])
    return scores, ok, train.outcomes.mean_cost()


def mean_scores(scores: Floats, ok: Mask) -> Floats:
    """[m] mean over OK cells; NaN for a model without any."""
    counts = ok.sum(axis=0)
    means: Floats = np.full(len(counts), np.nan)
    np.divide(np.where(ok, scores, 0.0).sum(axis=0), counts, out=means, where=counts > 0)
    return means


def _best_covered(scores: Floats, ok: Mask, cost: Floats | None) -> int:
    """The model with the best mean score among those with scores on at least half of the rows."""
    means = np.where(covered(ok), mean_scores(scores, ok), np.nan)
    return int(best(means[None, :], cost)[0])


class Random:
    """A model drawn for every query by the seed and the query's text.

    Its expectation is known in closed form: the board's reference `random`.
    """

    class Options(BaseModel):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options
        self._state: dict[str, Any] = {}

    @hookimpl
    def fit(self, train: Table, context: Context) -> None:
        self._state = {"seed": context.seed, "models": len(train.pool)}

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        # Drawn from the text, not from a stream: a query is decided alike in any batch.
        return Decisions(np.array([self._draw(text) for text in queries.text], dtype=np.int64))

    def _draw(self, text: str) -> int:
        # A prefix of its own: splits hash "seed:text" too, and must not decide the draw.
        digest = hashlib.sha256(f"random:{self._state['seed']}:{text}".encode()).digest()
        return int.from_bytes(digest[:8], "big") * int(self._state["models"]) >> 64

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, self._state)

    def load(self, folder: Path) -> None:
        self._state, _ = checkpoint.load(folder)


class _OneModel:
    """Always the same model, whichever a subclass picks."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self._choice = 0

    @hookimpl
    def fit(self, train: Table, validation: Table) -> None:
        self._choice = self._pick(train, validation)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.full(len(queries), self._choice))

    def _pick(self, train: Table, validation: Table) -> int:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"choice": self._choice})

    def load(self, folder: Path) -> None:
        self._choice = int(checkpoint.load(folder)[0]["choice"])


class BestSingle(_OneModel):
    """The model with the best mean score on train and validation together."""

    class Options(BaseModel):
        pass

    def _pick(self, train: Table, validation: Table) -> int:
        scores, ok, cost = pooled(train, validation)
        return _best_covered(scores, ok, cost)


class _ByPrice(_OneModel):
    """Named, else declared by the suite, else found by mean cost on the training queries."""

    class Options(BaseModel):
        model: str | None = Field(None, description="name of the model; found by cost if not given")

    dearest = False

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Why this run cannot have it, or None; an `OptionError` for an unknown model."""
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


class Strongest(_ByPrice):
    """The model the suite declares large, else the dearest on the training queries."""

    dearest = True


class TaskPrior:
    """The best model of each query's task on train and validation; overall best for new tasks."""

    class Options(BaseModel):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options
        self._choices: dict[str, int] = {}
        self._default = 0

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Why this run cannot have it, or None."""
        return None if "task" in shown else "needs tasks that routers may see: --show task"

    @hookimpl
    def fit(self, train: Table, validation: Table) -> None:
        scores, ok, cost = pooled(train, validation)
        self._default = _best_covered(scores, ok, cost)
        assert train.queries.task is not None
        assert validation.queries.task is not None
        tasks = np.concatenate([train.queries.task, validation.queries.task])
        for task in sorted(set(tasks) - {None}):
            rows = tasks == task
            self._choices[str(task)] = _best_covered(scores[rows], ok[rows], cost)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        assert queries.task is not None
        choices: Ints = np.array(
            [self._choices.get(task, self._default) for task in queries.task], dtype=np.int64
        )
        return Decisions(choices)

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"choices": self._choices, "default": self._default})

    def load(self, folder: Path) -> None:
        meta, _ = checkpoint.load(folder)
        self._choices, self._default = meta["choices"], int(meta["default"])
