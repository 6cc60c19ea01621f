"""Trade-offs as a person reads them."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from test_terminal import board, estimate, row, unrun

from routebench.report.terminal import leaderboard
from routebench.report.terminal.console import WIDTH
from routebench.schema import Leaderboard


def text(shown: Leaderboard, curves: bool = True) -> str:
    out = Console(file=io.StringIO(), width=WIDTH, highlight=False)
    leaderboard.show(shown, out, curves=curves)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def point(accuracy: float, saves: float) -> dict[str, Any]:
    return {
        "n": 1234,
        "lambdas": [1.5, None],
        "fixed": 0.5,
        "metrics": {
            "accuracy": estimate(accuracy),
            "total_cost_per_1k": estimate(1.0),
            "savings_vs_best_single": estimate(saves),
        },
        "against": {"best-single": {"accuracy": estimate(-0.002)}},
    }


def swept(name: str, **more: Any) -> dict[str, Any]:
    made = row(name, **more)
    made["metrics"] |= {
        "aiq": estimate(0.626), "qnc": estimate(0.41), "apgr": estimate(0.755),
        "cpt_50": estimate(0.203), "cpt_80": {"value": None, "reason": "never"},
        "mix_lift": estimate(0.045), "ece": estimate(0.046), "brier": estimate(0.204),
        "stability": estimate(0.953),
    }  # fmt: skip
    made["points"] = {
        "same-accuracy": point(0.618, 0.59),
        "within-1pp": point(0.611, 0.68),
        "drop_1pct": point(0.612, 0.6),
        "calls_50": point(0.64, 0.3),
    }
    return made


def test_what_a_router_saves_at_the_best_single_models_accuracy() -> None:
    shown = text(board(swept("mf"), unrun("[b]broken", "failed", "why")))
    for words in ("59 [54, 64]", "61.8 ±5.0", "-0.2 [-5.2, +4.8]", "68 [63, 73]", "0.626", "0.41"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= WIDTH


def test_pairs_calibration_and_stability() -> None:
    shown = text(board(swept("mf"), row("best-single")))
    line = next(x for x in shown.splitlines() if x.startswith("mf  ") and "20.3%" in x)
    for words in ("0.755 [0.705, 0.805]", "+4.5 [-0.5, +9.5]", "0.046", "0.204", "95%", "–"):
        assert words in line
    plain = [x for x in shown.splitlines() if x.startswith("best-single")][-1]
    assert plain.count("–") == 7, "an older board, or a router that expects nothing, has none"


def test_references_of_the_pair() -> None:
    known = {"accuracy": estimate(0.4), "cost_per_1k": estimate(1.0)}
    coin = known | {"apgr": estimate(0.5, 0.0)}
    shown = text(board(swept("mf"), references={"random": coin}))
    assert "coin" in shown
    assert "0.500 [0.500, 0.500]" in shown


def test_a_few_tasks_have_tables_of_their_own() -> None:
    def facet(apgr: float) -> dict[str, Any]:
        return {
            "n": 5, "accuracy": estimate(0.5), "cost_per_1k": estimate(1.0),
            "pair": {"apgr": estimate(apgr), "cpt_50": estimate(0.3), "cpt_80": estimate(0.7)},
        }  # fmt: skip

    shown = text(board(swept("mf", by_task={"gsm8k": facet(0.61), "[i]mmlu": facet(0.59)})))
    assert "gsm8k" in shown
    assert "[i]mmlu" in shown
    assert "0.610" in shown
    many = {f"task {i}": facet(0.5) for i in range(9)}
    assert "task 3" not in text(board(swept("mf", by_task=many)))


def test_unpriced_boards_say_why_there_is_nothing() -> None:
    made = row("knn")
    made["metrics"]["aiq"] = {"value": None, "reason": "unpriced"}
    assert "no trade-offs of quality and cost: unpriced" in text(board(made))
    assert "not in this board" in text(board(row("knn")))


def test_trade_offs_are_shown_on_demand_only() -> None:
    assert "APGR" not in text(board(swept("mf")), curves=False)
