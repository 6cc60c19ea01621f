"""What savings would be were the assumed answers of dearer models of another length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted
from runs import SMALL, edit_table, finish, price_list, put

from routebench.board import run_folder
from routebench.board.read_run import read_run
from routebench.prices.apply import costs_by_length
from routebench.prices.lists import ModelPrice
from routebench.records import Outcomes
from routebench.report.lengths import assumed, by_length

Main = Callable[..., tuple[int, str, str]]


def test_only_assumed_answers_of_dearer_models_change() -> None:
    listed = {
        name: ModelPrice(input_usd_per_mtok=1.0, output_usd_per_mtok=price)
        for name, price in (("a", 1.0), ("b", 2.0), ("c", 10.0))
    }
    prompt, answer = np.full((2, 3), 100.0), np.full((2, 3), 256.0)
    usd = (prompt + answer * [1.0, 2.0, 10.0]) / 1e6
    outcomes = Outcomes(np.ones((2, 3)), np.zeros((2, 3), dtype=np.int8), usd)
    guesses = np.array([[True, True, True], [True, True, False]])
    made = costs_by_length(listed, (prompt, answer), outcomes, guesses)
    np.testing.assert_allclose(made["half"][0], [*usd[0, :2], (100 + 1280) / 1e6])
    np.testing.assert_allclose(made["double"][0], [*usd[0, :2], (100 + 5120) / 1e6])
    np.testing.assert_allclose(made["half"][1], usd[1], err_msg="one is recorded")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without any length of an answer."""
    home = tmp_path_factory.mktemp("lengths")
    return finish(
        home / "run",
        suite=put(home, planted(300)),
        prices=price_list(home),
        router=("knn", "best-single", "cheapest"),
        perturb=0,
        set=SMALL,
        point=("savings=30%",),
    )


def test_savings_by_length_are_those_of_other_costs(done: Path) -> None:
    board, run = run_folder.read(done), read_run(done)
    assert assumed(board) == "every answer assumed 256 tokens long"
    assert run.assumed is not None
    assert run.assumed.all()
    assert run.prices is not None
    # Models c and d are the dearer ones of four; cheapest is a.
    row = next(row for row in board.rows if row.router == "cheapest")
    best = [run.models.index(fold.best_single) for fold in board.diagnostics.folds]
    texts = run.tokens
    assert texts is not None
    rows = run.rows
    price = list(run.prices.models.values())
    for factor, name in ((0.5, "half"), (2.0, "double")):

        def usd(model: int, factor: float = factor) -> Any:
            length = 256 * (factor if model >= 2 else 1.0)
            tokens = texts[0][rows, model]
            own = price[model]
            return (tokens * own.input_usd_per_mtok + length * own.output_usd_per_mtok).mean()

        expected = 1 - usd(0) / usd(best[0])
        got = row.metrics[f"savings_if_dearer_{name}_length"]
        assert got.value == pytest.approx(expected)
        assert got.low is not None


def test_it_is_said_and_can_be_verified(done: Path, main: Main) -> None:
    board = run_folder.read(done)
    words = by_length(board)
    assert words is not None
    assert words.startswith("were answers of the dearer models half or twice as long, savings: knn")
    code, out, _ = main("show", done)
    assert code == 0
    flat = " ".join(out.split())
    assert "costs estimated: every answer assumed 256 tokens long" in flat.replace("  ", " ")
    assert words in flat
    assert main("verify", done)[0] == 0


def test_a_cell_that_says_otherwise_is_found(done: Path, main: Main, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)

    def change(rows: list[dict[str, Any]]) -> None:
        for one in rows:
            one["output_assumed"] = one["model"] != "d"

    edit_table(folder, "cells.parquet", change)
    code, out, _ = main("verify", folder)
    assert code == 1
    assert "savings_if_dearer_half_length" in out
