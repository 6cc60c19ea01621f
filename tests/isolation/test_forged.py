"""The run takes no process at its word: who forges a result fails its own row, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import noise, read_board, real, rows
from runs import put

FORGERS = Path(__file__).parents[1] / "forgers.py"
REASONS = {
    "NegativeTime": "gave a report that is refused",
    "NoDecisions": "left no decisions.arrow",
    "EndlessLine": "gave a report that is refused",
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="they look into /proc")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    here = tmp_path_factory.mktemp("forged")
    routers = ("best-single", *(f"{FORGERS}:{name}" for name in REASONS))
    return failed(here, "--router", ",".join(routers))


def failed(here: Path, *words: Any) -> dict[str, Any]:
    """Return the rows of a real run with at least one that failed."""
    done = real(
        "run", "--quiet", "--suite", put(here / "data", noise()), "--perturb", 0,
        "--out", here / "out", *words, cwd=here,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return rows(read_board(here / "out"))


@pytest.mark.parametrize("name", REASONS)
def test_its_row_fails_and_says_why(board: dict[str, Any], name: str) -> None:
    assert board[name]["state"] == "failed"
    assert REASONS[name] in board[name]["message"]


def test_the_others_are_scored(board: dict[str, Any]) -> None:
    assert board["best-single"]["state"] == "ok"


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """Who sleeps has a run of its own: no other router has its short deadline."""
    file = tmp_path / f"sleeps{os.getpid()}.py"  # of this test alone
    file.write_text(FORGERS.read_text())
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            seen.update(running(file.stem))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        row = failed(tmp_path, "--router", f"{file}:Sleeps", "--job-timeout", 10)["Sleeps"]
    finally:
        ended.set()
        looking.join()
    assert row["state"] == "failed"
    assert "route: no end after 10 s" in row["message"]
    assert seen
    assert not running(file.stem)


def running(name: str) -> list[str]:
    """Return the numbers of the processes of that name."""
    listed = subprocess.run(["ps", "-eo", "pid,comm"], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [pid for pid, comm in lines if comm == name[:15]]
