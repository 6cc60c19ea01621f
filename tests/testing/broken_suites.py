"""Sound suites, and ones that each break one rule: `broken` names its check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from broken_options import Stored, of_kind

from routebench import State, SuiteData
from routebench.data.long_table import from_long
from routebench.hookspecs import StoredQuestion


class Suite(Stored):
    def load(self) -> Any:
        rows = [
            {"query_id": str(n), "query": f"query {n}?", "model": model, "score": float(n % 2)}
            | {"reference": str(n)}
            for n in range(60)
            for model in ("one", "two")
        ]
        table = pa.Table.from_pylist(rows)
        return self.changed(from_long(table, name="own", source="simulated", place="own"))

    def changed(self, data: SuiteData) -> Any:
        return data


class Rows(Suite):
    broken = "check_load"

    def changed(self, data: SuiteData) -> Any:
        return {"rows": []}


class Sourceless(Suite):
    broken = "check_load"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, source="somewhere")


class ShortReferences(Suite):
    broken = "check_shapes"

    def changed(self, data: SuiteData) -> Any:
        assert data.references is not None
        return replace(data, references=data.references[1:])


class RepeatsIds(Suite):
    broken = "check_ids"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, ids=data.ids[[0, *range(len(data) - 1)]])


class Unsorted(Suite):
    broken = "check_ids"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, text_hash=data.text_hash[::-1])


class Backwards(Suite):
    broken = "check_models"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, pool=replace(data.pool, models=data.pool.models[::-1]))


class Percentages(Suite):
    broken = "check_scores"

    def changed(self, data: SuiteData) -> Any:
        outcomes = replace(data.outcomes, score=data.outcomes.score * 100)
        return replace(data, outcomes=outcomes)


class PaysBack(Suite):
    broken = "check_scores"

    def changed(self, data: SuiteData) -> Any:
        outcomes = replace(data.outcomes, cost=np.full(data.outcomes.score.shape, -1.0))
        return replace(data, outcomes=outcomes)


class Ungraded(Suite):
    broken = "check_gradable"

    def changed(self, data: SuiteData) -> Any:
        shape = data.outcomes.score.shape
        state = np.full(shape, State.UNGRADED, dtype=np.int8)
        outcomes = replace(data.outcomes, score=np.full(shape, np.nan), state=state)
        return replace(data, outcomes=outcomes)


class ShowsTopic(Suite):
    broken = "check_visible"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, visible=frozenset({"topic"}))


class TestOnly(Suite):
    broken = "check_split"
    __test__ = False

    def changed(self, data: SuiteData) -> Any:
        return replace(data, split=np.array(["test"] * len(data), dtype=object))


class Fickle(Suite):
    broken = "check_repeatable"

    def changed(self, data: SuiteData) -> Any:
        drawn = np.random.default_rng().random(data.outcomes.score.shape)
        return replace(data, outcomes=replace(data.outcomes, score=drawn))


class GoneFile(Suite):
    broken = "check_files"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, files=(Path("gone.csv"),))


class BlankPrompts(Suite):
    broken = "check_questions"

    def questions(self) -> Any:
        return [StoredQuestion("1", "why?", " ")]


SUITES = [
    *of_kind(Suite), Rows, Sourceless, ShortReferences, RepeatsIds, Unsorted, Backwards,
    Percentages, PaysBack, Ungraded, ShowsTopic, TestOnly, Fickle, GoneFile, BlankPrompts,
]  # fmt: skip
