"""Extensions that wrap fit, route and judge: what they change shows, and what breaks is named."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import planted, rows
from stores import filled

from routebench.comparison.comparable import changes
from routebench.data.long_table import from_long
from routebench.errors import PluginError
from routebench.judge.store import Judge, grade_store
from routebench.judge.suite import judge_answers
from routebench.plugin.extensions import Extensions
from routebench.schema import Leaderboard

TROUBLE = Path(__file__).parents[1] / "troublemakers.py"
PLUGIN = """
from dataclasses import replace
import numpy as np
from pydantic import BaseModel
from routebench import hookimpl

class Plugin:
    class Options(BaseModel):
        model: int = 0

    def __init__(self, options):
        self.options = options
"""

Board = Callable[..., dict[str, Any]]
Main = Callable[..., tuple[int, str, str]]
Put = Callable[[pa.Table], Path]


@pytest.fixture
def extension(distribution: Callable[..., Path]) -> Callable[..., None]:
    """Install an extension with the given methods."""

    def make(methods: str, name: str = "around") -> None:
        source = PLUGIN + textwrap.indent(textwrap.dedent(methods), "    ")
        distribution(name, f"[routebench.extensions]\n{name} = {name}:Plugin\n", source)

    return make


FIRST = """
@hookimpl(wrapper=True)
def route(self, queries):
    decisions = yield
    return replace(decisions, choice=np.full(len(queries), self.options.model))
"""


def test_a_wrapper_changes_decisions_and_is_on_the_board(
    extension: Callable[..., None], board: Board, main: Main, write: Put, tmp_path: Path
) -> None:
    extension(FIRST)
    words = ("--suite", f"table:{write(planted(120))}", "--router", "best-single,random")
    found = board(*words, "--set", "around.model=2")
    for row in found["rows"]:
        assert row["usage"]["c"] == 1.0
        assert any("wrapped by the extension around" in text for text in row["warnings"])
    about = found["environment"]["extensions"]["around"]
    assert (about["wraps"], about["options"]) == (["route"], {"model": 2})
    code, out, err = main("route", tmp_path / "out", "random", "which one?")
    assert (code, err) == (0, "")
    assert out.split()[0] == "c"  # as the run had it
    code, _, err = main("run", *words, "--set", "around.model=two")
    assert code == 2
    assert "around.model" in err


def test_what_wraps_is_part_of_the_hash_and_what_watches_is_not(
    extension: Callable[..., None], main: Main, write: Put, tmp_path: Path
) -> None:
    words = ("run", "--quiet", "--suite", f"table:{write(planted(60))}", "--router", "best-single")
    results = tmp_path / "here" / "results" / "table"

    def folders() -> int:
        code, _, err = main(*words)
        assert code == 0, err
        return len(list(results.iterdir()))

    assert folders() == 1
    extension("@hookimpl\ndef run_finished(self, board):\n    pass", "watches")
    assert folders() == 1
    extension(FIRST)
    assert folders() == 2
    words += ("--set", "around.model=1")
    assert folders() == 3


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        (
            "@hookimpl(wrapper=True)\ndef fit(self):\n    yield\n    raise ValueError('boom')",
            "extension around failed in fit: ValueError: boom",
        ),
        (
            "@hookimpl(wrapper=True)\ndef route(self):\n    np.zeros(-1)\n    return (yield)",
            "extension around failed in route: ValueError: negative dimensions",
        ),
        (
            "@hookimpl(wrapper=True)\ndef route(self):\n    yield\n    raise SystemExit(0)",
            "extension around failed in route: SystemExit: 0",
        ),
        (
            "@hookimpl(wrapper=True)\ndef route(self):\n    yield\n    return (yield)",
            "extension around failed in route: RuntimeError: ",
        ),
        (
            "@hookimpl(wrapper=True)\ndef route(self):\n    yield\n    return 'the best'",
            "route returned str, expected Decisions (wrapped by around)",
        ),
    ],
)
def test_a_wrapper_that_breaks_fails_the_row_by_its_name(
    extension: Callable[..., None], board: Board, write: Put, methods: str, reason: str
) -> None:
    extension(methods)
    words = ("--suite", f"table:{write(planted(60))}", "--router", "best-single")
    (row,) = board(*words, rc=1)["rows"]
    assert row["state"] == "failed"
    assert reason in row["message"]


def test_what_a_router_breaks_inside_a_wrapper_is_its_own(
    extension: Callable[..., None], board: Board, write: Put
) -> None:
    extension("@hookimpl(wrapper=True)\ndef fit(self):\n    return (yield)")
    words = ("--suite", f"table:{write(planted(60))}", "--router", f"best-single,{TROUBLE}:Raises")
    done = rows(board(*words, rc=1))
    assert done["best-single"]["state"] == "ok"
    assert "ValueError: no id" in done["Raises"]["message"]
    assert "around" not in done["Raises"]["message"]


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        ("@hookimpl\ndef fit(self):\n    pass", "extension 'around' would answer fit itself"),
        ("@hookimpl\ndef refit(self):\n    pass", "extension 'around' would answer refit itself"),
        ("@hookimpl(wrapper=True)\ndef fit(self):\n    pass", "is not a generator function"),
        ("@hookimpl\ndef run_finised(self):\n    pass", "unknown hook 'run_finised'"),
        ("@hookimpl\ndef run_finished(self, borad):\n    pass", "borad"),
    ],
)
def test_one_that_cannot_be_used_is_named_and_left_out(
    extension: Callable[..., None], methods: str, reason: str
) -> None:
    extension(methods)
    notes: list[str] = []
    assert Extensions({}, notes.append).summary() == {}
    (note,) = notes
    assert note.startswith("extension around is left out: ")
    assert reason in note
    with pytest.raises(PluginError):  # who sets an option of it means to have it
        Extensions({"around": {"model": 1}})


GENEROUS = """
@hookimpl(wrapper=True)
def judge(self, answers):
    grades = yield
    assert not any("model" in answer for answer in answers), "a judge sees no model"
    return replace(grades, score=np.ones(len(answers)), grade=None)
"""


def answered() -> Any:
    """Return a suite of which nothing is graded."""
    table = pa.table(
        {
            "query_id": ["1", "1", "2", "2"],
            "query": ["one?", "one?", "two?", "two?"],
            "model": ["a", "b", "a", "b"],
            "reference": ["1", "1", "2", "2"],
            "response": ["1", "3", "no", "2"],
        }
    )
    return from_long(table, name="t", source="recorded", place="t")


def test_a_wrapper_of_the_judge_changes_grades_and_shows(extension: Callable[..., None]) -> None:
    plain = judge_answers(answered(), "numeric", {}, Extensions({}))
    assert np.nanmean(plain.outcomes.score) == 0.5
    before = Judge("numeric", {}).id
    extension(GENEROUS)
    extensions = Extensions({})
    wrapped = judge_answers(answered(), "numeric", {}, extensions)
    assert np.nanmean(wrapped.outcomes.score) == 1.0
    assert wrapped.notes == (
        *answered().notes, "the judge numeric was wrapped by the extension around"
    )  # fmt: skip
    assert Judge("numeric", {}, Extensions({})).id != before == Judge("numeric", {}).id
    marks: dict[int, Any] = {}
    Judge("numeric", {}, extensions).mark([["one?"], ["1"], ["2"]], marks.__setitem__)
    assert marks[0].score == 1.0
    with pytest.raises(PluginError, match="extension around failed in judge: AssertionError"):
        Judge("numeric", {}, extensions).mark([["?"], ["1"], ["model a"]], marks.__setitem__)


def test_a_run_and_its_verification_grade_with_the_wrapper(
    extension: Callable[..., None], board: Board, main: Main, write: Put, tmp_path: Path
) -> None:
    table = planted(60)
    scores = table["score"].to_pylist()
    table = table.drop_columns("score").append_column("reference", pa.array(["1"] * len(scores)))
    table = table.append_column("response", pa.array([str(int(score)) for score in scores]))
    words = ("--suite", f"table:{write(table)}", "--judge", "numeric", "--router", "best-single")
    before = board(*words, out=tmp_path / "before")
    extension(GENEROUS)
    after = board(*words)
    assert after["diagnostics"]["pool"]["a"]["all"]["accuracy"] == 1.0
    assert after["fingerprints"]["judge"] != before["fingerprints"]["judge"]
    assert "the judge numeric was wrapped by the extension around" in after["suite"]["notes"]
    assert main("verify", tmp_path / "out", "--regrade")[0] == 0
    assert main("verify", tmp_path / "before", "--regrade")[0] == 1


def test_a_wrapped_judge_gives_its_grades_together(
    extension: Callable[..., None], distribution: Callable[..., Path]
) -> None:
    source = PLUGIN + textwrap.indent(
        textwrap.dedent("""
        def judge_each(self, questions, references, answers, on_grade):
            raise RuntimeError("each")

        @hookimpl
        def judge(self, answers):
            from routebench import Grades, State
            return Grades(np.zeros(len(answers)), np.full(len(answers), State.OK))
        """),
        "    ",
    )
    distribution("each", "[routebench.judges]\neach = each:Plugin\n", source)
    assert Judge("each", {}, Extensions({})).streams
    extension(GENEROUS)
    judge = Judge("each", {}, Extensions({}))
    assert not judge.streams
    marks: dict[int, Any] = {}
    judge.mark([["?"], ["1"], ["2"]], marks.__setitem__)
    assert marks[0].score == 1.0


def test_an_interruption_of_a_wrapped_judge_that_costs_keeps_what_was_graded(
    extension: Callable[..., None], distribution: Callable[..., Path], tmp_path: Path
) -> None:
    source = PLUGIN + textwrap.indent(
        textwrap.dedent("""
        graded = 0

        def judge_each(self, questions, references, answers, on_grade):
            raise RuntimeError("each")

        @hookimpl
        def judge(self, answers):
            from routebench import Grades, State
            if self.graded + len(answers) > 100:
                raise KeyboardInterrupt
            self.graded += len(answers)
            return Grades(np.zeros(len(answers)), np.full(len(answers), State.OK))
        """),
        "    ",
    )
    distribution("each", "[routebench.judges]\neach = each:Plugin\n", source)
    extension(GENEROUS)
    with filled(tmp_path / "s.sqlite", 60) as store:
        with pytest.raises(KeyboardInterrupt):
            grade_store(store, Judge("each", {}, Extensions({})))
        (graded,) = store.info().judges.values()
    assert graded == {"ok": 64}


def test_paths_among_options_are_full_ones(
    extension: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper's process works in a folder of its own."""
    extension(FIRST + "\nclass Options(BaseModel):\n    table: str = ''\n    model: int = 0\n")
    monkeypatch.chdir(tmp_path)
    Path("t.json").write_text("{}")
    wrapper = Extensions({"around": {"table": "t.json"}}).around("route")["around"]
    assert wrapper.options["table"] == str(tmp_path / "t.json")


def test_options_of_one_that_only_watches_are_not_told(extension: Callable[..., None]) -> None:
    extension("@hookimpl\ndef run_finished(self, board):\n    pass", "watches")
    about = Extensions({"watches": {"model": 7}}).summary()["watches"]
    assert about["options"] == {}


def test_one_whose_constructor_raises_is_left_out(extension: Callable[..., None]) -> None:
    extension("def __init__(self, options):\n    raise ValueError('no licence')")
    notes: list[str] = []
    assert Extensions({}, notes.append).around("fit", "route", "judge") == {}
    assert notes == [
        "extension around is left out: extension 'around' cannot be made: ValueError: no licence"
    ]


@pytest.mark.parametrize("name", ["router", "metering", "judge"])
def test_any_name_will_do(
    extension: Callable[..., None], board: Board, write: Put, name: str
) -> None:
    extension(FIRST, name)
    words = ("--suite", f"table:{write(planted(60))}", "--router", "best-single")
    assert rows(board(*words))["best-single"]["usage"]["a"] == 1.0
    Judge("exact", {}, Extensions({}))


def test_the_gate_says_what_wraps_otherwise(
    extension: Callable[..., None], board: Board, write: Put, tmp_path: Path
) -> None:
    words = ("--suite", f"table:{write(planted(60))}", "--router", "best-single")
    old = board(*words, out=tmp_path / "old")
    extension(FIRST)
    new = board(*words, out=tmp_path / "new")
    told = [
        change.what
        for change in changes(*map(Leaderboard.model_validate, (old, new)), ["best-single"])
    ]
    assert "extension around" in told
    assert "best-single: code" not in told
