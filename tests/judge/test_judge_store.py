"""Grading of stored answers: blind, in a shuffled order, kept batch by batch, never twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stores import calls, filled, questions

from routebench.errors import OptionError, PluginError
from routebench.judge import store as judge_store
from routebench.judge.regrade import GradeFile, grade_texts
from routebench.judge.store import Judge, grade_store
from routebench.records import Reply
from routebench.store.store import AnswerStore

JUDGES = """
from typing import NamedTuple
import numpy as np
from pydantic import BaseModel
from routebench import Grade, Grades, State, hookimpl

SEEN = []
SAY = {"fail": lambda answer: False, "stop": lambda answer: False}

class Verdict(NamedTuple):
    grade: Grade
    note: str

def grade(answer):
    if SAY["stop"](answer):
        raise KeyboardInterrupt
    SEEN.append(answer)
    if SAY["fail"](answer):
        return Verdict(Grade.NONE, "no grade came")
    return Verdict(Grade.CORRECT if "large" in answer else Grade.INCORRECT, "by size")

class Batch:
    class Options(BaseModel):
        level: int = 1
    def __init__(self, options):
        self.options = options
    @hookimpl
    def judge(self, questions, references, answers):
        found = [grade(answer) for answer in answers]
        known = np.array([one.grade >= 0 for one in found])
        return Grades(
            np.where(known, [float(one.grade == Grade.CORRECT) for one in found], np.nan),
            np.where(known, State.OK, State.UNGRADED),
            np.array([int(one.grade) for one in found]),
            np.array([one.note for one in found], dtype=object),
        )

class Stream(Batch):
    def judge_each(self, questions, references, answers, told):
        for at, answer in enumerate(answers):
            told(at, grade(answer))

class Scores(Batch):
    @hookimpl
    def judge(self, answers):
        return Grades(np.full(len(answers), 0.5), np.zeros(len(answers)))

class Broken(Batch):
    @hookimpl
    def judge(self, answers):
        return Grades(np.full(len(answers), 7.0), np.zeros(len(answers)))
"""
NAMES = ("Batch", "Stream", "Scores", "Broken")


@pytest.fixture
def judges(distribution: Callable[..., Path]) -> Iterator[Any]:
    """The module of the judges, which notes what they see."""
    lines = "".join(f"{name.lower()} = other_judges:{name}\n" for name in NAMES)
    distribution("other-judges", "[routebench.judges]\n" + lines, JUDGES)
    import other_judges  # type: ignore[import-not-found]

    yield other_judges
    sys.modules.pop("other_judges", None)


def test_grades_are_in_the_store(judges: Any, tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 20) as store:
        counts = grade_store(store, "batch", {})
        assert (counts.graded, counts.ungraded) == (40, 0)
        assert counts.grades == {"CORRECT": 20, "INCORRECT": 20}
        table = store.table(judge=counts.judge)
        for row in table.to_pylist():
            assert row["grade"] == ("CORRECT" if row["model"] == "large" else "INCORRECT")
            assert row["score"] == float(row["model"] == "large")
            assert row["state"] == "ok"


@pytest.mark.parametrize("name", ["batch", "stream"])
def test_what_is_graded_is_not_graded_again(judges: Any, tmp_path: Path, name: str) -> None:
    with filled(tmp_path / "s.sqlite", 20) as store:
        grade_store(store, name, {})
        assert len(judges.SEEN) == 40
        again = grade_store(store, name, {})
        assert (again.graded, again.ungraded, len(judges.SEEN)) == (0, 0, 40)
        grade_store(store, name, {}, regrade=True)
        assert len(judges.SEEN) == 80
        # Other options make another judge.
        other = grade_store(store, name, {"level": 2})
        assert other.graded == 40
        assert len(store.info().judges) == 2


@pytest.mark.parametrize("name", ["batch", "stream"])
def test_a_failure_is_no_grade_and_tried_again(judges: Any, tmp_path: Path, name: str) -> None:
    judges.SAY["fail"] = lambda answer: "What is 3?" in answer
    with filled(tmp_path / "s.sqlite", 10) as store:
        counts = grade_store(store, name, {})
        assert (counts.graded, counts.ungraded) == (18, 2)
        assert counts.reasons == [("no grade came", 2)]
        states = store.table(judge=counts.judge)["state"].to_pylist()
        assert (states.count("ok"), states.count("ungraded")) == (18, 2)
        judges.SAY["fail"] = lambda answer: False
        again = grade_store(store, name, {})
        assert (again.graded, again.ungraded) == (2, 0)
        assert len(judges.SEEN) == 22


def test_a_judge_that_tells_each_grade_loses_none_when_interrupted(
    judges: Any, tmp_path: Path
) -> None:
    path = tmp_path / "s.sqlite"
    judges.SAY["stop"] = lambda answer: len(judges.SEEN) == 17
    with filled(path, 20) as store, pytest.raises(KeyboardInterrupt):
        grade_store(store, "stream", {})
    judges.SAY["stop"] = lambda answer: False
    with AnswerStore(path, create=False) as store:
        assert sum(store.info().judges[Judge("stream", {}).id].values()) == 17
        assert grade_store(store, "stream", {}).graded == 23
    assert len(judges.SEEN) == len(set(judges.SEEN)) == 40


def test_a_judge_in_batches_loses_one_batch_at_most(
    judges: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_store, "AT_ONCE", 8)
    judges.SAY["stop"] = lambda answer: len(judges.SEEN) == 20
    with filled(tmp_path / "s.sqlite", 20) as store:
        with pytest.raises(KeyboardInterrupt):
            grade_store(store, "batch", {})
        assert sum(store.info().judges[Judge("batch", {}).id].values()) == 16


def test_the_order_is_shuffled_and_the_same_each_time(judges: Any, tmp_path: Path) -> None:
    orders = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        judges.SEEN.clear()
        with filled(tmp_path / f"{name}.sqlite", 50) as store:
            grade_store(store, "batch", {}, seed=seed)
        orders.append(list(judges.SEEN))
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])
    asked = [f"{call.model} says: {call.prompt}" for call in calls(questions(50))]
    assert orders[0] != asked
    first = ["large" in answer for answer in orders[0]]
    assert 10 < sum(first[:50]) < 40  # models are mixed


def test_a_limit_and_a_watch(judges: Any, tmp_path: Path) -> None:
    told: list[int] = []
    with filled(tmp_path / "s.sqlite", 20) as store:
        assert grade_store(store, "batch", {}, told.append, limit=7).graded == 7
        assert told == [1, 2, 3, 4, 5, 6, 7]
        assert grade_store(store, "batch", {}, limit=100).graded == 33


def test_scores_without_grades(judges: Any, tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 5) as store:
        counts = grade_store(store, "scores", {})
        assert counts.grades == {}
        table = store.table(judge=counts.judge)
        assert table["score"].to_pylist() == [0.5] * 10
        assert "grade" not in table.column_names


def test_a_broken_judge_stores_nothing(judges: Any, tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 5) as store:
        with pytest.raises(PluginError, match="outside"):
            grade_store(store, "broken", {})
        assert store.info().judges == {}
        with pytest.raises(OptionError, match="no judge named 'nobody'"):
            grade_store(store, "nobody", {})


def test_hostile_answers(tmp_path: Path) -> None:
    hostile = ["\x1b[2J\x00", "<script>1</script>", "lone \ud800", "x" * 10**6, ""]
    with filled(tmp_path / "s.sqlite", 5, answered=0) as store:
        for n, call in enumerate(store.claim(10)):
            store.settle(call.key, Reply(hostile[n % 5]), cost=0.0)
        counts = grade_store(store, "exact", {})
        assert counts.graded == 10
        assert counts.grades["NOT_ATTEMPTED"] >= 2


def texts(n: int) -> list[list[Any]]:
    answers = [f"{'large' if at % 2 else 'small'} {at}" for at in range(n)]
    return [[f"q{at}" for at in range(n)], ["r"] * n, answers]


@pytest.mark.parametrize("name", ["batch", "stream"])
def test_texts_get_their_own_marks(judges: Any, tmp_path: Path, name: str) -> None:
    marks, counts = grade_texts(Judge(name, {}), texts(30), folder=tmp_path)
    assert [mark.score for mark in marks] == [0.0, 1.0] * 15
    assert counts.graded == 30
    assert texts(30)[2] != judges.SEEN


def test_paid_grades_of_a_table_are_kept(judges: Any, tmp_path: Path) -> None:
    judges.SAY["stop"] = lambda answer: len(judges.SEEN) == 11
    judges.SAY["fail"] = lambda answer: answer == "large 7"
    with pytest.raises(KeyboardInterrupt):
        grade_texts(Judge("stream", {}), texts(30), folder=tmp_path)
    judges.SAY["stop"] = lambda answer: False
    marks, _ = grade_texts(Judge("stream", {}), texts(30), folder=tmp_path)
    seen = [answer for answer in judges.SEEN if answer != "large 7"]
    assert len(seen) == len(set(seen)) == 29
    assert marks[7].score is None
    assert sum(mark.score is not None for mark in marks) == 29
    judges.SEEN.clear()
    again, _ = grade_texts(Judge("stream", {}), texts(30), folder=tmp_path)
    assert judges.SEEN == ["large 7"]
    assert again == marks
    grade_texts(Judge("stream", {}), texts(30), folder=tmp_path, regrade=True)
    assert len(judges.SEEN) == 31
    grade_texts(Judge("stream", {"level": 2}), texts(30), folder=tmp_path)
    assert len(judges.SEEN) == 61


def test_a_line_cut_short_is_passed_over(judges: Any, tmp_path: Path) -> None:
    grade_texts(Judge("stream", {}), texts(4), folder=tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    judges.SEEN.clear()
    grade_texts(Judge("stream", {}), texts(4), folder=tmp_path)
    assert len(judges.SEEN) == 1
    judges.SEEN.clear()
    grade_texts(Judge("stream", {}), texts(4), folder=tmp_path)
    assert judges.SEEN == []
    with GradeFile(Judge("stream", {}).id, tmp_path) as kept:
        assert len(kept.marks) == 4


def test_a_judge_is_known_by_what_changes_its_grades() -> None:
    base = Judge("exact", {}).id
    assert base.startswith("exact@")
    assert Judge("exact", {"middle_names": True}).id == base  # the default
    assert Judge("exact", {"middle_names": False}).id != base
    assert Judge("numeric", {}).id.removeprefix("numeric") != base.removeprefix("exact")
    model = {"model": "simulated:sim-pro"}
    grader = Judge("simpleqa-grader", model).id
    assert Judge("simpleqa-grader", model | {"timeout": 5.0}).id == grader
    assert Judge("simpleqa-grader", model | {"mode": "paper"}).id != grader
