"""Two sides paired on their common test queries: two runs, or two routers of one.

Runs that may be compared have the same outcomes, so both sides are scored and priced by those of
one run: where prices differ, that re-prices the decisions of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from routebench.board.read_run import Stored, common
from routebench.metrics import definitions
from routebench.metrics.contrasts import measure
from routebench.metrics.per_query import PerQuery, router_columns
from routebench.metrics.setting import RouterChoices, Setting, was_stepped
from routebench.metrics.statistics import difference
from routebench.records import Floats, Ints, Mask, Outcomes
from routebench.steps.billing import billed


@dataclass(frozen=True)
class CommonQueries:
    """The n test queries of two runs, and the run whose outcomes and prices score both sides."""

    first: Stored
    second: Stored
    rows: tuple[Ints, Ints]
    """[n] each: the queries among those of the first run, and of the second."""
    scorer: int = 1
    """Position of the run that scores both sides."""

    @classmethod
    def of(cls, first: Stored, second: Stored, scorer: int = 1) -> CommonQueries:
        """Match the queries of two runs, by user too where there are any."""
        return cls(first, second, common(first, second), scorer)

    @property
    def run(self) -> Stored:
        """Return the run that scores both sides."""
        return (self.first, self.second)[self.scorer]

    @cached_property
    def setting(self) -> Setting:
        """Return outcomes, pool and clusters of the scoring run, without references."""
        run, rows = self.run, self.rows[self.scorer]
        nobody = np.zeros(len(rows), dtype=np.int64)
        return Setting(
            run.outcomes.take(rows),
            run.setup.data.pool,
            best_single=nobody,
            clusters=run.clusters[rows],
        )

    @cached_property
    def best_single(self) -> Ints:
        """Return [n] the model that each query's fold named best on train and validation."""
        run, rows = self.run, self.rows[self.scorer]
        named = [run.models.index(facts.best_single) for facts in run.board.diagnostics.folds]
        return np.array(named, dtype=np.int64)[run.folds[rows]]

    @property
    def outcomes(self) -> Outcomes:
        """Return the outcomes [n, m] of the scoring run."""
        return self.setting.outcomes

    def side(self, router: str, of: int, point: str | None = None) -> RouterSide:
        """Return a router's decisions in the first run (0) or the second (1).

        By its own choice, or at an operating point, where a fixed model that stands in routes
        nothing.
        """
        run, rows = (self.first, self.second)[of], self.rows[of]
        cost = run.router_cost(router)
        if point is None:
            choice, asked = run.choices(router)[:, rows], run.asked(router)
        else:
            chosen, fixed = run.choices_at(router, point)
            choice, asked = chosen[:, rows], run.asked(router, point)
            cost = None if cost is None else np.where(fixed, 0.0, cost)
        asked, outcomes = None if asked is None else asked[:, rows], self.outcomes
        priced = asked is not None and outcomes.cost is not None
        routed = RouterChoices(
            router,
            choice,
            None if cost is None else cost[:, rows],
            asked=asked,
            answer_cost=billed(asked, outcomes) if priced else None,
        )
        return RouterSide(self, routed)


@dataclass(frozen=True)
class RouterSide:
    """One router's decisions on the common queries, by S seeds."""

    queries: CommonQueries
    routed: RouterChoices

    @property
    def router(self) -> str:
        """Return the router's name."""
        return self.routed.name

    @property
    def choice(self) -> Ints:
        """Return [S, n] the chosen models."""
        return self.routed.choice

    @cached_property
    def usable(self) -> Mask:
        """Return [S, n] whether the chosen answer can be scored."""
        ok = self.queries.outcomes.ok
        usable: Mask = self._chosen(ok)
        if (asked := self.routed.asked) is None:
            return usable
        # One that sees answers is scored where all models have one and it was stepped.
        return usable & ok.all(axis=1) & was_stepped(asked)

    @property
    def missing(self) -> float:
        """Return the share of decisions that cannot be scored, copies of stepped texts aside."""
        usable = self.usable
        if (asked := self.routed.asked) is not None:
            copies = self.queries.outcomes.ok.all(axis=1) & ~was_stepped(asked)
            usable = usable[:, ~copies]
        return 1 - float(usable.mean()) if usable.size else 0.0

    @cached_property
    def score(self) -> Floats:
        """Return [S, n] the scores of the chosen answers."""
        score: Floats = self._chosen(self.queries.outcomes.score)
        return score

    @cached_property
    def answer_cost(self) -> Floats | None:
        """Return [S, n] the answers' cost in USD; None where the scoring run is unpriced."""
        cost = self.queries.outcomes.cost
        if self.routed.answer_cost is not None:
            return self.routed.answer_cost
        return None if cost is None else self._chosen(cost)

    @cached_property
    def cost(self) -> Floats | None:
        """Return [S, n] USD of answers and routing, NaN where not known; None if unpriced."""
        if self.answer_cost is None or self.routed.router_cost is None:
            return self.answer_cost
        return definitions.total_cost(self.answer_cost, self.routed.router_cost)

    @property
    def usage(self) -> Floats:
        """Return [m] each model's share of the decisions."""
        return definitions.usage(self.choice, len(self.queries.run.models))

    def _chosen(self, cells: Any) -> Any:
        return cells[np.arange(len(cells)), self.choice]


def usable(sides: Sequence[RouterSide], n: int) -> Mask:
    """Return [n] the queries on which every seed of all sides has a usable answer."""
    mask = np.ones(n, dtype=np.bool_)
    for side in sides:
        mask &= side.usable.all(axis=0)
    return mask


@dataclass(frozen=True)
class ChangedQuery:
    """One query that two sides decide differently."""

    query: str
    """The suite's own id."""
    user: str | None
    task: str | None
    models: tuple[str, str]
    score: tuple[float, float]
    cost: tuple[float, float] | None
    """USD."""


@dataclass(frozen=True)
class RouterPair:
    """Two sides with their paired differences, second minus first, on the k scored queries."""

    first: RouterSide
    second: RouterSide
    scored: Mask
    """[n] the queries that count; on each, both sides have a usable answer."""

    @classmethod
    def of(cls, first: RouterSide, second: RouterSide) -> RouterPair:
        """Combine two sides, to be scored on all queries on which both can be."""
        return cls(first, second, usable((first, second), first.choice.shape[1]))

    @property
    def queries(self) -> CommonQueries:
        return self.second.queries

    @cached_property
    def columns(self) -> tuple[PerQuery, PerQuery]:
        """Return the per-query values of both sides, as the board's metrics take them."""
        setting = self.queries.setting.take(self.scored)
        first, second = (
            router_columns(side.routed, self.scored, setting) for side in (self.first, self.second)
        )
        return first, second

    @cached_property
    def moved(self) -> Mask:
        """Return [S, n] whether the chosen models differ, for the seeds that both sides have."""
        seeds = min(len(self.first.choice), len(self.second.choice))
        moved: Mask = self.first.choice[:seeds] != self.second.choice[:seeds]
        return moved

    @cached_property
    def score(self) -> Floats:
        """Return [2, k] each side's mean score over seeds."""
        return np.stack(
            [np.atleast_2d(side.columns["score"]).mean(axis=0) for side in self.columns]
        )

    @cached_property
    def gain(self) -> Floats:
        """Return [k] how much better the second side's mean scores are; 0 for equal ones."""
        return difference(self.score[1], self.score[0])

    @cached_property
    def cost(self) -> Floats | None:
        """Return [2, k] each side's total USD, mean over seeds; None where there are no prices."""
        per_1k = [measure("total_cost_per_1k", side.columns) for side in self.columns]
        each = [np.atleast_2d(column).mean(axis=0) for column in per_1k if column is not None]
        return np.divide(each, 1000) if each else None

    def changed(self, at: int, seed: int, score: Floats, cost: Floats | None) -> ChangedQuery:
        """Describe query `at` of the n by what a seed chose, with the given scores and costs."""
        queries, run = self.queries, self.queries.run
        row = int(queries.rows[queries.scorer][at])
        data, query = run.setup.data, run.rows[row]
        task = data.queries.task
        first, second = (run.models[side.choice[seed, at]] for side in (self.first, self.second))
        return ChangedQuery(
            query=str(data.ids[query]),
            user=None if run.users is None else str(run.users[row]),
            task=None if task is None or task[query] is None else str(task[query]),
            models=(first, second),
            score=(float(score[0]), float(score[1])),
            cost=None if cost is None else (float(cost[0]), float(cost[1])),
        )
