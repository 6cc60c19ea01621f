"""A router that learns online is told of no cell that it did not choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cheating import cheaters
from conftest import long_table

from routebench.isolation.landlock import landlock_abi

CHEATS = Path(__file__).parents[1] / "online_cheats.py"
NAMES = ("SearchesMemory", "ReadsOutcomesFile", "ChoosesTwice", "ListensIn")
MODELS = 4


def one_is_right(n: int = 240) -> pa.Table:
    """One model of four is right on each query; nothing tells which."""
    rng = np.random.default_rng(0)
    right = np.arange(MODELS) == rng.integers(MODELS, size=n)[:, None]
    texts = [f"question {rng.integers(10**12)} {rng.integers(10**12)}" for _ in range(n)]
    return long_table(right, texts)


@pytest.fixture(scope="module")
def cheats(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the rows of all cheaters in one real run."""
    here = tmp_path_factory.mktemp("cheats")
    return cheaters(here, CHEATS, NAMES, one_is_right(), "--protocol", "online")


def gains_nothing(row: dict[str, Any]) -> None:
    """It is right as often as by chance: one time in four."""
    assert row["state"] == "ok", row["message"]
    assert row["metrics"]["accuracy"]["value"] < 0.4
    assert row["online"]["regret"]["oracle"]["value"] > 0.6


def test_no_cell_is_in_its_memory(cheats: dict[str, dict[str, Any]]) -> None:
    gains_nothing(cheats["SearchesMemory"])


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
def test_no_cell_is_in_a_file_within_reach(cheats: dict[str, dict[str, Any]]) -> None:
    row = cheats["ReadsOutcomesFile"]
    if row["state"] == "ok":
        gains_nothing(row)
    else:
        assert "isolation" in row["message"]


def test_who_asks_for_an_outcome_has_chosen(cheats: dict[str, dict[str, Any]]) -> None:
    row = cheats["ChoosesTwice"]
    assert row["state"] == "failed"
    assert "chosen for once" in row["message"]


def test_nothing_is_sent_ahead(cheats: dict[str, dict[str, Any]]) -> None:
    row = cheats["ListensIn"]
    if row["state"] == "ok":
        gains_nothing(row)
