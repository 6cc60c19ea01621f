"""Recorded answers of real models, next to what is known of them. Skipped where they are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import rows

pytestmark = pytest.mark.slow
Board = Callable[..., dict[str, Any]]


def gain(row: dict[str, Any]) -> dict[str, Any]:
    difference: dict[str, Any] = row["against"]["best-single"]["accuracy"]
    return difference


def test_llmrouter_cross_fit(shared: Path, board: Board) -> None:
    folder = shared / "llmrouter"
    done = board(
        "--suite", f"table:{folder / 'outcomes.parquet'}",
        "--prices", folder / "default_llm.json", "--folds", 5, "--show", "task",
        "--router", "best-single,knn,linear,random,task-prior",
    )  # fmt: skip
    by_name = rows(done)
    assert by_name["best-single"]["metrics"]["accuracy"]["value"] == pytest.approx(0.6165, abs=2e-3)
    for name, least in (("knn", 0.015), ("linear", 0.015), ("task-prior", 0.03)):
        difference = gain(by_name[name])
        assert difference["value"] >= least
        assert difference["low"] > 0
        assert difference["p"] < 0.05
        # More than a third of the gap would be too good to be true on these texts.
        assert by_name[name]["metrics"]["gap_recovered"]["value"] < 1 / 3
    exact = done["references"]["random"]["accuracy"]["value"]
    drawn = by_name["random"]["metrics"]["accuracy"]
    assert drawn["low"] < exact < drawn["high"]
    assert done["references"]["oracle"]["accuracy"]["value"] == pytest.approx(0.7969, abs=2e-3)
    assert done["priced"] == "estimated"
    assert done["diagnostics"]["cost_basis"]["assumed"] == 54972


def test_llmrouter_as_it_was_split(shared: Path, board: Board) -> None:
    path = shared / "llmrouter" / "outcomes.parquet"
    found = board("--suite", f"table:{path}", "--split", "given", "--router", "best-single")
    assert found["diagnostics"]["leaked"] == 119
    assert found["diagnostics"]["removed"] == 120
    assert found["suite"]["queries"]["test"] == 500


def test_simpleqa(shared: Path, board: Board) -> None:
    folder = shared / "simpleqa"
    done = board(
        "--suite", f"table:{folder / 'outcomes.parquet'}",
        "--prices", folder / "prices.json", "--folds", 5, "--router", "knn,best-single",
    )  # fmt: skip
    accuracy = {m: v["all"]["accuracy"] for m, v in done["diagnostics"]["pool"].items()}
    assert accuracy == pytest.approx(
        {
            "gpt-4o-2024-11-20": 0.311,
            "claude-3-5-sonnet-20241022": 0.283,
            "claude-3-5-sonnet-20240620": 0.1915,
            "gpt-4o-mini-2024-07-18": 0.080,
            "claude-3-5-haiku-20241022": 0.078,
        },
        abs=5e-4,
    )
    assert done["diagnostics"]["oracle_all"] == pytest.approx(0.466, abs=5e-4)
    metrics = rows(done)["knn"]["metrics"]
    c, tried = metrics["accuracy"]["value"], metrics["attempted"]["value"]
    assert metrics["accuracy_given_attempted"]["value"] == pytest.approx(c / tried)
    assert metrics["f_score"]["value"] == pytest.approx(2 * c / (1 + tried))
    assert done["priced"] == "estimated"
    assert len(rows(done)["knn"]["by_topic"]) == 10


def test_routellm_without_prices(shared: Path, board: Board) -> None:
    path = shared / "routellm" / "outcomes.parquet"
    done = board("--suite", f"table:{path}", "--router", "best-single,random", "--folds", 5)
    assert done["priced"] == "unpriced"
    row = rows(done)["best-single"]
    assert row["metrics"]["accuracy"]["value"] == pytest.approx(0.8102, abs=2e-3)
    assert row["metrics"]["cost_per_1k"]["value"] is None
    assert "unpriced" in row["metrics"]["cost_per_1k"]["reason"]
    assert {t: round(f["accuracy"]["value"], 3) for t, f in row["by_task"].items()} == {
        "gsm8k": 0.857,
        "mmlu": 0.806,
    }
