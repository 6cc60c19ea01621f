"""What an inner fold decides on never reaches the process that decides, however a router tries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import noise, read_board, real, rows
from runs import SMALL, finish, put

from routebench.board.read_run import read_run
from routebench.isolation.landlock import landlock_abi

CHEATS = Path(__file__).parents[1] / "inner_cheats.py"


def right(folder: Path, router: str) -> float:
    """Return how often the models that inner fits expected most of are right."""
    data = read_run(folder).setup.data
    row = {key: at for at, key in enumerate(data.keys)}
    model = {name: at for at, name in enumerate(data.pool.models)}
    best: dict[str, tuple[float, int]] = {}
    for cell in pq.read_table(folder / "scores.parquet").to_pylist():
        if (cell["router"], cell["part"]) == (router, "validation"):
            one = cell["quality"], -model[cell["model"]]
            best[cell["query"]] = max(one, best.get(cell["query"], one))
    assert len(best) > 200, "train and validation"
    return float(np.mean([data.outcomes.score[row[key], -at] for key, (_, at) in best.items()]))


@pytest.fixture(scope="module")
def cheats(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    here = tmp_path_factory.mktemp("inner-cheats")
    suite = put(here / "data", noise(320))
    names = ("Remembers", "InItsProcess", "InItsFolders", "AroundItsFolder")
    routers = ",".join(f"{CHEATS}:{name}" for name in names)
    done = real(
        "run", "--quiet", "--suite", suite, "--router", routers, "--perturb", 0,
        "--inner-folds", 3, "--out", here / "run", "--set", "tfidf-svd.dimension=8", cwd=here,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return here / "run", rows(read_board(here / "run"))


@pytest.mark.parametrize("name", ["Remembers", "InItsProcess", "InItsFolders"])
def test_no_inner_fit_knows_what_it_decides_on(
    cheats: tuple[Path, dict[str, dict[str, Any]]], name: str
) -> None:
    folder, board = cheats
    assert board[name]["state"] == "ok", board[name]
    assert board[name]["learning"]["inner_folds"] == 3
    # On coins nothing can be known; what was decided on is .94 right where it is.
    assert right(folder, name) < 0.6
    assert board[name]["metrics"]["accuracy"]["value"] < 0.6


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
def test_folders_of_other_inner_fits_are_out_of_reach(
    cheats: tuple[Path, dict[str, dict[str, Any]]],
) -> None:
    row = cheats[1]["AroundItsFolder"]
    assert row["state"] == "failed"
    assert "inner fold 0" in row["message"]
    assert "tried to read the run's own data" in row["message"]


def test_in_one_process_it_would_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process for each, the same class knows nearly all that it decides on."""
    monkeypatch.setattr(json, "left", {}, raising=False)
    folder = finish(
        tmp_path / "run", suite=put(tmp_path, noise(320)), router=[f"{CHEATS}:InItsProcess"],
        perturb=0, inner_folds=3, set=SMALL,
    )  # fmt: skip
    # The first inner fit had none before it.
    assert right(folder, "InItsProcess") > 0.7
