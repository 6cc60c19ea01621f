"""A run with `verifier`: verifications that a table records are learned from, bought and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import read_board, rows
from runs import finish, put
from test_step_run import agreeing

from routebench import OptionError
from routebench.board.trained import TrainedRouter


def checked() -> pa.Table:
    """Three models of which the cheapest one's answers are checked, mostly rightly."""
    table = agreeing()
    right = np.array(table["score"].to_pylist()) == 1
    share = np.random.default_rng(1).binomial(8, np.where(right, 0.85, 0.2)) / 8
    share[np.arange(len(share)) % 3 != 0] = np.nan
    return table.append_column("passed", pa.array(share, from_pandas=True))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verifier")
    return finish(
        folder / "out", suite=put(folder, checked()), answers_as="multiple-choice", perturb=0,
        router=["verifier", "best-single"], set={"table": {"verification": "passed"}},
    )  # fmt: skip


def test_it_asks_the_dear_model_where_the_check_fails(done: Path) -> None:
    board = read_board(done)
    row = rows(board)["verifier"]
    assert row["state"] == "ok"
    assert row["steps"]["paths"][0]["asked"] == [["a"]]
    assert row["metrics"]["savings_vs_best_single"]["value"] > 0.2
    notes = " ".join(board["suite"]["notes"])
    assert "how far each answer passed when it was checked is column passed" in notes


def test_no_live_answer_comes_with_a_verification(done: Path) -> None:
    with pytest.raises(OptionError, match="verifier goes by recorded verifications"):
        TrainedRouter.load(done, "verifier", answers=True)


def test_where_none_are_recorded_it_is_not_applicable(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="router 'verifier' needs recorded verifications: --set"):
        finish(
            tmp_path / "out", suite=put(tmp_path, checked()), answers_as="multiple-choice",
            router=["verifier"],
        )  # fmt: skip
