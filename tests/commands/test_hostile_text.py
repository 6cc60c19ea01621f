"""Text from outside that would move the cursor, hide, or turn the writing round."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import SMALLER
from hypothesis import given
from hypothesis import strategies as st
from runs import edit_board

from routebench.printed import plain, visible, visible_values
from routebench.report.terminal import console

Main = Callable[..., tuple[int, str, str]]
Make = Callable[..., Path]

NASTY = {
    "escape": "\x1b[2J\x1b]0;owned\x07\x1b[31m",
    "one byte": "\x9b31m\x9d0;x\x9c\x7f\x08\r",
    "nul": "\0\x01",
    "bidi": "\u202egnp.exe\u2066\u200f\u061c",
    "hidden": "a\u200bb\u00ad\ufeff\U000e0041",
    "line": "one\ntwo\u2028three\x85four",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "path": "../../../etc/passwd",
    "markup": "[bold red]x[/bold red][/] :smile: [link=http://x]y[/link]\\",
    "markdown": "| a | [x](javascript:1) `b` **c** ![i](http://x/i.png)",
}
ALL = "".join(NASTY.values())
COLUMNS = ("query", "model", "task", "topic", "user", "response", "query_id")
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def unseen(text: str) -> set[str]:
    """Return what no terminal or page should get."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in UNSEEN}


def hostile(path: Path) -> Path:
    """A table with something nasty in every text of every column."""
    rng = np.random.default_rng(0)
    nasty = list(NASTY.values())
    columns: dict[str, list[Any]] = {name: [] for name in (*COLUMNS, "score", "cost_usd")}
    for row in range(120):
        for model in range(3):
            bad = nasty[row % len(nasty)]
            columns["query_id"].append(f"{bad} {row}")
            columns["query"].append(f"{ALL if row < 20 else bad} question {row}")
            columns["model"].append(f"model {model}{ALL}")
            columns["task"].append(f"{nasty[row % 3]} task")
            columns["topic"].append(f"topic {nasty[row % 4]}")
            columns["user"].append(f"user {bad}")
            columns["response"].append(f"{ALL} answer")
            columns["score"].append(float(rng.random() < 0.4 + 0.2 * (model == row % 3)))
            columns["cost_usd"].append(0.001 * (model + 1))
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile(tmp_path_factory.mktemp("hostile") / "[bold]t\u202e\x1b[2J:smile:.parquet")


def test_a_hostile_table_everywhere(table: Path, main: Main, tmp_path: Path) -> None:
    folder, other = tmp_path / "run", tmp_path / "other"
    words = ("--router", "knn,random,best-single", "--show", "task", "--perturb", 8, *SMALLER)
    said = {"info": main("data", "info", table)}
    said["run"] = main("run", "--suite", f"table:{table}", "--out", folder, *words)
    assert main("run", "--suite", f"table:{table}", "--out", other, *words, "--quiet")[0] == 0

    def messages(board: dict[str, Any]) -> None:
        """What routers, judges and environments may have said."""
        for row in board["rows"]:
            row["warnings"].append(ALL)
            row["facts"] = {f"fact {NASTY['bidi']}": ALL}
            row["plugin"] = row["distribution"] = ALL
        board["suite"]["notes"].append(ALL)
        board["environment"]["packages"][ALL] = ALL

    edit_board(other, messages)
    get_plotlyjs = pytest.importorskip("plotly.offline").get_plotlyjs
    page, readme = tmp_path / "page.html", tmp_path / "page.md"
    for name, command in {
        "show": ("show", other),
        "curves": ("show", other, "--curves", "--wide"),
        "json": ("show", other, "--json"),
        "report": ("report", folder, other, "--out", page, "--markdown", readme),
        "gate": ("gate", folder, other, "--markdown", tmp_path / "gate.md", "--junit",
                 tmp_path / "gate.xml", "--annotations", "--inconclusive", "pass"),
        "compare": ("compare", folder, other),
        "compare json": ("compare", folder, other, "--json"),
        "verify": ("verify", other),
        "site": ("site", tmp_path, "--out", tmp_path / "site"),
        "route": ("route", folder, "knn", ALL),
        "route json": ("route", folder, "knn", ALL, "--json"),
    }.items():  # fmt: skip
        said[name] = main(*command)
    codes = {name: code for name, (code, _, _) in said.items()}
    assert {n: c for n, c in codes.items() if c} == {"verify": codes["verify"]}, said
    for name, (_, out, err) in said.items():
        assert unseen(out + err) == set(), name
        assert ":smile:" in out or "😄" not in out, name
    assert "␛[2J" in said["show"][1]
    assert "<202e>" in said["show"][1]
    files = [page, readme, *(tmp_path / f"gate.{end}" for end in ("md", "xml"))]
    files += list((tmp_path / "site").rglob("*.html"))
    assert len(files) > 6
    for file in files:
        text = file.read_text()
        library = unseen(get_plotlyjs()) if file == page else set()
        assert unseen(text) <= library, file.name
        assert not re.search(r"(?<!\\)<(script>alert|img src=x)", text), file.name


def test_plugins_and_errors(distribution: Make, main: Main, tmp_path: Path) -> None:
    name = "x" + "".join(f"x{ALL}".splitlines()).replace("=", "")
    source = f"raise RuntimeError({ALL!r})\n"
    distribution("evil", f"[routebench.routers]\n{name} = evil:A\nbroken = evil:B\n", source)
    code, out, err = main("plugins")
    assert code == 0
    assert "␛[2J" in out
    assert unseen(out + err) == set()
    for words in (("plugins", "broken"), ("show", f"no{ALL}".replace("\0", "")), (f"co{ALL}",)):
        code, out, err = main(*words)
        assert code == 2
        assert unseen(out + err) == set(), words


@given(st.text(st.characters()))
def test_no_text_has_anything_unseen_left(text: str) -> None:
    assert unseen(visible(text).replace("\t", "")) == set()
    assert visible(visible(text)) == visible(text)
    plain(text, "ascii").encode("ascii")


def test_values_of_json() -> None:
    value = {"a\x1b": ["\u202e", 1, None, {"b": "\0"}]}
    assert visible_values(value) == {"a␛": ["<202e>", 1, None, {"b": "␀"}]}


def test_tables_are_laid_out_with_what_is_shown() -> None:
    out = StringIO()
    rows = console.make_table("a", "b")
    rows.add_row("x\x1b[2J", "1")
    rows.add_row("yyyyyy", "2")
    page = console.page(out)
    page.print(rows)
    lines = [line for line in out.getvalue().splitlines() if line.rstrip().endswith(("1", "2"))]
    assert "x␛[2J" in lines[0]
    assert len({line.rstrip().__len__() for line in lines}) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_terminals_with_few_characters(settings: dict[str, str], tmp_path: Path) -> None:
    board = Path(__file__).parents[2] / "results" / "simpleqa"
    for words in (
        ("show", board, "--curves", "--wide"),
        ("plugins",),
        ("show", tmp_path / "ü…—\udcff"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "routebench", *map(os.fsencode, map(str, words))],
            capture_output=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("LC_")} | settings,
            timeout=60,
        )
        said = done.stdout + done.stderr
        assert done.returncode == (2 if len(words) == 2 else 0), said
        assert b"Traceback" not in said
        if "ascii" in settings.values():
            assert said.isascii()
            assert b"+-" in said or words[0] != "show" or done.returncode == 2
