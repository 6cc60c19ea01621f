"""Cheating routers gain nothing, or their row fails and says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import noise, rows

from routebench.isolation.landlock import landlock_abi

CHEATERS = Path(__file__).parents[1] / "cheaters.py"


@pytest.fixture
def cheat(
    board: Callable[..., dict[str, Any]], write: Callable[[pa.Table], Path], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """A cheater's row on outcomes that nothing predicts."""

    def run(name: str, rc: int) -> dict[str, Any]:
        path = write(noise())
        label = name
        done = board(
            "--suite", f"table:{path}", "--router", f"{CHEATERS}:{name}", "--folds", 3,
            "--jobs", 1, "--set", f"{label}.path={path}", "--set", f"{label}.stash={path.parent}",
            rc=rc,
        )  # fmt: skip
        row = rows(done)[name]
        # What a successful cheater would have: far above any honest router here.
        assert done["references"]["oracle"]["accuracy"]["value"] > 0.9
        return row

    return run


def gains_nothing(row: dict[str, Any]) -> None:
    assert row["state"] == "ok"
    assert row["metrics"]["accuracy"]["value"] < 0.6


@pytest.mark.parametrize("name", ["SearchesMemory", "FollowsBuffers"])
def test_nothing_to_find_in_memory(cheat: Callable[..., dict[str, Any]], name: str) -> None:
    gains_nothing(cheat(name, rc=0))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ReadsParent", "looked into another process"),
        ("ImportsSuite", "imported routebench_suites"),
        ("KeepsTexts", "tried to write outside its work folder"),
        ("KeepsTextsPlainly", "tried to write outside its work folder"),
        ("StashesInAttributes", "tried to write outside its work folder"),
    ],
)
def test_the_row_fails_and_says_why_though_the_error_is_swallowed(
    cheat: Callable[..., dict[str, Any]], name: str, reason: str
) -> None:
    row = cheat(name, rc=1)
    assert row["state"] == "failed"
    assert reason in row["message"]


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
@pytest.mark.parametrize("name", ["ReadsParentQuietly", "KnowsPath"])
def test_the_kernel_refuses_what_no_audit_hook_sees(
    cheat: Callable[..., dict[str, Any]], name: str
) -> None:
    gains_nothing(cheat(name, rc=0))


def test_its_code_never_runs_where_the_outcomes_are(cheat: Callable[..., dict[str, Any]]) -> None:
    assert cheat("LooksAtImport", rc=0)["message"] is None


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
def test_earlier_runs_are_out_of_reach(
    board: Callable[..., dict[str, Any]], write: Callable[[pa.Table], Path], tmp_path: Path
) -> None:
    words = ("--suite", f"table:{write(noise())}", "--router")
    board(*words, "random", out=tmp_path / "earlier")
    board(*words, "random", out=tmp_path / "results" / "table" / "0123456789ab")
    assert len(list(tmp_path.rglob("cells.parquet"))) == 2
    mine = f"{CHEATERS}:ReadsEarlierRuns"
    spying = ("--set", f"ReadsEarlierRuns.stash={tmp_path}")
    row = rows(board(*words, mine, *spying, out=tmp_path / "later"))["ReadsEarlierRuns"]
    assert row["state"] == "ok"


def test_the_cheaters_would_win_without_the_firewall(
    write: Callable[[pa.Table], Path], tmp_path: Path
) -> None:
    """In one process, without isolation, the same classes do find the answers."""
    import cheaters
    import numpy as np

    from routebench_suites.table import TableSuite

    path = write(noise())
    data = TableSuite(TableSuite.Options(data=path)).load()
    best = np.nanargmax(data.outcomes.score, axis=1)
    for name in ("SearchesMemory", "ImportsSuite", "KnowsPath"):
        cheater = getattr(cheaters, name)(cheaters.Options(path=str(path)))
        choice = cheater.route(data.queries).choice
        chosen = np.take_along_axis(data.outcomes.score, choice[:, None], axis=1)[:, 0]
        reached = np.take_along_axis(data.outcomes.score, best[:, None], axis=1)[:, 0]
        assert (chosen == reached).all(), name
