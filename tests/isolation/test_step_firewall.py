"""A router that steps sees no answer that it did not buy, and pays for all that it saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cheating import cheaters

from routebench.isolation.landlock import landlock_abi

CHEATS = Path(__file__).parents[1] / "stepper_cheats.py"
NAMES = (
    "SearchesForAnswers",
    "ReadsFolders",
    "ReadsOutcomes",
    "AsksQuietly",
    "RemembersTradeOffs",
)
MODELS = 4


def one_is_gold(n: int = 240) -> pa.Table:
    """One answer of four is right, and says so; nothing else tells which."""
    rng = np.random.default_rng(0)
    gold = rng.integers(MODELS, size=n)
    right = np.arange(MODELS) == gold[:, None]
    texts = [f"question {rng.integers(10**12)} {rng.integers(10**12)}" for _ in range(n)]
    return pa.table(
        {
            "query_id": np.repeat([f"q{i}" for i in range(n)], MODELS),
            "query": np.repeat(np.array(texts, dtype=object), MODELS),
            "model": np.tile([f"m{j}" for j in range(MODELS)], n),
            "score": right.astype(float).reshape(-1),
            "response": np.where(right, "gold", "lead").reshape(-1).astype(object),
            "cost_usd": np.full(n * MODELS, 0.001),
        }
    )


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def cheats(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Return the rows of all cheaters in one real run."""
    if request.param == "ray":
        pytest.importorskip("ray")
    here = tmp_path_factory.mktemp("cheats")
    words = ("--answers-as", "exact", "--executor", request.param)
    return cheaters(here, CHEATS, NAMES, one_is_gold(), *words)


def gains_nothing(row: dict[str, Any]) -> None:
    """One answer per query was paid, and it is right as often as by chance."""
    assert row["state"] == "ok", row["message"]
    assert row["metrics"]["calls"]["value"] == 1.0
    assert row["metrics"]["accuracy"]["value"] < 0.5


def test_nothing_to_find_in_memory(cheats: dict[str, dict[str, Any]]) -> None:
    gains_nothing(cheats["SearchesForAnswers"])


def test_no_file_of_answers_but_ones_own(cheats: dict[str, dict[str, Any]]) -> None:
    row = cheats["ReadsFolders"]
    if row["state"] == "ok":
        gains_nothing(row)
    else:
        assert "isolation" in row["message"]


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
def test_the_outcomes_file_is_out_of_reach(cheats: dict[str, dict[str, Any]]) -> None:
    gains_nothing(cheats["ReadsOutcomes"])


def test_whoever_asks_past_its_steps_is_billed(cheats: dict[str, dict[str, Any]]) -> None:
    row = cheats["AsksQuietly"]
    if row["state"] == "ok":
        assert row["metrics"]["total_cost_per_1k"]["value"] == pytest.approx(MODELS)
    else:
        assert "twice" in row["message"] or "isolation" in row["message"]


def test_what_one_trade_off_bought_is_not_known_at_the_next(
    cheats: dict[str, dict[str, Any]],
) -> None:
    row = cheats["RemembersTradeOffs"]
    assert row["state"] == "ok", row["message"]
    assert row["metrics"]["accuracy"]["value"] == 1.0
    assert row["metrics"]["calls"]["value"] == MODELS
    dearest, *others = row["curve"]
    assert dearest["total_cost_per_1k"] == pytest.approx(MODELS)
    for point in others:
        assert point["total_cost_per_1k"] == pytest.approx(1.0)
        assert point["accuracy"] < 0.5
