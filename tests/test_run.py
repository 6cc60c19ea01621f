"""The whole job, through the real command: results, failures, resuming, sameness."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import hears_ctrl_c, planted, rows

TROUBLE = Path(__file__).with_name("troublemakers.py")

Put = Callable[[pa.Table], Path]
Board = Callable[..., dict[str, Any]]
Command = Callable[..., subprocess.CompletedProcess[str]]
Distribution = Callable[..., Path]


def without_clock(board: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in board.items() if key not in ("environment", "timing")}


def bytes_without_clock(folder: Path) -> str:
    board = json.loads((folder / "leaderboard.json").read_text())
    return json.dumps(without_clock(board), indent=2, sort_keys=True)


@pytest.mark.slow
def test_all_builtin_routers_on_a_planted_rule(board: Board, write: Put) -> None:
    done = board("--suite", f"table:{write(planted(900))}", "--folds", 3, "--show", "task")
    by_name = rows(done)
    for name in ("knn", "linear", "task-prior"):
        assert by_name[name]["metrics"]["gap_recovered"]["value"] > 0.8
        assert by_name[name]["rank"] == 1
        assert by_name[name]["against"]["best-single"]["accuracy"]["p"] < 0.01
    assert by_name["best-single"]["metrics"]["gap_recovered"]["value"] == 0
    assert by_name["random"]["rank"] > 1
    for name in ("cheapest", "strongest"):
        assert by_name[name]["state"] == "skipped"
        assert "needs prices" in by_name[name]["message"]
    assert done["priced"] == "unpriced"
    assert by_name["knn"]["metrics"]["cost_per_1k"]["value"] is None
    assert by_name["knn"]["metrics"]["cost_per_1k"]["reason"]
    assert done["environment"]["isolation"]


@pytest.mark.slow
def test_every_ending_fails_its_own_row_only(board: Board, write: Put) -> None:
    reasons = {
        "Raises": "ValueError: no idea what to do (troublemakers.py:",
        "Crashes": "killed by SIGSEGV",
        "Leaves": "ended without a result",
        "Exits": "SystemExit",
        "Hangs": "no end after 8 s",
        "LooksAround": "batch and single routing disagree",
        "OutOfRange": "expected 0 to 3",
        "Misnamed": "rout",
        "LinksAway": "save left 'latest', which is no regular file",
        "EatsItsFolder": "no checkpoint in <job>",
        "SaysStrangeThings": "half a character",
    }
    names = [*reasons, "Warns", "ReadsStdin"]
    routers = ",".join(f"{TROUBLE}:{name}" for name in names)
    words = ("--router", f"{routers},best-single", "--job-timeout", 8)
    done = rows(board("--suite", f"table:{write(planted(200))}", *words, rc=1))
    for name, reason in reasons.items():
        assert done[name]["state"] == "failed", name
        assert reason in done[name]["message"]
        assert done[name]["metrics"] == {}
    assert done["best-single"]["state"] == "ok"
    assert done["ReadsStdin"]["state"] == "ok"
    assert done["Warns"]["warnings"][-1] == "UserWarning: labels have one class only"


@pytest.mark.slow
def test_two_runs_are_the_same_and_so_is_one_of_a_shuffled_file(
    board: Board, write: Put, tmp_path: Path
) -> None:
    table = planted(300)
    first = write(table)
    order = pa.array(range(table.num_rows)).to_numpy()[::-1]
    order = [*order[1::2], *order[0::2]]
    shuffled = tmp_path / "elsewhere.csv"
    import pyarrow.csv

    pyarrow.csv.write_csv(table.take(order).select(table.column_names[::-1]), shuffled)
    common = ("--seeds", 2, "--router", "knn,random")
    boards = []
    for number, path in enumerate([first, first, shuffled]):
        out = tmp_path / f"run{number}"
        jobs = ("--jobs", 1 + number)
        board("--suite", f"table:{path}", *common, *jobs, out=out)
        boards.append(bytes_without_clock(out))
    assert boards[0] == boards[1]
    assert boards[0] == boards[2]
    assert len({json.loads(text)["files"]["decisions.parquet"] for text in boards}) == 1


def test_the_seed_reaches_the_router(board: Board, write: Put) -> None:
    done = board("--suite", f"table:{write(planted(300))}", "--seeds", 3, "--router", "random")
    row = rows(done)["random"]
    assert row["seeds"] == [0, 1, 2]
    assert row["seed_spread"]["accuracy"] > 0
    assert row["interval_scope"] == "queries and seeds"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_where_it_stopped(
    ending: signal.Signals, board: Board, write: Put, tmp_path: Path
) -> None:
    path = write(planted(200))
    words = [
        "--suite", f"table:{path}", "--folds", "3", "--jobs", "1",
        "--router", f"best-single,{TROUBLE}:Constant", "--set", "Constant.seconds=0.5",
    ]  # fmt: skip
    whole = tmp_path / "whole"
    board(*words, out=whole)
    out = tmp_path / "broken"
    process = subprocess.Popen(
        [sys.executable, "-m", "routebench", "run", "--out", str(out), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears_ctrl_c,
    )
    finished = out / "routers"
    deadline = time.monotonic() + 60
    while len(list(finished.rglob("job.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    started = _children(process.pid)
    process.send_signal(ending)
    _, said = process.communicate(timeout=30)
    kept = {path: path.stat().st_mtime_ns for path in finished.rglob("job.json")}
    assert 2 <= len(kept) < 6
    assert not (out / "leaderboard.json").exists()
    if ending == signal.SIGINT:
        assert process.returncode == 130
        assert f"{len(kept)} of 6 jobs are finished" in said
        assert "run the same command again" in said
    assert _ended(started)
    board(*words, out=out)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert bytes_without_clock(out) == bytes_without_clock(whole)


def _children(parent: int) -> set[str]:
    """The processes of a run's jobs."""
    words = ["ps", "-o", "pid=", "--ppid", str(parent)]
    return set(subprocess.run(words, capture_output=True, text=True).stdout.split())


def _ended(pids: set[str]) -> bool:
    """Jobs end with the run, also when it was killed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
        workers = {
            line.split()[0] for line in lines.splitlines() if "routebench.jobs.worker" in line
        }
        if not pids & workers:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_changed_router_is_run_again_and_fresh_starts_over(
    board: Board, write: Put, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.py"
    shutil.copy(TROUBLE, mine)
    words = ("--suite", f"table:{write(planted(200))}", "--router", f"{mine}:Constant")
    board(*words)
    job = tmp_path / "out" / "routers" / "Constant" / "seed-0" / "fold-0" / "job.json"
    first = job.stat().st_mtime_ns
    board(*words)
    assert job.stat().st_mtime_ns == first
    mine.write_text(mine.read_text() + "\n# changed\n")
    board(*words)
    second = job.stat().st_mtime_ns
    assert second > first
    board(*words, "--fresh")
    assert job.stat().st_mtime_ns > second


@pytest.mark.slow
def test_the_run_file_repeats_the_run(cli: Command, write: Put, tmp_path: Path) -> None:
    path = write(planted(200))
    words = ["--suite", f"table:{path}", "--router", "knn@five,knn", "--set", "knn@five.k=5"]
    assert cli("run", *words, "--out", "one", "--quiet").returncode == 0
    done = cli("run", "--file", "one/run.toml", "--out", "two", "--quiet")
    assert done.returncode == 0, done.stderr
    assert bytes_without_clock(tmp_path / "one") == bytes_without_clock(tmp_path / "two")
    by_name = rows(json.loads((tmp_path / "two" / "leaderboard.json").read_text()))
    assert by_name["knn@five"]["options"] == {"k": 5}
    assert by_name["knn"]["options"] == {"k": None}


def test_the_same_run_lands_in_the_same_folder(cli: Command, write: Put, tmp_path: Path) -> None:
    words = ["--suite", f"table:{write(planted(200))}", "--quiet", "--router"]
    for routers in ("best-single", "best-single", "random"):
        assert cli("run", *words, routers).returncode == 0
    folders = list((tmp_path / "results" / "table").iterdir())
    assert len(folders) == 2
    assert all(len(folder.name) == 12 for folder in folders)


def test_too_many_missing_cells_make_the_run_invalid(board: Board, write: Put) -> None:
    table = planted(300)
    scores = table["score"].to_pylist()
    holes = [None if i % 37 == 0 else score for i, score in enumerate(scores)]
    table = table.set_column(table.column_names.index("score"), "score", pa.array(holes))
    words = ("--suite", f"table:{write(table)}", "--router", "best-single")
    done = board(*words, rc=3)
    assert not done["valid"]
    assert "--max-missing" in done["invalid_reason"]
    done = board(*words, "--max-missing", 0.1)
    assert done["valid"]
    assert done["diagnostics"]["missing"] == pytest.approx(1 / 37, abs=0.02)


@pytest.mark.slow
def test_a_task_that_is_not_shown_stays_hidden(board: Board, write: Put, cli: Command) -> None:
    path = write(planted(200))
    done = board("--suite", f"table:{path}")
    assert rows(done)["task-prior"]["state"] == "skipped"
    assert done["suite"]["shown"] == []
    assert rows(done)["knn"]["by_task"], "tasks are still reported on"
    refused = cli("run", "--suite", f"table:{path}", "--router", "task-prior")
    assert refused.returncode == 2
    assert "--show task" in refused.stderr


def test_json_and_show_print_what_is_in_the_file(cli: Command, write: Put, tmp_path: Path) -> None:
    path = write(planted(200))
    printed = cli("run", "--suite", f"table:{path}", "--router", "knn", "--out", "r", "--json")
    stored = (tmp_path / "r" / "leaderboard.json").read_text()
    assert printed.stdout == stored
    assert cli("show", "r", "--json").stdout == stored
    table = cli("show", "r/leaderboard.json").stdout
    assert "knn" in table
    assert "recorded answers" in table
    assert max(map(len, table.splitlines())) <= 100


def test_what_a_router_spends_itself_is_counted(board: Board, write: Put) -> None:
    n = 200
    table = planted(n)
    table = table.append_column("cost_usd", pa.array([0.004] * table.num_rows))
    words = ("--suite", f"table:{write(table)}", "--router", f"{TROUBLE}:Pays", "--folds", 3)
    row = rows(board(*words))["Pays"]
    value = {name: estimate["value"] for name, estimate in row["metrics"].items()}
    assert value["cost_per_1k"] == pytest.approx(4)
    assert value["router_cost_per_1k"] == pytest.approx(1)
    assert value["total_cost_per_1k"] == pytest.approx(5)
    assert value["savings_vs_best_single"] == pytest.approx(-0.25)
    assert row["against"]["best-single"]["total_cost_per_1k"]["value"] == pytest.approx(1)


def test_a_second_run_on_the_same_folder_is_refused(
    cli: Command, write: Put, tmp_path: Path
) -> None:
    import fcntl

    path = write(planted(200))
    words = ["run", "--suite", f"table:{path}", "--router", "random", "--out", "r", "--quiet"]
    assert cli(*words).returncode == 0
    with (tmp_path / "r" / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = cli(*words)
    assert refused.returncode == 2
    assert "another run" in refused.stderr
    assert cli(*words).returncode == 0


def test_nobody_else_sees_the_keys_of_the_environment(board: Board, write: Put) -> None:
    """A router's job has a scrubbed environment, arguments and working folder."""
    spy = TROUBLE.with_name("spy.py")
    os.environ["OPENAI_API_KEY"] = "planted-key"
    try:
        done = board("--suite", f"table:{write(planted(200))}", "--router", f"{spy}:Spy")
    finally:
        del os.environ["OPENAI_API_KEY"]
    (seen,) = rows(done)["Spy"]["warnings"][-1:]
    assert "planted-key" not in seen
    assert "outcomes.parquet" not in seen
    assert "argv=['routebench-job'] files=[]" in seen
