"""Thompson sampling with a Beta posterior for each task and model."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats, Ints, Queries, Table
from routebench_routers.online.tasks import TaskLearner

_GRID = 512
"""Steps of θ in the numerical integral; with costs they span twice the range."""


class Thompson(TaskLearner):
    """A model is drawn with the probability that it is the best one, by its Beta posterior.

    Of each task and model the score θ has the posterior Beta(a + Σ y, b + n − Σ y), scores y
    clipped to [0, 1]; a model's worth is θ − λ · its mean cost. The probability that it is the
    best is integrated numerically, and the model drawn from these numbers: the logged
    propensities are exact. With a discount older outcomes of a task count less with each newer one.

    Source: Thompson (1933); Chapelle and Li (2011). Deviation: fractional scores count in part,
    in place of a Bernoulli draw for each (Agrawal and Goyal 2012).
    """

    family = "learns online"

    class Options(BaseModel):
        a: float = Field(1.0, gt=0, description="successes in the prior")
        b: float = Field(1.0, gt=0, description="failures in the prior")
        by_task: bool = Field(True, description="a posterior for each task, where tasks are known")
        discount: float = Field(
            1.0, gt=0, le=1, description="weight of older outcomes at each newer one of the task"
        )

    in_all = False
    libraries = ("scipy.special",)
    effort = 4
    options: Options

    def prepare(self, train: Table, validation: Table, context: Context) -> None:
        self.prepare_tasks(train, context, self.options.by_task)

    def expected(self, queries: Queries) -> Floats:
        a, b = self.options.a, self.options.b
        mean = (self.total + a) / (self.number + a + b) - self._price()
        worth: Floats = mean[self.tasks_of(queries)]
        return worth

    def chances(self, queries: Queries, expected: Floats) -> Floats:
        tasks = self.tasks_of(queries)
        distinct, which = np.unique(tasks, return_inverse=True)
        return np.stack([self._best(int(task)) for task in distinct])[which.reshape(-1)]

    def learn(self, queries: Queries, choice: Ints, reward: Floats, cost: Floats) -> None:
        score = reward + self.trade_off * np.nan_to_num(cost) if self.trade_off else reward
        score = np.clip(score, 0.0, 1.0)
        tasks, gamma = self.tasks_of(queries), self.options.discount
        weight = np.ones(len(tasks))
        if gamma < 1:
            for task in np.unique(tasks):
                own = np.flatnonzero(tasks == task)
                weight[own] = gamma ** np.arange(len(own))[::-1]
                for sums in (self.number, self.total, self.spent, self.priced):
                    sums[task] *= gamma ** len(own)
        at = (tasks, choice)
        np.add.at(self.number, at, weight)
        np.add.at(self.total, at, weight * score)
        paid = ~np.isnan(cost)
        np.add.at(self.spent, at, weight * np.where(paid, cost, 0.0))
        np.add.at(self.priced, at, weight * paid)
        kept = self.__dict__.setdefault("_below", {})
        changed = {(int(t), int(m)) for t, m in zip(*at, strict=True)}
        if gamma < 1:
            changed = {(int(t), m) for t in set(tasks.tolist()) for m in range(self.models)}
        for cell in changed:
            kept.pop(cell, None)

    def _price(self) -> Floats:
        """Return [tasks + 1, m] λ · mean cost; 0 where nothing is known."""
        return self.trade_off * self.spent / np.maximum(self.priced, 1.0)

    def _best(self, task: int) -> Floats:
        """Return [m] the probability that each model is worth most in a task."""
        below = np.stack([self._distribution(task, model) for model in range(self.models)])
        steps = np.diff(below, axis=1)
        middle = (below[:, 1:] + below[:, :-1]) / 2
        # Of equals in one step of the grid each has its share: the halves of the steps add up.
        others = np.ones_like(middle)
        before = np.cumprod(middle[:-1], axis=0)
        others[1:] *= before
        others[:-1] *= np.cumprod(middle[:0:-1], axis=0)[::-1]
        best = (steps * others).sum(axis=1)
        chance: Floats = best / best.sum()
        return chance

    def _distribution(self, task: int, model: int) -> Floats:
        """Return P(worth ≤ u) on the grid of u; computed again only when an outcome changed it."""
        kept: dict[tuple[int, int], Floats] = self.__dict__.setdefault("_below", {})
        if (task, model) not in kept:
            from scipy.special import betainc

            n, total = self.number[task, model], self.total[task, model]
            a, b = self.options.a + total, self.options.b + n - total
            grid = np.linspace(-1.0 if self.trade_off else 0.0, 1.0, _GRID + 1)
            price = min(float(self._price()[task, model]), 1.0)
            kept[task, model] = betainc(a, b, np.clip(grid + price, 0.0, 1.0))
            # A grid that ends at 1 holds all: where the price is 0 the last value is 1 anyway.
            kept[task, model][-1] = 1.0
        return kept[task, model]
