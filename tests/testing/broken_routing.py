"""Routers that break a rule of what a decision, or a table, may hang on."""

from __future__ import annotations

from collections import Counter

import numpy as np
from sound_router import Sound

from routebench import Context, Decisions, Queries, Table, hookimpl
from routebench.records import Floats


class LooksAtTheBatch(Sound):
    broken = "check_batch_equals_single"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        choice = self.decide(queries).choice
        return Decisions(np.full(len(queries), Counter(choice.tolist()).most_common(1)[0][0]))


class DividesByWords(Sound):
    broken = "check_odd_texts"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        shares = [1 / len(text.split()) for text in queries.text]
        return Decisions(self.decide(queries).choice, confidence=np.array(shares))


class OnlyKnownTasks(Sound):
    broken = "check_unknown_values"
    tasks = ("arithmetic", "cooking", "geography", "poetry")

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        if queries.task is not None:
            _ = [self.tasks.index(task) for task in queries.task]
        return self.decide(queries)


class WantsTasks(Sound):
    broken = "check_text_only"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        assert train.queries.task is not None
        self.learn(train)


class RoutesWithWhatItLearnedFrom(Sound):
    """Takes it that queries have tasks where training had them."""

    broken = "check_tasks_in_training"
    had_tasks = False

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.had_tasks = train.queries.task is not None
        self.learn(train)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        if self.had_tasks:
            assert queries.task is not None
        return self.decide(queries)


class WantsPrices(Sound):
    broken = "check_unpriced"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        assert train.outcomes.cost is not None
        self.learn(train)


class WantsWholeScores(Sound):
    broken = "check_real_scores"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        score = train.outcomes.score[train.outcomes.ok]
        if (score != score.round()).any():
            raise ValueError("unknown label type: continuous")
        self.learn(train)


class WantsManyQueries(Sound):
    broken = "check_few_queries"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        np.partition(np.zeros(len(train)), 50)
        self.learn(train)


class WantsTwoClasses(Sound):
    broken = "check_ties"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        if len(np.unique(train.outcomes.score)) < 2:
            raise ValueError("this solver needs samples of at least 2 classes")
        self.learn(train)


class TakesMissingForRight(Sound):
    broken = "check_missing_cells"

    def means(self, score: Floats) -> list[float]:
        return super().means(np.nan_to_num(score, nan=1.0))


class CrashesOnMissing(Sound):
    broken = "check_missing_cells"

    def means(self, score: Floats) -> list[float]:
        if np.isnan(score).any():
            raise ValueError("input contains NaN")
        return super().means(score)


class PerformanceOnly(Sound):
    broken = "check_objective"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        if context.objective.cost:
            raise NotImplementedError("cost")
        self.learn(train)


class WritesIntoScores(Sound):
    broken = "check_tables_unchanged"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        train.outcomes.score[:] = 0
