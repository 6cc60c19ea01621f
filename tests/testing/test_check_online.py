"""Routers that learn online: a sound one passes the checks, and every fault is named."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from failures import failures

from routebench import Queries, hookimpl
from routebench.hookspecs import Context
from routebench.records import Decisions, Floats, Ints, Table
from routebench.routers.state import DeclaredState
from routebench.testing import check_router, router_checks
from routebench_routers.references import BestSingle


class MeanSoFar(DeclaredState):
    """The model of the highest mean score so far, of training and of what it was told."""

    total: Floats
    number: Floats

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        ok = train.outcomes.ok
        self.total = np.where(ok, train.outcomes.score, 0.0).sum(axis=0)
        self.number = ok.sum(axis=0).astype(np.float64)

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        known = ~np.isnan(score)
        np.add.at(self.total, choice[known], score[known])
        np.add.at(self.number, choice[known], 1.0)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        mean = self.total / np.maximum(self.number, 1.0)
        return Decisions(np.full(len(queries), mean.argmax()))


class NeedsAnOutcome(MeanSoFar):
    fault = "check_cold_start", "IndexError"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        MeanSoFar.fit(self, train, validation, context)
        _ = np.flatnonzero(train.outcomes.ok)[0]


class ChangesWhatItIsTold(MeanSoFar):
    fault = "check_update_in_batches", "changed: ['score']"

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        score[np.isnan(score)] = 0.0
        score -= 1.0
        MeanSoFar.update(self, queries, choice, score + 1, cost)


class LearnsTheLastOfABatch(MeanSoFar):
    fault = "check_update_in_batches", "differ"

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        MeanSoFar.update(self, queries, choice[-1:], score[-1:], cost[-1:])


class LearnsNothing(MeanSoFar):
    fault = "check_update_teaches", "0% after"

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None: ...


class TripsOverFailedCalls(MeanSoFar):
    fault = "check_unknown_outcomes", "ValueError"

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        if np.isnan(score).any():
            raise ValueError("no score")
        MeanSoFar.update(self, queries, choice, score, cost)


class SavesWhatItCannotLearnFrom(MeanSoFar):
    fault = "check_update_after_load", "after load and update"

    def load(self, folder: Path) -> None:
        MeanSoFar.load(self, folder)
        self.number = self.number + 1e-9
        self._loaded = True

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        if not hasattr(self, "_loaded"):
            MeanSoFar.update(self, queries, choice, score, cost)


FAULTS = [
    NeedsAnOutcome,
    ChangesWhatItIsTold,
    LearnsTheLastOfABatch,
    LearnsNothing,
    TripsOverFailedCalls,
    SavesWhatItCannotLearnFrom,
]


def test_a_sound_one_passes() -> None:
    check_router(MeanSoFar)


@pytest.mark.parametrize("router", FAULTS)
def test_a_fault_is_named(router: Any) -> None:
    name, words = router.fault
    assert words in failures(router_checks(router)).get(name, "")


def test_routers_that_learn_before_skip_what_is_about_outcomes() -> None:
    for check in router_checks(BestSingle):
        if check.name in ("check_cold_start", "check_update_in_batches", "check_update_teaches"):
            with pytest.raises(unittest.SkipTest, match="does not learn online"):
                check()
