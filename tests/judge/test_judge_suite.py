"""Judges: blind, held to their contract, and asked only for what has no score."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from judge_sources import JUDGE

from routebench.data.long_table import from_long
from routebench.errors import DataError, OptionError, PluginError
from routebench.judge.suite import judge_answers
from routebench.records import Grade, State, SuiteData

NAMES = ("Echo", "Short", "Wordy", "Plain", "Misnamed")


@pytest.fixture
def judges(distribution: Callable[..., Path]) -> None:
    lines = "".join(f"{name.lower()} = some_judges:{name}\n" for name in NAMES)
    distribution("some-judges", "[routebench.judges]\n" + lines, JUDGE)


def answers(**columns: Any) -> SuiteData:
    """Three queries, two models; the first cell has a score already, one was never answered."""
    table = {
        "query_id": ["q0", "q0", "q1", "q1", "q2", "q2"],
        "query": ["zero", "zero", "one", "one", "two", "two"],
        "model": ["a", "b"] * 3,
        "score": pa.array([0.25, None, None, None, None, None], pa.float64()),
        "reference": ["0", "0", "1", "1", "2", "2"],
        "response": ["0", "0", "1", "unclear", None, "x"],
    }
    return from_long(pa.table(table | columns), name="t", source="recorded", place="t")


def cells(data: SuiteData, values: Any) -> dict[str, Any]:
    return {
        f"{query}{model}": values[i, j]
        for i, query in enumerate(data.ids)
        for j, model in enumerate(data.pool.models)
    }


@pytest.mark.usefixtures("judges")
def test_only_ungraded_answers_are_graded() -> None:
    data = answers()
    graded = judge_answers(data, "echo", {})
    score, state = cells(graded, graded.outcomes.score), cells(graded, graded.outcomes.state)
    assert (score["q0a"], score["q0b"], score["q1a"], score["q2b"]) == (0.25, 1, 1, 0)
    assert np.isnan(score["q1b"])
    assert np.isnan(score["q2a"])
    assert state["q1b"] == State.UNGRADED
    assert state["q2a"] == State.FAILED
    assert [state[cell] for cell in ("q0a", "q0b", "q1a", "q2b")] == [State.OK] * 4
    assert graded.outcomes.grade is not None
    grade = cells(graded, graded.outcomes.grade)
    assert (grade["q0a"], grade["q2a"]) == (Grade.NONE, Grade.NONE)
    assert (grade["q0b"], grade["q2b"]) == (Grade.CORRECT, Grade.INCORRECT)
    assert (data.outcomes.state == State.UNGRADED).sum() == 4, "the input is left as it was"


@pytest.mark.usefixtures("judges")
def test_the_judge_sees_three_texts_in_an_order_that_is_always_the_same() -> None:
    judge_answers(answers(), "echo", {})
    judge_answers(answers(), "echo", {})
    first, second = sys.modules["some_judges"].SEEN
    assert first == second
    triples = set(zip(*first, strict=True))
    assert triples == {
        ("zero", "0", "0"), ("one", "1", "1"), ("one", "1", "unclear"), ("two", "2", "x"),
    }  # fmt: skip


@pytest.mark.usefixtures("judges")
def test_a_judge_that_had_nothing_to_grade_is_not_taken_for_the_one_that_did() -> None:
    data = answers(score=[0.0, 1.0] * 3)
    graded = judge_answers(data, "echo", {})
    assert graded.outcomes is data.outcomes
    assert graded.notes[-1].startswith("the judge echo had nothing to grade")
    assert sys.modules["some_judges"].SEEN == []
    # A wrong name is an error all the same.
    with pytest.raises(OptionError, match="no judge named 'ehco'"):
        judge_answers(data, "ehco", {})
    with pytest.raises(DataError, match="--judge echo: this suite has no answers"):
        judge_answers(replace(data, answers=None), "echo", {})


@pytest.mark.usefixtures("judges")
def test_what_is_ungraded_and_not_there_stays_so() -> None:
    states = pa.array(["ok", "ungraded", "ungraded", "ungraded", "ungraded", "ungraded"])
    graded = judge_answers(answers(state=states), "echo", {})
    state = cells(graded, graded.outcomes.state)
    assert (state["q2a"], state["q2b"]) == (State.UNGRADED, State.OK)


@pytest.mark.usefixtures("judges")
def test_a_missing_reference_is_none() -> None:
    data = replace(answers(), references=None)
    judge_answers(data, "echo", {})
    ((_, references, _),) = sys.modules["some_judges"].SEEN
    assert references == [None] * 4


@pytest.mark.usefixtures("judges")
@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("short", {}, r"judge 'short' returned \(1,\) scores for 4 answers"),
        ("wordy", {}, "judge 'wordy' returned list, expected Grades"),
        ("echo", {"right": 2.0}, r"judge 'echo' returned a score outside \[0, 1\]"),
        ("echo", {"right": float("nan")}, "echo"),
        ("misnamed", {}, "unknown hook 'jugde'"),
        ("plain", {}, "judge 'plain' has no judge hook"),
    ],
)
def test_broken_judges(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises((PluginError, OptionError), match=message):
        judge_answers(answers(), name, values)


def test_notes_on_traces_and_on_what_has_no_grade() -> None:
    responses = ["<think>1</think>0", "<think>0", "1", "<think>1", None, "x"]
    graded = judge_answers(answers(response=responses), "exact", {})
    (said,) = [note for note in graded.notes if note.startswith("the judge exact")]
    assert "of 4 answers 2 hold a reasoning trace" in said
    assert "2 end within it" in said
    cells_ = cells(graded, graded.outcomes.grade)
    assert (cells_["q0b"], cells_["q1a"]) == (Grade.NOT_ATTEMPTED, Grade.CORRECT)
    letters = answers(query=["Which?\nA) x\nB) y"] * 6, reference=["1"] * 6)
    left = judge_answers(letters, "multiple-choice", {}).notes[-1]
    assert left.startswith("the judge multiple-choice left 4 answers without a grade:")
    assert "index_from" in left
