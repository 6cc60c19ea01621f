"""Runs are listed, named, planned, and kept from being replaced."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import planted
from runs import finish
from test_bad_input import check
from test_help import commands

from routebench.__main__ import cli
from routebench.arguments import RUN
from routebench.board import find_runs
from routebench.board.run_folder import BOARD, UNFINISHED
from routebench.errors import OptionError

Main = Callable[..., tuple[int, str, str]]
ROUTERS = ("--quiet", "--router", "best-single,random", "--perturb", "0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a table, below `results`."""
    folder = tmp_path_factory.mktemp("made")
    pq.write_table(planted(60), folder / "outcomes.parquet")
    finish(
        folder / "results" / "table" / "0123456789ab",
        suite=f"table:{folder / 'outcomes.parquet'}",
        router=["best-single", "random"],
    )
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with that run, to work in."""
    place = tmp_path / "here"
    shutil.copytree(made, place)
    monkeypatch.chdir(place)
    return place


def another(here: Path, name: str, older: bool = False) -> Path:
    """Copy the run to another name, written before or after it."""
    folder = here / "results" / "table" / name
    shutil.copytree(here / "results" / "table" / "0123456789ab", folder)
    age = -1000 if older else 1000
    stamp = (folder / BOARD).stat().st_mtime + age
    os.utime(folder / BOARD, (stamp, stamp))
    return folder


def interrupt(folder: Path) -> None:
    """Make of a finished run one that was interrupted."""
    run_file = (folder / "run.toml").read_text()
    (folder / UNFINISHED).write_text(f"# 9 jobs\n{run_file}")
    (folder / BOARD).unlink()


def test_ways_to_name_a_run(here: Path) -> None:
    run = Path("results/table/0123456789ab")
    for name in ("latest", "results", "results/table", "results/latest", "0123456789ab", str(run)):
        assert find_runs.locate(Path(name)) == run, name
    board = run / BOARD
    assert find_runs.locate(board) == board
    for name in ("gone", "gone/latest.json", "outcomes.parquet", "0123"):
        assert find_runs.locate(Path(name)) == Path(name)
    newer = another(here, "newer").relative_to(here)
    assert find_runs.locate(Path("latest")) == newer
    with pytest.raises(OptionError, match="results: holds 2 runs: name one of them") as caught:
        find_runs.locate(Path("results"))
    assert caught.value.hint == "results/latest is the newest; there are table/newer, " + str(
        run.relative_to("results")
    )
    another(here, "old", older=True)
    assert find_runs.locate(Path("latest")) == newer


def test_no_run_is_the_latest(tmp_path: Path, main: Main) -> None:
    assert "latest: there is no run below results" in check(*main("show", "latest"))
    assert "elsewhere/latest: there is no run" in check(*main("show", "elsewhere/latest"))


@pytest.mark.parametrize(
    "words",
    [
        ["show", "latest"],
        ["verify", "results"],
        ["compare", "latest", "0123456789ab"],
        ["gate", "latest", "results/table"],
        ["route", "latest", "best-single", "Who wrote Emma?"],
        ["export", "latest", "best-single", "--out", "checkpoint"],
        ["report", "latest", "--markdown", "board.md"],
    ],
)
def test_wherever_a_run_is_named(words: list[str], here: Path, main: Main) -> None:
    code, _, err = main(*words, cwd=here)
    assert code == 0, err


def test_every_argument_that_is_a_run_takes_latest_and_ids() -> None:
    checked = {
        (name.split()[-1], type(argument.type))
        for name, command in commands(cli, "")
        for argument in command.params
        if isinstance(argument, click.Argument)
        and re.search(r"\bRUN\b", argument.metavar or str(argument.name).upper())
    }
    assert {"show", "route", "export", "serve", "chat"} <= {name for name, _ in checked}
    assert {kind for _, kind in checked} == {type(RUN)}


def test_list(here: Path, main: Main) -> None:
    stopped = another(here, "stopped")
    interrupt(stopped)
    damaged = another(here, "damaged", older=True)
    (damaged / BOARD).write_text("{}")
    os.utime(damaged / BOARD, (0, 0))
    code, out, err = main("list", cwd=here)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "results/table/stopped"
    assert lines[1].startswith("  interrupted · table outcomes.parquet · 20")
    assert lines[2] == (
        "  0 of 9 jobs are done; to go on: "
        "routebench run --file results/table/stopped/unfinished.toml --out results/table/stopped"
    ) or lines[2].startswith("  2 of 9 jobs are done; to go on: routebench run --file")
    assert lines[3] == "results/table/0123456789ab"
    assert lines[4].startswith("  table outcomes.parquet · ")
    assert lines[4].endswith("UTC · random, best-single")
    assert "results/table/damaged" in out
    assert "not a leaderboard of RouteBench" in out
    code, out, _ = main("list", "results", "--json", cwd=here)
    states = {Path(run["folder"]).name: run["state"] for run in json.loads(out)}
    assert states == {"stopped": "interrupted", "0123456789ab": "finished", "damaged": "damaged"}


def test_lists_of_nothing(tmp_path: Path, main: Main) -> None:
    code, out, _ = main("list")
    assert code == 0
    assert out.startswith("there is no run below results")
    assert "gone: there is no such folder" in check(*main("list", "gone"))


def test_the_command_that_goes_on(here: Path, main: Main) -> None:
    """An interrupted run says how it goes on, and does by these words."""
    folder = here / "results" / "table" / "0123456789ab"
    interrupt(folder)
    said = check(*main("show", "latest", cwd=here))
    assert "the run is not finished: 2 of 9 jobs are done" in said
    words = said.splitlines()[1].removeprefix("hint: routebench ").split()
    code, _, err = main(*words, "--quiet", cwd=here)
    assert code == 0, err
    assert (folder / BOARD).is_file()
    assert not (folder / UNFINISHED).exists()


def test_completion(here: Path) -> None:
    command = cli.get_command(None, "show")  # type: ignore[arg-type]
    assert command is not None
    (run, *_) = command.params
    assert run.type is RUN
    context: object = None
    found = RUN.shell_complete(context, run, "")  # type: ignore[arg-type]
    assert [item.value for item in found] == ["latest", "results/table/0123456789ab"]
    (folders,) = RUN.shell_complete(context, run, "elsewhere")  # type: ignore[arg-type]
    assert folders.type == "dir"
    environment = {"_ROUTEBENCH_COMPLETE": "bash_complete", "COMP_WORDS": "routebench li"}
    done = CliRunner().invoke(
        cli, env=environment | {"COMP_CWORD": "1"}, prog_name="routebench", args=[]
    )
    assert "plain,list" in done.output


def test_another_suites_board_stays(here: Path, main: Main) -> None:
    """It is said before any data is read: there is no such file."""
    folder = here / "results" / "table" / "0123456789ab"
    before = (folder / BOARD).read_bytes()
    other = ("run", "--suite", "simpleqa", "--data", "gone.csv", *ROUTERS, "--out", folder)
    said = check(*main(*other, cwd=here))
    assert "the board of another run stands there: of the suite table" in said
    assert "--fresh replaces it" in said
    assert (folder / BOARD).read_bytes() == before
    assert "gone.csv" in check(*main(*other, "--fresh", cwd=here))
    (folder / BOARD).write_text("{}")
    said = check(*main(*other, cwd=here))
    assert "a board stands there that cannot be read" in said
    shutil.copy(folder / "run.toml", folder / UNFINISHED)
    (folder / BOARD).unlink()
    said = check(*main(*other, cwd=here))
    assert "an interrupted run of the suite table stands there" in said


def test_out_is_checked_before_data_is_read(here: Path, main: Main) -> None:
    given = ("run", "--suite", "table:gone.csv", *ROUTERS, "--out")
    (here / "full").mkdir()
    (here / "full" / "thesis.txt").touch()
    (here / "file").touch()
    for place, message in (
        ("full", "--out full: not empty, and not a run folder"),
        ("file", "cannot write to file: "),
        ("file/below", "cannot write to file/below: "),
    ):
        said = check(*main(*given, place, cwd=here))
        assert message in said
        assert "gone.csv" not in said


def test_routers_are_checked_before_data_is_read(here: Path, main: Main) -> None:
    (here / "mine.py").write_text(
        "from routebench import hookimpl\n"
        "class Forgot:\n"
        "    @hookimpl\n"
        "    def fit(self, train): pass\n"
        "    @hookimpl\n"
        "    def route(self, queries): pass\n"
    )
    for router, message in (
        ("kn", "did you mean knn?"),
        ("mine.py:Forgot", "Forgot"),
        ("knn@a/b", "a label is"),
        ("knn --set knn.k=none", "knn.k"),
        ("knn --against linear", "--against linear: no router of this run"),
        ("knn --judge exat", "did you mean exact?"),
        ("knn --encoder tfidf", "did you mean tfidf-svd?"),
        ("knn --prices none.toml", "none.toml"),
    ):
        words = ("run", "--suite", "table:gone.csv", "--router", *router.split())
        said = check(*main(*words, cwd=here))
        assert message in said
        assert "gone.csv" not in said


def test_dry_run(here: Path, main: Main) -> None:
    before = sorted(here.rglob("*"))
    words = ("run", "--dry-run", "--quiet", "--suite", "outcomes.parquet", "--seeds", "2")
    words = (*words, "--jobs", "1")
    code, out, err = main(*words, "--router", "knn,random,all", "--profile", "embedded", cwd=here)
    assert code == 0, err
    assert "self-confidence" in out
    assert "skipped: " in out
    assert "an earlier run" in out  # that of random
    code, out, err = main(*words, "--router", "knn,random", "--json", cwd=here)
    assert code == 0, err
    plan = json.loads(out)
    by = {router["router"]: router for router in plan["routers"]}
    assert (by["knn"]["jobs"], by["random"]["jobs"], plan["jobs"]) == (1, 2, 3)
    assert (by["knn"]["source"], by["random"]["source"]) == ("stated", "measured")
    total = by["knn"]["seconds"] + 2 * by["random"]["seconds"]
    assert plan["seconds"] == pytest.approx(total)
    assert plan["measured_in"] == "results/table/0123456789ab"
    assert sorted(here.rglob("*")) == before
    again = ("--router", "best-single,random", "--perturb", "8", "--dry-run", "--json")
    place = ("--out", "results/table/0123456789ab")
    code, out, err = main("run", "--suite", "outcomes.parquet", *again, *place, cwd=here)
    assert code == 0, err
    plan = json.loads(out)
    assert (plan["jobs"], plan["finished"], plan["seconds"]) == (2, 2, 0)
