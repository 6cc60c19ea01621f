"""The board kept under `results/simpleqa` is what its command makes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import read_board, rows

from routebench.plugin import discovery

KEPT = Path(__file__).parents[1] / "results" / "simpleqa"
EXACT = 0.005
"""Accuracy may differ by half a point between machines, where no network is trained."""
TRAINED = 0.015
NETWORKS = ("mf", "personalized", "hybrid-")
MINUTES = {"causal-lm", "policy"}
"""Language models take minutes: `.ci/run` makes their rows, and holds them against these."""
MADE = os.environ.get("ROUTEBENCH_MADE")
"""The folder of a run of that command, where whoever runs the tests has just made one."""


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((KEPT / "leaderboard.json").read_text())
    return content


def test_it_says_that_it_is_simulated(kept: dict[str, Any]) -> None:
    assert kept["suite"]["source"] == "simulated"
    assert any("simulated pool" in note for note in kept["suite"]["notes"])
    assert "simulated pool" in (KEPT / "README.md").read_text()


def test_its_files_are_those_it_names(kept: dict[str, Any]) -> None:
    for name, sha256 in kept["files"].items():
        assert hashlib.sha256((KEPT / name).read_bytes()).hexdigest() == sha256, name
    beside = {path.name for path in KEPT.iterdir() if path.is_file()} - {".lock"}
    assert beside == {*kept["files"], "leaderboard.json", "run.toml", "README.md"}
    assert str(Path.home()) not in (KEPT / "run.toml").read_text()


@pytest.mark.slow
def test_it_can_be_made_again(board: Callable[..., dict[str, Any]], kept: dict[str, Any]) -> None:
    ready = {info.name for info in discovery.installed("router") if info.ready} - MINUTES
    able = [name for name, row in rows(kept).items() if row["state"] == "ok" and name in ready]
    words = ("--suite", "simpleqa", "--router", ",".join(able))
    again = read_board(Path(MADE)) if MADE else board(*words)
    assert again["fingerprints"] == kept["fingerprints"]
    for name in ("headroom", "disagreement", "routable"):
        assert again["diagnostics"][name] == pytest.approx(kept["diagnostics"][name])
    now = rows(again)
    for name in able:
        before = rows(kept)[name]
        margin = TRAINED if name.startswith(NETWORKS) else EXACT
        for metric in ("accuracy", "gap_recovered"):
            old, new = (row["metrics"][metric]["value"] for row in (before, now[name]))
            width = margin if metric == "accuracy" else margin / kept["diagnostics"]["headroom"]
            assert new == pytest.approx(old, abs=width), (name, metric)
        old, new = (row["metrics"]["total_cost_per_1k"]["value"] for row in (before, now[name]))
        assert new == pytest.approx(old, rel=0.25 if name.startswith(NETWORKS) else 0.02), name
