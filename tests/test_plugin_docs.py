"""docs/plugins.md: its distribution, one plugin of each kind, works without anything else."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import tomllib
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import real, rows
from test_tutorial import BLOCK, FILE

from routebench.plugin import discovery
from routebench.testing import plugin_checks

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
KINDS = sorted(discovery.KINDS)

Main = Callable[..., tuple[int, str, str]]


def blocks(language: str) -> list[str]:
    """Return the text of every fenced block of a language."""
    return [text for kind, text in BLOCK.findall(PAGE.read_text("utf-8")) if kind == language]


def commands() -> list[list[str]]:
    """Return the words of every command of the page."""
    return [shlex.split(line) for text in blocks("sh") for line in text.splitlines()]


@pytest.fixture
def acme(distribution: Callable[..., Path]) -> dict[str, dict[str, str]]:
    """Put the page's distribution on the path; return its entry points."""
    (project,) = map(tomllib.loads, blocks("toml"))
    groups: dict[str, dict[str, str]] = project["project"]["entry-points"]
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in entries.items()))
    ]
    site = distribution("acme", "\n".join(lines) + "\n", "").parent
    for text in blocks("python"):
        name = FILE.match(text)
        assert name, text
        (site / name[1]).write_text(text, encoding="utf-8")
    return groups


def test_every_kind_is_there(acme: dict[str, dict[str, str]], main: Main) -> None:
    assert sorted(group.removeprefix("routebench.").removesuffix("s") for group in acme) == KINDS
    for group, entries in acme.items():
        for name, target in entries.items():
            info = discovery.find(group.removeprefix("routebench.").removesuffix("s"), name)
            assert (info.target, info.distribution) == (target, "acme")
            code, out, err = main("plugins", name)
            assert (code, err) == (0, "")
            assert out.startswith(f"{info.kind} {name} ")


@pytest.mark.parametrize(
    "kind",
    [pytest.param("router", marks=pytest.mark.slow), "suite", "judge", "provider", "encoder"],
)
def test_each_keeps_the_promises_of_its_kind(kind: Any, acme: dict[str, dict[str, str]]) -> None:
    (name,) = acme[f"routebench.{kind}s"]
    plugin = discovery.load(discovery.find(kind, name))
    for check in plugin_checks(kind, plugin):
        with contextlib.suppress(unittest.SkipTest):
            check()


def check_board(folder: Path) -> None:
    """Check that each of the distribution's plugins has had its part in a run."""
    board: dict[str, Any] = json.loads((folder / "leaderboard.json").read_text())
    done = rows(board)
    assert [row["state"] for row in done.values()] == ["ok", "ok"]
    assert board["suite"]["name"] == "acme-quiz"
    known = board["diagnostics"]["pool"]["poet"]["all"]["accuracy"]
    assert known == pytest.approx(0.5, abs=0.02)  # a judge has graded its answers
    # The letters tell sums from rhymes: only queries that are kept away from the poet go wrong.
    nearest, single = (
        done[n]["metrics"]["accuracy"]["value"] for n in ("acme-nearest", "best-single")
    )
    assert nearest > single + 0.2
    assert done["acme-nearest"]["distribution"] == "acme"
    assert board["environment"]["extensions"]["acme-guard"] == {
        "distribution": "acme",
        "version": "1.2",
        "wraps": ["route"],
        "options": {"word": "secret"},
    }
    warning = "wrapped by the extension acme-guard, which may change what it decides"
    assert all(warning in row["warnings"] for row in done.values())
    assert (folder / "guarded.txt").read_text() == "2 routers\n"
    decided = pq.read_table(folder / "decisions.parquet").to_pylist()
    cells = pq.read_table(folder / "cells.parquet").to_pylist()
    hidden = {cell["query"] for cell in cells if cell["query_id"] in SECRET}
    ours = [each for each in decided if each["router"] == "acme-nearest"]
    assert {each["choice"] for each in ours if each["query"] in hidden} == {"calculator"}
    assert {each["choice"] for each in ours} == {"calculator", "poet"}


SECRET = {str(number) for number in range(9, 240, 10)}


def test_the_page_works_word_for_word(
    acme: dict[str, dict[str, str]], main: Main, tmp_path: Path
) -> None:
    for words in commands():
        assert words[0] == "routebench"
        code, out, err = main(*words[1:], cwd=tmp_path)
        assert code == 0, (words, out, err)
    assert out == "hello Ada\n"
    check_board(tmp_path / "run")
    logs = tmp_path / "logs"
    logs.mkdir()
    lines = [f"{model} | query {n} | {n % 2}" for n in range(3) for model in ("a", "b")]
    (logs / "one.acme").write_text("\n".join(lines) + "\n")
    for form in ("auto", "acme-log"):
        code, out, err = main("data", "import", form, logs, "--out", tmp_path / "o.parquet")
        assert (code, err) == (0, "")
        said, _, note = out.partition("\n")
        assert said == f"{tmp_path / 'o.parquet'}: 6 rows, 3 queries, 2 models: 6 ok"
        assert note.startswith(
            "note: recognised as acme-log (Acme's logs" if form == "auto" else ""
        )
    (logs / "one.gateway").write_text('{"id": "1", "model": "a", "liked": 1}\n')
    code, out, err = main("logs", "import", logs / "one.gateway", "--out", tmp_path / "e.parquet")
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'e.parquet'}: 1 events, read as acme-gateway; a 1\n"
    (logs / "one.acme").write_text("a ; query ; 1\n")
    words = ("data", "import", "acme-log", logs, "--out", tmp_path / "o.parquet")
    assert main(*words)[0] == 2
    code, out, err = main(*words, "--set", "acme-log.separator=;")
    assert (code, err) == (0, "")


@pytest.mark.slow
def test_the_same_in_processes_of_its_own(acme: dict[str, dict[str, str]], tmp_path: Path) -> None:
    for words in commands():
        done = real(*words[1:], cwd=tmp_path)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    check_board(tmp_path / "run")


def test_the_gallery_shows_what_is_there() -> None:
    page = PAGE.parent / "gallery.md"
    rows = re.findall(r"^\| (\w+) \|", page.read_text("utf-8"), re.MULTILINE)
    assert rows[1:] == list(discovery.KINDS)
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        place, _, anchor = link.partition("#")
        target = page.parent / place
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
            assert anchor in slugs, link
