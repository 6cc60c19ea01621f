"""Where the system confines no process, the board says so of every row."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import noise, read_board, real, rows
from runs import put

from routebench.board.build import AUDIT_ONLY
from routebench.report.summary import notices
from routebench.schema import Leaderboard

NOTHING = """
import routebench.isolation.landlock as landlock
import routebench.isolation.namespaces as namespaces
import routebench.isolation.syscalls as syscalls
landlock.restrict = namespaces.enter = syscalls.restrict = lambda *_: False
"""


def test_it_is_said_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOTHING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = real(
        "run", "--suite", put(tmp_path / "data", noise(60)), "--router", "random,prompt-length",
        "--perturb", 0, "--out", tmp_path / "out", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    board = read_board(tmp_path / "out")
    assert board["environment"]["isolation"] == ["audit"]
    for name in ("random", "prompt-length"):
        assert AUDIT_ONLY in rows(board)[name]["warnings"]
    said = " ".join(done.stdout.split())
    assert f"{AUDIT_ONLY}: prompt-length, random" in said or (
        f"{AUDIT_ONLY}: random, prompt-length" in said
    )
    noticed = [text for text in notices(Leaderboard.model_validate(board)) if AUDIT_ONLY in text]
    assert len(noticed) == 1
    assert all(name in noticed[0] for name in ("random", "prompt-length"))
