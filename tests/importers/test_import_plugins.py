"""Importers of other distributions: `auto` finds them, and a broken one breaks itself only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from routebench.errors import DataError, PluginError
from routebench.importers import Selection, guess, import_files

SOURCE = """
import pyarrow as pa
from pydantic import BaseModel
from routebench.hookspecs import ImportPart

class Log:
    '''Logs (.log).

    More of it.
    '''
    class Options(BaseModel):
        pass
    suffixes = (".log",)
    def __init__(self, options):
        self.options = options
    def recognises(self, head):
        return head.path.suffix == ".log"
    def read(self, paths, selection):
        for path in paths:
            names = ("query_id", "query", "model", "score")
            rows = [dict(zip(names, line.split())) for line in path.read_text().splitlines()]
            table = pa.Table.from_pylist(rows)
            yield ImportPart(str(path), table, {"lines": len(rows)})

class Greedy(Log):
    '''Everything.'''
    def recognises(self, head):
        return True

class Raising(Log):
    def recognises(self, head):
        raise RuntimeError("no head")

class Failing(Log):
    def read(self, paths, selection):
        raise FileNotFoundError("gone")

class Unknown(Log):
    def read(self, paths, selection):
        columns = {name: ["x"] for name in ("query_id", "query", "model", "skore")}
        yield ImportPart("one", pa.table(columns))

class Short(Log):
    def read(self, paths, selection):
        yield ImportPart("one", pa.table({"query_id": ["x"], "query": ["x"]}))

class Worded(Log):
    def read(self, paths, selection):
        columns = {name: ["x"] for name in ("query_id", "query", "model", "score")}
        yield ImportPart("one", pa.table(columns))

class Unbuilt(Log):
    def __init__(self, options):
        raise ValueError("no license")

class Wide(Log):
    def read(self, paths, selection):
        columns = ("query_id", "query", "model", "task", "state", "score", "response")
        rows = [line.split(",") for line in paths[0].read_text().splitlines()]
        cells = [[cell or None for cell in row] for row in rows]
        table = pa.Table.from_pylist([dict(zip(columns, row)) for row in cells])
        yield ImportPart("wide", table)

class Asking(Log):
    def only_questions(self, paths):
        return {}[paths[0].suffix]
    def write_questions(self, paths, out):
        raise AssertionError

class Questions(Log):
    def only_questions(self, paths):
        return True
    def write_questions(self, paths, out):
        out.write_text("query")
        return 1, ()

class Bare:
    class Options(BaseModel):
        pass
    def __init__(self, options):
        pass
"""

Install = Callable[..., None]


@pytest.fixture
def install(distribution: Callable[..., Path]) -> Install:
    """Install the importers `name=class` of a distribution."""

    def make(**importers: str) -> None:
        lines = [f"{name} = logs:{cls}" for name, cls in importers.items()]
        distribution("logs", "[routebench.importers]\n" + "\n".join(lines) + "\n", SOURCE)

    return make


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a log of two models."""
    path = tmp_path / "a.log"
    path.write_text("1 why a 1\n1 why b 0\n2 how a 0.5\n")
    return path


def test_a_table_with_few_columns_is_enough(install: Install, log: Path, tmp_path: Path) -> None:
    install(log="Log")
    made = import_files("auto", [log], tmp_path / "o.parquet")
    assert (made.rows, made.queries, made.models) == (3, 2, {"a": 2, "b": 1})
    assert made.notes[1:] == ("lines: 3",)
    assert pq.read_table(made.path).to_pylist()[2] == {
        "query_id": "2",
        "query": "how",
        "model": "a",
        "state": "ok",
        "score": 0.5,
    }


def test_without_a_state_an_answer_without_score_is_ungraded(
    install: Install, log: Path, tmp_path: Path
) -> None:
    install(log="Log")
    log.write_text("1 why a 1\n1 why b\n2 how a nan\n")
    made = import_files("log", [log], tmp_path / "o.parquet")
    assert made.states == {"ok": 1, "ungraded": 2}
    assert pq.read_table(made.path)["score"].to_pylist() == [1.0, None, None]


WIDE = "1,why,a,math,ok,1,x\n1,why,b,math,FAILED,,\n2,how,a,,ungraded,,y\n"


@pytest.mark.parametrize(
    ("selection", "kept"),
    [
        (Selection(), [0, 1, 2]),
        (Selection(tasks=("m*",)), [0, 1]),
        (Selection(tasks=("*",)), [0, 1, 2]),
        (Selection(models=("a",)), [0, 2]),
        (Selection(("math",), ("a", "c")), [0]),
    ],
)
def test_the_selection_holds_for_every_importer(
    install: Install, log: Path, tmp_path: Path, selection: Selection, kept: list[int]
) -> None:
    install(log="Wide")
    log.write_text(WIDE)
    made = import_files("log", [log], tmp_path / "o.parquet", selection)
    found = [(row["query_id"], row["model"]) for row in pq.read_table(made.path).to_pylist()]
    assert found == [[("1", "a"), ("1", "b"), ("2", "a")][at] for at in kept]
    assert "response" in pq.read_schema(made.path).names
    silent = replace(selection, answers=False)
    made = import_files("log", [log], tmp_path / "o.parquet", silent)
    assert "response" not in pq.read_schema(made.path).names


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",why,a,t,ok,1", "query_id is None, expected text"),
        ("1,,a,t,ok,1", "query is None, expected text"),
        ("1,why,,t,ok,1", "model is None, expected text"),
        ("1,why,a,t,,1", "state is None, expected ok or failed or ungraded"),
        ("1,why,a,t,fine,1", "state is 'fine', expected ok or failed or ungraded"),
        ("1,why,a,t,ok,7", "score is 7.0, expected a number in [0, 1]"),
        ("1,why,a,t,ok,-0.1", "score is -0.1, expected a number in [0, 1]"),
    ],
)
def test_wrong_values_are_refused_and_leave_what_was_there(
    install: Install, log: Path, tmp_path: Path, row: str, reason: str
) -> None:
    install(log="Wide")
    out = tmp_path / "o.parquet"
    out.write_text("before")
    log.write_text(f"1,why,b,t,ok,1\n{row}\n")
    with pytest.raises(PluginError) as caught:
        import_files("log", [log], out)
    assert caught.value.message == f"importer log: wide: row 2: {reason}"
    assert out.read_text() == "before"


def test_questions_that_cannot_be_written(install: Install, log: Path, tmp_path: Path) -> None:
    install(log="Questions")
    with pytest.raises(DataError, match=r"q\.csv: cannot be written: No such file"):
        import_files("log", [log], tmp_path / "gone" / "q.csv")
    assert import_files("log", [log], tmp_path / "q.csv").queries == 1


def test_a_file_of_two_formats_is_not_guessed(install: Install, tmp_path: Path) -> None:
    install(greedy="Greedy")
    path = tmp_path / "mmlu_law.csv"
    path.write_text("prompt,a,b\nWhy?,True,False\n")
    with pytest.raises(DataError, match=r"is of several formats: greedy, routellm") as caught:
        guess([path])
    assert caught.value.hint == "name one of them"
    assert import_files("routellm", [path], tmp_path / "o.parquet").rows == 2


def test_broken_ones_are_named_and_left_out(install: Install, log: Path, tmp_path: Path) -> None:
    install(log="Log", raising="Raising", bare="Bare", nothing="Nothing", unbuilt="Unbuilt")
    made = import_files("auto", [log], tmp_path / "o.parquet")
    assert made.rows == 3
    for text in (
        "importer bare is left out: importer 'bare' has no suffixes",
        "importer nothing is left out: importer 'nothing': logs has no class 'Nothing'",
        "importer raising is left out: RuntimeError: no head",
        "importer unbuilt is left out: importer unbuilt failed: ValueError: no license",
        "lines: 3",
    ):
        assert text in made.notes
    log.rename(tmp_path / "a.txt")
    with pytest.raises(DataError, match="of no known format") as caught:
        guess([tmp_path / "a.txt"])
    assert "--suite table:FILE, with --map" in caught.value.hint
    assert "lm-eval, log, openai-batch" in caught.value.hint


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        ("Failing", "importer log failed: FileNotFoundError: gone"),
        ("Asking", "importer log failed: KeyError: '.log'"),
        ("Unbuilt", "importer log failed: ValueError: no license"),
        ("Unknown", "importer log: its rows have an unknown column skore"),
        ("Short", "importer log: its rows have no column model"),
        ("Worded", "importer log failed: ArrowInvalid: Failed to parse string: 'x'"),
    ],
)
def test_what_breaks_in_one_is_its_own(
    install: Install, log: Path, tmp_path: Path, cls: str, reason: str
) -> None:
    install(log=cls)
    out = tmp_path / "o.parquet"
    with pytest.raises(PluginError) as caught:
        import_files("log", [log], out)
    assert caught.value.message.startswith(reason)
    assert not out.exists()
