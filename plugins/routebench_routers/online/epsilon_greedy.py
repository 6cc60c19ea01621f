"""Epsilon-greedy: the best model so far, and now and then any."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats, Ints, Queries, Table
from routebench_routers.online.learner import explored
from routebench_routers.online.tasks import TaskLearner


class EpsilonGreedy(TaskLearner):
    """The model of the highest mean reward so far in the query's task; any with probability ε.

    Every model begins with one reward, of 1 on a cold start, so that each is tried. ε is constant,
    or falls with the outcomes t as ε · min(1, decay / t).

    Source: Sutton and Barto, Reinforcement Learning (2018), sections 2.2 to 2.6.
    """

    family = "learns online"

    class Options(BaseModel):
        epsilon: float = Field(0.1, ge=0, le=1, description="probability of any model at all")
        decay: float | None = Field(
            None, gt=0, description="outcomes after which ε falls as 1/t; constant if unset"
        )
        by_task: bool = Field(True, description="a mean for each task, where tasks are known")

    in_all = False
    effort = 2
    options: Options

    def prepare(self, train: Table, validation: Table, context: Context) -> None:
        self.prepare_tasks(train, context, self.options.by_task)
        self.number += 1.0
        self.total += self.start

    def expected(self, queries: Queries) -> Floats:
        means: Floats = (self.total / self.number)[self.tasks_of(queries)]
        return means

    def chances(self, queries: Queries, expected: Floats) -> Floats:
        epsilon, decay = self.options.epsilon, self.options.decay
        if decay is not None:
            epsilon *= min(1.0, decay / max(self.learned, 1))
        return explored(expected.argmax(axis=1), self.models, epsilon)

    def learn(self, queries: Queries, choice: Ints, reward: Floats, cost: Floats) -> None:
        at = (self.tasks_of(queries), choice)
        np.add.at(self.number, at, 1.0)
        np.add.at(self.total, at, reward)

    @property
    def draws(self) -> bool:
        return self.options.epsilon > 0
