"""Cheating routers gain nothing, or their row fails and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import noise, read_board, real, rows
from runs import finish, put

from routebench.isolation.landlock import landlock_abi

CHEATERS = Path(__file__).parents[1] / "cheaters.py"
NAMES = (
    *("SearchesMemory", "FollowsBuffers", "ReadsParent", "ReadsParentQuietly", "KnowsPath"),
    *("ImportsSuite", "KeepsTexts", "KeepsTextsPlainly", "StashesInAttributes"),
    *("ReadsEarlierRuns", "LooksAtImport"),
)


ELSEWHERE = {
    "fork": (),
    "spawn": ("--isolation", "spawn"),
    "shards": ("--shard", "0/1"),
    "ray": ("--executor", "ray"),
}


@pytest.fixture(
    scope="module",
    params=[
        "fork",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ELSEWHERE if name != "fork"),
    ],
)
def cheats(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Return the rows of all cheaters in one real run on outcomes that nothing predicts."""
    if request.param == "ray":
        pytest.importorskip("ray")
    here = tmp_path_factory.mktemp("cheats")
    suite = put(here / "data", noise())
    for folder in (here / "earlier", here / "results" / "table" / "0123456789ab"):
        finish(folder, suite=suite, router=["random"])
    assert len(list(here.rglob("cells.parquet"))) == 2
    options: list[Any] = []
    for name in NAMES:
        stash = here if name == "ReadsEarlierRuns" else here / "data"
        options += ["--set", f"{name}.path={suite.removeprefix('table:')}"]
        options += ["--set", f"{name}.stash={stash}"]
    routers = ",".join(f"{CHEATERS}:{name}" for name in NAMES)
    out = here / "later"
    done = real(
        "run", "--quiet", "--suite", suite, "--router", routers, "--perturb", 0,
        "--out", out, *ELSEWHERE[request.param], *options, cwd=here,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    if request.param == "shards":
        done = real("merge", here / "later.shards" / "0-of-1", "--out", out, cwd=here)
        assert done.returncode == 1, done.stdout + done.stderr
    board = read_board(out)
    best = max(board["environment"]["isolation"], key=len)
    assert ("landlock" if landlock_abi() else "audit") in best
    # What a successful cheater would have: far above any honest router here.
    assert board["references"]["oracle"]["accuracy"]["value"] > 0.9
    return rows(board)


def gains_nothing(row: dict[str, Any]) -> None:
    assert row["state"] == "ok"
    assert row["metrics"]["accuracy"]["value"] < 0.6


@pytest.mark.parametrize("name", ["SearchesMemory", "FollowsBuffers"])
def test_nothing_to_find_in_memory(cheats: dict[str, dict[str, Any]], name: str) -> None:
    gains_nothing(cheats[name])


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
    cheats: dict[str, dict[str, Any]], name: str, reason: str
) -> None:
    row = cheats[name]
    assert row["state"] == "failed"
    assert reason in row["message"]


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
@pytest.mark.parametrize("name", ["ReadsParentQuietly", "KnowsPath"])
def test_the_kernel_refuses_what_no_audit_hook_sees(
    cheats: dict[str, dict[str, Any]], name: str
) -> None:
    gains_nothing(cheats[name])


def test_its_code_never_runs_where_the_outcomes_are(cheats: dict[str, dict[str, Any]]) -> None:
    assert cheats["LooksAtImport"]["state"] == "ok"
    assert cheats["LooksAtImport"]["message"] is None


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
def test_earlier_runs_are_out_of_reach(
    request: pytest.FixtureRequest, cheats: dict[str, dict[str, Any]]
) -> None:
    row = cheats["ReadsEarlierRuns"]
    if request.node.callspec.params["cheats"] == "ray":
        gains_nothing(row)  # it keeps its state elsewhere, and sees nothing of what lies here
        return
    assert row["state"] == "failed"
    assert "tried to read the run's own data" in row["message"], "looking for them is enough"


def test_the_cheaters_would_win_without_the_firewall(tmp_path: Path) -> None:
    """In one process, without isolation, the same classes do find the answers."""
    import cheaters
    import numpy as np

    from routebench_suites.table import TableSuite

    path = Path(put(tmp_path, noise()).removeprefix("table:"))
    data = TableSuite(TableSuite.Options(data=path)).load()
    best = np.nanargmax(data.outcomes.score, axis=1)
    for name in ("SearchesMemory", "ImportsSuite", "KnowsPath"):
        cheater = getattr(cheaters, name)(cheaters.Options(path=str(path)))
        choice = cheater.route(data.queries).choice
        chosen = np.take_along_axis(data.outcomes.score, choice[:, None], axis=1)[:, 0]
        reached = np.take_along_axis(data.outcomes.score, best[:, None], axis=1)[:, 0]
        assert (chosen == reached).all(), name
