"""Importers of other distributions: `auto` finds them, and a broken one breaks itself only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from routebench.errors import DataError, PluginError
from routebench.importers import guess, import_files

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
    assert made.notes == ("lines: 3",)
    assert pq.read_table(made.path).to_pylist()[2] == {
        "query_id": "2",
        "query": "how",
        "model": "a",
        "state": "ok",
        "score": 0.5,
    }


def test_a_file_of_two_formats_is_not_guessed(install: Install, tmp_path: Path) -> None:
    install(greedy="Greedy")
    path = tmp_path / "mmlu_law.csv"
    path.write_text("prompt,a,b\nWhy?,True,False\n")
    with pytest.raises(DataError, match=r"is of several formats: greedy, routellm") as caught:
        guess([path])
    assert caught.value.hint == "name one of them"
    assert import_files("routellm", [path], tmp_path / "o.parquet").rows == 2


def test_broken_ones_are_named_and_left_out(install: Install, log: Path, tmp_path: Path) -> None:
    install(log="Log", raising="Raising", bare="Bare", nothing="Nothing")
    made = import_files("auto", [log], tmp_path / "o.parquet")
    assert made.rows == 3
    for text in (
        "importer bare is left out: importer 'bare' has no suffixes",
        "importer nothing is left out: importer 'nothing': logs has no class 'Nothing'",
        "importer raising is left out: RuntimeError: no head",
        "lines: 3",
    ):
        assert text in made.notes
    log.rename(tmp_path / "a.txt")
    with pytest.raises(DataError, match="of no known format") as caught:
        guess([tmp_path / "a.txt"])
    assert "log: Logs (.log); routellm: " in caught.value.hint


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        ("Failing", "importer log failed: FileNotFoundError: gone"),
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
