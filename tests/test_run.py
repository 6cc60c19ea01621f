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
from conftest import SMALLER, hears_ctrl_c, planted, read_board, real, rows
from runs import apart, put

from routebench.isolation.messages import FitRequest

TROUBLE = Path(__file__).with_name("troublemakers.py")
SPY = TROUBLE.with_name("spy.py")

Put = Callable[[pa.Table], Path]
Board = Callable[..., dict[str, Any]]
Main = Callable[..., tuple[int, str, str]]


def without_clock(board: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in board.items() if key not in ("environment", "timing")}


def bytes_without_clock(folder: Path) -> str:
    board = json.loads((folder / "leaderboard.json").read_text())
    return json.dumps(without_clock(board), indent=2, sort_keys=True)


@pytest.mark.usefixtures("only_cheap_routers")
def test_cheap_routers_on_a_planted_rule(board: Board, write: Put) -> None:
    words = ("--router", "all", "--folds", 3, "--show", "task", *SMALLER)
    check_planted_rule(board("--suite", f"table:{write(planted(900))}", *words))


@pytest.mark.slow
def test_all_builtin_routers_on_a_planted_rule(board: Board, write: Put) -> None:
    words = ("--folds", 3, "--show", "task")
    done = board("--suite", f"table:{write(planted(900))}", *words)
    check_planted_rule(done)


def check_planted_rule(done: dict[str, Any]) -> None:
    """Compare a run of routers with what is known of topics that tell the best model."""
    by_name = rows(done)
    for name in ("knn", "linear", "task-prior"):
        assert by_name[name]["metrics"]["gap_recovered"]["value"] > 0.8
        assert by_name[name]["rank"] == 1
        assert by_name[name]["against"]["best-single"]["accuracy"]["p"] < 0.01
    assert by_name["best-single"]["metrics"]["gap_recovered"]["value"] == 0
    assert by_name["random"]["rank"] > 1
    for name in ("cheapest", "most-expensive"):
        assert by_name[name]["state"] == "skipped"
        assert "needs prices" in by_name[name]["message"]
    assert done["priced"] == "unpriced"
    assert by_name["knn"]["metrics"]["cost_per_1k"]["value"] is None
    assert by_name["knn"]["metrics"]["cost_per_1k"]["reason"]


MISTAKES = {
    "Raises": "ValueError: no idea what to do (troublemakers.py:",
    "LooksAround": "batch and single routing disagree",
    "OutOfRange": "expected 0 to 3",
    "Misnamed": "rout",
    "LinksAway": "save left 'latest', which is no regular file",
}
ENDINGS = {
    "Crashes": "killed by SIGSEGV",
    "Leaves": "ended without a result",
    "Exits": "SystemExit",
    "EatsItsFolder": "no checkpoint in <job>",
    "SaysStrangeThings": "half a character",
    "Remembers": "batch and single routing disagree on 64 of 64 queries",
}
HEALTHY = ("Warns", "ReadsStdin", "Spy")


def check_failures(by_name: dict[str, dict[str, Any]], reasons: dict[str, str]) -> None:
    """Check that these routers have failed, for these reasons."""
    for name, reason in reasons.items():
        assert by_name[name]["state"] == "failed", name
        assert reason in by_name[name]["message"]
        assert by_name[name]["metrics"] == {}


def test_every_mistake_fails_its_own_row_only(board: Board, write: Put) -> None:
    routers = ",".join(f"{TROUBLE}:{name}" for name in MISTAKES)
    words = ("--suite", f"table:{write(planted(200))}", "--router", f"{routers},best-single")
    done = rows(board(*words, rc=1))
    check_failures(done, MISTAKES)
    assert done["best-single"]["state"] == "ok"


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the rows of a real run of routers whose processes end in many ways."""
    here = tmp_path_factory.mktemp("endings")
    files = {name: SPY if name == "Spy" else TROUBLE for name in (*ENDINGS, *HEALTHY)}
    routers = ",".join(f"{file}:{name}" for name, file in files.items())
    words = ("--suite", put(here / "data", planted(200)), "--router", routers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "planted-key")
        done = real("run", *words, "--out", here / "out", cwd=here)
    assert done.returncode == 1, done.stderr
    return rows(read_board(here / "out"))


def test_every_ending_fails_its_own_row_only(endings: dict[str, dict[str, Any]]) -> None:
    check_failures(endings, ENDINGS)
    assert endings["ReadsStdin"]["state"] == "ok"
    assert endings["Warns"]["state"] == "ok"
    assert endings["Warns"]["warnings"][-1] == "UserWarning: labels have one class only"


def test_a_router_that_hangs_fails_its_own_row_only(
    board: Board, write: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart(monkeypatch, FitRequest, "Hangs")
    words = ("--router", f"{TROUBLE}:Hangs,best-single", "--job-timeout", 2)
    done = rows(board("--suite", f"table:{write(planted(200))}", *words, rc=1))
    check_failures(done, {"Hangs": "no end after 2 s"})
    assert done["best-single"]["state"] == "ok"


def test_nobody_else_sees_the_keys_of_the_environment(endings: dict[str, dict[str, Any]]) -> None:
    """A router's job has a scrubbed environment, arguments and working folder."""
    (seen,) = endings["Spy"]["warnings"][-1:]
    assert "planted-key" not in seen
    assert "outcomes.parquet" not in seen
    assert "argv=['routebench-job'] files=[]" in seen


def test_two_runs_are_the_same_and_so_is_one_of_a_shuffled_file(
    board: Board, real_board: Board, write: Put, tmp_path: Path
) -> None:
    table = planted(150)
    first = write(table)
    order = pa.array(range(table.num_rows)).to_numpy()[::-1]
    order = [*order[1::2], *order[0::2]]
    shuffled = tmp_path / "elsewhere.csv"
    import pyarrow.csv

    pyarrow.csv.write_csv(table.take(order).select(table.column_names[::-1]), shuffled)
    common = ("--router", "knn,random", *SMALLER)
    boards = []
    # The second in processes of their own, the others in this one.
    for number, (path, run) in enumerate([(first, board), (first, real_board), (shuffled, board)]):
        out = tmp_path / f"run{number}"
        jobs = ("--jobs", 1 + number)
        run("--suite", f"table:{path}", *common, *jobs, out=out)
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


@pytest.mark.parametrize(
    "ending", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_an_interrupted_run_goes_on_where_it_stopped(
    ending: signal.Signals, board: Board, write: Put, tmp_path: Path
) -> None:
    path = write(planted(200))
    words = [
        "--suite", f"table:{path}", "--folds", "3", "--jobs", "1",
        "--router", f"{TROUBLE}:Constant", "--set", "Constant.seconds=0.5",
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
    with process:
        while not finished(out) and process.poll() is None:
            time.sleep(0.05)
        started = _children(process.pid)
        process.send_signal(ending)
        _, said = process.communicate()
    kept = {path.stat().st_mtime_ns for path in finished(out)}
    assert 1 <= len(kept) < 3
    assert not (out / "leaderboard.json").exists()
    if ending == signal.SIGINT:
        assert process.returncode == 130
        assert f"{len(kept)} of 3 jobs are finished" in said
        assert "run the same command again" in said
    assert _ended(started)
    board(*words, out=out)
    assert kept < {path.stat().st_mtime_ns for path in finished(out)}
    assert bytes_without_clock(out) == bytes_without_clock(whole)


def finished(folder: Path) -> list[Path]:
    """Return what says that a job has finished, while folders come and go."""
    return [Path(place, "job.json") for place, _, names in os.walk(folder) if "job.json" in names]


def _children(parent: int) -> set[str]:
    """The processes of a run's jobs."""
    words = ["ps", "-o", "pid=", "--ppid", str(parent)]
    return set(subprocess.run(words, capture_output=True, text=True).stdout.split())


def _ended(pids: set[str]) -> bool:
    """Jobs end with the run, also when it was killed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
        workers = {
            line.split()[0] for line in lines.splitlines() if "routebench.jobs.worker" in line
        }
        if not pids & workers:
            return True
        time.sleep(0.1)
    return False


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


def test_the_run_file_repeats_the_run(main: Main, write: Put, tmp_path: Path) -> None:
    path = write(planted(200))
    words = ["--suite", f"table:{path}", "--router", "knn@five,knn", "--set", "knn@five.k=5"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main("run", *words, *SMALLER, "--out", one, "--quiet")[0] == 0
    code, _, said = main("run", "--file", one / "run.toml", "--out", two, "--quiet")
    assert code == 0, said
    assert bytes_without_clock(one) == bytes_without_clock(two)
    by_name = rows(read_board(two))
    assert by_name["knn@five"]["options"]["k"] == 5
    assert by_name["knn"]["options"]["k"] is None


def test_the_same_run_lands_in_the_same_folder(main: Main, write: Put, tmp_path: Path) -> None:
    words = ["--suite", f"table:{write(planted(200))}", "--quiet", "--router"]
    for routers in ("best-single", "best-single", "random"):
        assert main("run", *words, routers, cwd=tmp_path)[0] == 0
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


@pytest.mark.usefixtures("only_cheap_routers")
def test_a_task_that_is_not_shown_stays_hidden(board: Board, write: Put, main: Main) -> None:
    path = write(planted(200))
    done = board("--suite", f"table:{path}", "--router", "all", *SMALLER)
    assert rows(done)["task-prior"]["state"] == "skipped"
    assert done["suite"]["shown"] == []
    assert rows(done)["knn"]["by_task"], "tasks are still reported on"
    code, _, said = main("run", "--suite", f"table:{path}", "--router", "task-prior")
    assert code == 2
    assert "--show task" in said


def test_json_and_show_print_what_is_in_the_file(main: Main, write: Put, tmp_path: Path) -> None:
    words = ("--suite", f"table:{write(planted(200))}", "--router", "knn", *SMALLER)
    _, printed, _ = main("run", *words, "--out", tmp_path / "r", "--json")
    stored = (tmp_path / "r" / "leaderboard.json").read_text()
    assert printed == stored
    assert main("show", "r", "--json", cwd=tmp_path)[1] == stored
    _, table, _ = main("show", "r/leaderboard.json", cwd=tmp_path)
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


def test_a_second_run_on_the_same_folder_is_refused(main: Main, write: Put, tmp_path: Path) -> None:
    import fcntl

    path = write(planted(200))
    words = ["run", "--suite", f"table:{path}", "--router", "random", "--quiet"]
    words += ["--out", str(tmp_path / "r")]
    assert main(*words)[0] == 0
    with (tmp_path / "r" / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, said = main(*words)
    assert code == 2
    assert "another run" in said
    assert main(*words)[0] == 0
