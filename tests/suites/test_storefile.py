"""Stores of collected answers as suites."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import rows
from stores import calls, filled, questions

from routebench.config import make
from routebench.errors import DataError, OptionError
from routebench.files import default_store, store_files
from routebench.loading import load_data
from routebench.records import Grade, Reply, State, SuiteData
from routebench.store.store import AnswerStore
from routebench_suites.simpleqa import SimpleQA
from routebench_suites.table import TableSuite


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where `simpleqa` looks for collected answers; nothing is there yet."""
    few = tmp_path / "questions.csv"
    few.write_text("query_id,query,reference,aliases\na,Who?,Ada Lovelace,\nb,When?,1990,\n")
    monkeypatch.setattr("routebench_suites.simpleqa.EMBEDDED", few)  # thousands take seconds
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path / "collected"))
    return default_store("simpleqa")


def collected(
    path: Path, provider: str = "gemini", *, judge: str | None = None, n: int = 30
) -> Any:
    """A store in which `large` is right about everything, and `small` about every third."""
    with AnswerStore(path) as store:
        store.add("simpleqa", questions(n), calls(questions(n), provider=provider))
        for number, call in enumerate(store.claim(10**6)):
            right = call.model == "large" or number % 3 == 0
            text = f"answer {number // 2}" if right else "I don't know."
            store.settle(
                call.key, Reply(text, 10, 5), cost=0.002 if call.model == "large" else 0.001
            )
        for answer in store.ungraded(judge) if judge else ():
            store.grade(judge, answer, 1.0, Grade.CORRECT)
    return path


def simpleqa(**options: Any) -> SuiteData:
    return SimpleQA(SimpleQA.Options(**options)).load()


def table(path: Path, **options: Any) -> SuiteData:
    return TableSuite(TableSuite.Options(data=path, **options)).load()


def test_nothing_collected_is_the_embedded_sample(place: Path) -> None:
    assert simpleqa().source == "simulated"
    assert len(simpleqa().pool) == 6
    assert not place.exists()
    filled(place, 3, answered=0).close()  # asked, and nothing answered yet
    assert len(simpleqa().pool) == 6
    with pytest.raises(DataError, match=r"simpleqa\.sqlite: nothing has been answered yet"):
        simpleqa(source="recorded")


def test_what_was_collected_is_taken_unasked(place: Path) -> None:
    collected(place)
    data = simpleqa()
    assert (data.name, data.source, data.judge) == ("simpleqa", "live", "exact")
    assert data.pool.models == ("large", "small")
    assert data.notes[0] == "answers collected in simpleqa.sqlite, not graded yet"
    assert "--source embedded" in data.notes[1]
    assert len(simpleqa(source="recorded").notes) == 1  # asked for
    assert data.files == store_files(place)
    assert [file.name for file in data.files] == [
        "simpleqa.sqlite", "simpleqa.sqlite-wal", "simpleqa.sqlite-shm"
    ]  # fmt: skip
    assert simpleqa(source="recorded").source == "live"
    assert len(simpleqa(source="embedded").pool) == 6
    assert len(simpleqa(world=0).pool) == 6  # a world is one of simulated answers
    with pytest.raises(OptionError, match="small: no model 'tiny'"):
        simpleqa(small="tiny")


def test_what_is_asked_does_not_depend_on_what_was_answered(place: Path) -> None:
    collected(place)
    asked = SimpleQA(SimpleQA.Options()).questions()
    assert asked is not None
    assert [(q.query_id, q.query, q.prompt) for q in asked] == [
        ("a", "Who?", "Who?"),
        ("b", "When?", "When?"),
    ]
    assert asked[0].reference == '["Ada Lovelace"]'
    assert SimpleQA(SimpleQA.Options(data=place)).questions() is None


def test_recorded_without_anything_says_what_to_do(place: Path) -> None:
    with pytest.raises(OptionError, match="no outcomes are named") as caught:
        simpleqa(source="recorded")
    assert str(place) in caught.value.message
    assert "pip install 'routebench[gemini]'" in caught.value.hint
    assert "routebench collect --suite simpleqa" in caught.value.hint


def test_a_store_is_data(tmp_path: Path) -> None:
    path = collected(tmp_path / "mine.sqlite")
    assert simpleqa(data=path, small="small", large="large").pool.small == "small"
    with pytest.raises(OptionError, match="holds recorded answers"):
        simpleqa(data=path, source="embedded")
    data = load_data(make({"suite": "simpleqa", "data": str(path)}))
    assert data.judge == "exact"  # nobody else had graded
    assert data.outcomes.mean_score().tolist() == [1.0, pytest.approx(1 / 3)]
    assert data.outcomes.cost is not None
    assert data.outcomes.cost.mean(axis=0).tolist() == pytest.approx([0.002, 0.001])


def test_invented_models_are_never_called_live(tmp_path: Path) -> None:
    path = collected(tmp_path / "s.sqlite", "simulated")
    assert simpleqa(data=path).source == "simulated"
    assert table(path).source == "simulated"
    assert any("no real model was asked" in note for note in table(path).notes)
    with AnswerStore(path) as store:
        more = calls(questions(1), provider="openai")
        store.add("simpleqa", questions(1), more)
        assert table(path).source == "simulated"  # a real one is asked, and has not answered
        (call, _) = store.claim(2)
        store.settle(call.key, Reply("x"), cost=0)
        mixed = table(path)
        assert mixed.source == "simulated"
        assert "60 of the 61 answers are simulated models'" in mixed.notes


def test_a_board_speaks_of_its_own_suite_only(tmp_path: Path) -> None:
    path = collected(tmp_path / "s.sqlite", "simulated", judge="exact-0")
    with AnswerStore(path) as store:
        other = questions(3, "other ")
        store.add("another", other, calls(other, ["m"], provider="openai"))
        (call, *_) = store.claim(1)
        store.settle(call.key, Reply("x"), cost=0)
    data = simpleqa(data=path)
    assert data.source == "simulated"  # a real one was asked another suite's questions
    assert not any("not made yet" in note for note in data.notes)


def test_a_table_of_several_suites_says_so_and_takes_one(tmp_path: Path) -> None:
    path = collected(tmp_path / "s.sqlite", judge="exact-0")
    with AnswerStore(path) as store:
        other = questions(3, "other ")
        store.add("another", other, calls(other, provider="openai"))
        for call in store.claim(9):
            store.settle(call.key, Reply("x"), cost=0)
    both = table(path)
    assert "questions of several suites: another, simpleqa (table.of names one)" in both.notes
    one = table(path, of="simpleqa")
    assert len(one.ids) == 30
    assert (one.outcomes.state == State.OK).all()
    assert not any("several" in note for note in one.notes)
    with pytest.raises(DataError, match="there is no suite 'simpleqs' in it"):
        table(path, of="simpleqs")


def test_a_judge_that_could_grade_nothing_is_not_the_default(tmp_path: Path) -> None:
    path = collected(tmp_path / "s.sqlite")
    with AnswerStore(path) as store:
        for answer in store.answers():
            store.grade("grader@1a", answer, None, note="no key")
        assert store.judge() == "grader@1a"
        for answer in store.answers():
            store.grade("exact@2b", answer, 1.0, Grade.CORRECT)
    data = simpleqa(data=path)
    assert (data.outcomes.state == State.OK).all()
    said = simpleqa(data=path, graded_by="exact").notes[0]  # a name is enough
    assert said.endswith("graded by exact@2b (there are grades by grader@1a too)")


@pytest.mark.parametrize("content", [b"no store", b"SQLite format 3\0 and then nothing"])
def test_an_unsound_store_that_nobody_named_can_be_left_out(place: Path, content: bytes) -> None:
    place.parent.mkdir()
    place.write_bytes(content)
    with pytest.raises(DataError, match=r"simpleqa\.sqlite") as caught:
        simpleqa()
    assert "--source embedded" in caught.value.hint
    assert simpleqa(source="embedded").source == "simulated"


def test_what_a_judge_left_is_not_graded_by_another(tmp_path: Path) -> None:
    path = collected(tmp_path / "s.sqlite", judge="grader-1a")
    with AnswerStore(path) as store:
        answer = next(store.answers())
        store.grade("grader-1a", answer, None)
        for every in store.answers():
            store.grade("other-2b", every, 0.0, Grade.INCORRECT)
    config = {"suite": "simpleqa", "data": str(path)}
    data = load_data(make(config))
    assert data.judge is None
    assert (data.outcomes.state == State.UNGRADED).sum() == 1
    assert (data.outcomes.score == 1).sum() == 59
    assert data.notes[0] == (
        "answers collected in s.sqlite, graded by grader-1a (there are grades by other-2b too)"
    )
    data = load_data(make(config | {"set": {"simpleqa": {"graded_by": "other-2b"}}}))
    assert (data.outcomes.score == 0).all()
    assert load_data(make(config | {"judge": "exact"})).judge == "exact"  # when asked
    with pytest.raises(OptionError, match="no judge 'nobody' has graded here"):
        simpleqa(data=path, graded_by="nobody")
    with pytest.raises(OptionError, match="no judge 'nobody' has graded here"):
        table(path, graded_by="nobody")


def test_any_store_is_a_table(tmp_path: Path) -> None:
    path = collected(tmp_path / "outcomes.sqlite", judge="exact-0")
    data = table(path)
    assert (data.name, data.source, data.files) == ("table", "live", store_files(path))
    assert (data.outcomes.state == State.OK).all()
    assert table(path, source="recorded").source == "recorded"
    with AnswerStore(path) as store:
        store.add("simpleqa", questions(31), calls(questions(31)))
    assert table(path).notes[-1] == "calls not made yet: 2; their cells are missing"


def test_files_that_are_no_store(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    for load in (table, lambda path: simpleqa(data=path)):
        with pytest.raises(DataError, match="there is no such file"):
            load(path)
    path.write_text("query_id,query,model,score\n")
    for load in (table, lambda path: simpleqa(data=path)):
        with pytest.raises(DataError, match=r"s\.sqlite: is not a store of answers"):
            load(path)
    with pytest.raises(OptionError, match=r"graded_by: t\.csv is no store"):
        table(tmp_path / "t.csv", graded_by="x")


LOOKING = """
import sqlite3
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from routebench import Decisions, hookimpl

class Looking:
    class Options(BaseModel):
        path: str
    def __init__(self, options):
        self.options = options
    @hookimpl
    def fit(self, train):
        {attempt}
    @hookimpl
    def route(self, queries):
        return Decisions(np.zeros(len(queries), dtype=int))
    def save(self, folder): pass
    def load(self, folder): pass
"""


@pytest.mark.slow
def test_a_run_on_what_was_collected(
    real_board: Callable[..., dict[str, Any]], place: Path, tmp_path: Path
) -> None:
    """It says so, and a router that reads the store or its log fails, alone."""
    collected(place, judge="exact-0", n=120)
    for name, attempt in (
        ("plain", "sqlite3.connect(self.options.path).execute('SELECT * FROM calls')"),
        ("log", "Path(self.options.path + '-wal').read_bytes()"),
    ):
        (tmp_path / f"{name}.py").write_text(LOOKING.format(attempt=attempt))
    with AnswerStore(place) as store:  # its log is there as long as somebody writes
        store.add("simpleqa", questions(1), [])
        content = real_board(
            "--suite", "simpleqa", "--router",
            f"best-single,{tmp_path / 'plain.py'}:Looking@plain,{tmp_path / 'log.py'}:Looking@log",
            "--set", f"Looking@plain.path={place}", "--set", f"Looking@log.path={place}", rc=1,
        )  # fmt: skip
    assert content["suite"]["source"] == "live"
    found = rows(content)
    assert found["best-single"]["state"] == "ok"
    assert found["Looking@plain"]["state"] == "failed"
    assert found["Looking@log"]["state"] == "failed"
