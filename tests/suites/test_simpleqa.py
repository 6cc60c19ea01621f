"""The SimpleQA suite: its sources, what it says of them, and that routers cannot look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import noise as conftest_noise
from conftest import read_board, rows

from routebench.config import make
from routebench.data.splits import TEST, TRAIN, VALIDATION, make_split
from routebench.errors import OptionError
from routebench.judge.suite import judge_answers
from routebench.loading import load_data
from routebench.prices.apply import price
from routebench.records import Grade, State, SuiteData
from routebench_suites.questions import EMBEDDED
from routebench_suites.simpleqa import SimpleQA


def suite(**options: Any) -> SimpleQA:
    return SimpleQA(SimpleQA.Options(**options))


@pytest.fixture(scope="module")
def embedded() -> SuiteData:
    data = suite().load()
    assert data.judge is not None
    return judge_answers(data, data.judge, {})


def test_embedded_questions_are_answered_graded_and_priced(embedded: SuiteData) -> None:
    assert embedded.source == "simulated"
    assert any("simulated pool" in note for note in embedded.notes)
    assert len(embedded.pool) == 6
    assert (embedded.pool.small, embedded.pool.large) == ("sim-flash", "sim-pro")
    assert (embedded.outcomes.state == State.OK).all()
    assert embedded.outcomes.grade is not None
    accuracy = (embedded.outcomes.grade == Grade.CORRECT).mean(axis=0)
    declined = (embedded.outcomes.grade == Grade.NOT_ATTEMPTED).mean(axis=0)
    assert 0.04 <= accuracy.min() <= 0.15
    assert 0.45 <= accuracy.max() <= 0.58
    assert declined.min() <= 0.05
    assert 0.4 <= declined.max() <= 0.55
    priced, info = price(embedded, None)
    assert info.label == "prices"
    assert priced.outcomes.cost is not None
    assert (priced.outcomes.cost > 0).all()


def test_nothing_is_shown_but_the_text(embedded: SuiteData) -> None:
    assert embedded.visible == frozenset()
    assert embedded.queries.topic is not None
    assert len(set(embedded.queries.topic)) == 10


def test_the_test_part_is_large_and_has_no_duplicates(embedded: SuiteData) -> None:
    split = make_split(embedded, shares=embedded.shares)
    counts = [(split.codes == code).mean() for code in (TRAIN, VALIDATION, TEST)]
    assert counts == pytest.approx([0.5, 0.1, 0.4], abs=0.02)
    assert (split.leaked, split.removed) == (0, 0)


def test_another_world_knows_other_things(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("".join(EMBEDDED.read_text().splitlines(keepends=True)[:200]))
    monkeypatch.setattr("routebench_suites.simpleqa.EMBEDDED", few)
    one, again, other = suite().load(), suite().load(), suite(world=1).load()
    assert one.answers.equals(again.answers)
    assert list(other.ids) == list(one.ids)
    assert not other.answers.equals(one.answers)


CSV = (
    "metadata,problem,answer\n"
    "\"{'topic': 'Art', 'answer_type': 'Person', 'urls': []}\",Who painted it?,Ada Lovelace\n"
    "\"{'topic': 'Music', 'answer_type': 'Date', 'urls': []}\",When was it sung?,1 May 1990\n"
    "\"{'topic': 'Other', 'answer_type': 'Number', 'urls': []}\",How many were there?,42\n"
)


def test_questions_of_a_file_are_asked_of_the_simulated_pool(tmp_path: Path) -> None:
    path = tmp_path / "simple_qa_test_set.csv"
    path.write_text(CSV)
    data = suite(data=path).load()
    assert data.source == "simulated"
    assert sorted(data.queries.text) == [
        "How many were there?",
        "When was it sung?",
        "Who painted it?",
    ]
    assert path in data.files
    assert data.answers.null_count == 0


def test_recorded_answers_are_graded_where_nobody_has(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    table = pa.table(
        {
            "query_id": ["a", "a", "b", "b"],
            "query": ["Who?", "Who?", "When?", "When?"],
            "reference": ["Ada Lovelace", "Ada Lovelace", "1990", "1990"],
            "model": ["x", "y", "x", "y"],
            "response": ["Ada Lovelace", "Grace Hopper", "I don't know.", "In 1991."],
            "grade": pa.array([None, None, None, "CORRECT"]),
        }
    )
    data = suite(data=write(table), source="recorded", small="x", large="y").load()
    assert data.source == "recorded"
    assert (data.pool.small, data.pool.large) == ("x", "y")
    judged = judge_answers(data, "exact", {})
    grades = {
        (judged.ids[i], judged.pool.models[j]): Grade(judged.outcomes.grade[i, j]).name  # type: ignore[index]
        for i in range(2)
        for j in range(2)
    }
    assert grades["a", "x"] == "CORRECT"
    assert grades["a", "y"] == "INCORRECT"
    assert grades["b", "x"] == "NOT_ATTEMPTED"
    assert grades["b", "y"] == "CORRECT"  # a recorded grade stands


def test_scores_without_answers_need_no_judge(write: Callable[..., Path]) -> None:
    config = make({"suite": "simpleqa", "data": str(write(conftest_noise()))})
    data = load_data(config)
    assert data.judge is None
    assert (data.outcomes.state == State.OK).all()


def test_sources_that_are_not_there(tmp_path: Path, write: Callable[..., Path]) -> None:
    questions = tmp_path / "questions.csv"
    questions.write_text(CSV)
    with pytest.raises(OptionError, match="no outcomes are named"):
        suite(source="recorded").load()
    with pytest.raises(OptionError, match="questions without answers"):
        suite(source="recorded", data=questions).load()
    table = pa.table({"query_id": ["a"], "query": ["Who?"], "model": ["x"], "score": [1.0]})
    with pytest.raises(OptionError, match="holds recorded answers"):
        suite(source="embedded", data=write(table)).load()


@pytest.mark.slow
def test_a_whole_run_says_where_the_answers_come_from(
    main: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    words = ("--suite", "simpleqa", "--router", "knn,best-single")
    code, printed, said = main("run", *words, "--out", tmp_path / "o")
    assert code == 0, said
    assert "simpleqa (simulated pool)" in printed
    assert "test queries" in printed
    assert "no router saves anything at equal accuracy here" in printed
    board = read_board(tmp_path / "o")
    assert board["suite"]["source"] == "simulated"
    assert any("simulated pool" in note for note in board["suite"]["notes"])
    found = rows(board)
    assert found["knn"]["metrics"]["f_score"]["value"] is not None
    # No router looks better here than on answers of real models.
    gap = found["knn"]["metrics"]["gap_recovered"]["value"]
    assert -0.1 < gap < 1 / 3


LOOKING = """
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


ATTEMPTS = (
    "Path(self.options.path).read_text()",
    "(Path(self.options.path).parent / 'countries.csv').read_text()",
    "import routebench_providers.simulated.provider",
    "import routebench_suites.simpleqa",
)


@pytest.mark.slow
def test_a_router_that_looks_the_answers_up_fails(
    real_board: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    routers, options = ["best-single"], []
    for number, attempt in enumerate(ATTEMPTS):
        file = tmp_path / f"looking{number}.py"
        file.write_text(LOOKING.format(attempt=attempt))
        routers.append(f"{file}:Looking@{number}")
        options += ["--set", f"Looking@{number}.path={EMBEDDED}"]
    words = ("--suite", "simpleqa", "--router", ",".join(routers))
    found = rows(real_board(*words, *options, rc=1))
    assert len(found) == 1 + len(ATTEMPTS)
    for number, attempt in enumerate(ATTEMPTS):
        row = found[f"Looking@{number}"]
        assert row["state"] == "failed", attempt
        assert "isolation" in row["message"] or "Permission" in row["message"]
    assert found["best-single"]["state"] == "ok"


@pytest.mark.slow
def test_simpleqa_itself(shared: Path) -> None:
    data = suite(data=shared / "simpleqa" / "simple_qa_test_set.csv").load()
    judged = judge_answers(data, "exact", {})
    assert len(judged) == 4326
    accuracy = np.nanmean(judged.outcomes.score, axis=0)
    assert (accuracy > 0.01).all()
    assert (accuracy < 0.56).all()
