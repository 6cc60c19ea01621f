"""The main table of a board with verdicts, as a person reads it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from test_terminal import board, estimate, row, unrun

from routebench.errors import OptionError
from routebench.report import markdown, summary
from routebench.report.terminal import leaderboard
from routebench.report.terminal.console import WIDTH
from routebench.report.volume import Volume
from routebench.schema import Leaderboard

SENTENCE = "mf: 61% cheaper at +0.1 pp (at worst −0.9): within 1 pp, proven"


def judged(name: str, kind: str = "proven", saved: float = 0.61, **more: Any) -> dict[str, Any]:
    point = more.pop("point", "within-1pp")
    cost = {"accuracy": estimate(0.61), "total_cost_per_1k": estimate(0.2, 0.01),
            "savings_vs_best_single": estimate(saved, 0.012)}  # fmt: skip
    verdict = {
        "point": point, "margin": 0.01, "kind": kind, "difference": 0.001, "low": -0.009,
        "high": 0.02, "level": 0.05, "p": 0.01, "savings": cost["savings_vs_best_single"],
        "queries_needed": None, "sentence": SENTENCE,
    } | more.pop("verdict", {})  # fmt: skip
    known = {"n": 1234, "metrics": cost, "against": {"best-single": {"accuracy": estimate(0.001)}}}
    return (
        row(
            name,
            verdict=verdict,
            points={point: known | {"lambdas": [12.5]}, "most-accurate": known},
        )
        | more
    )


def text(made: Leaderboard, **words: Any) -> str:
    out = Console(file=io.StringIO(), width=WIDTH, highlight=False)
    leaderboard.show(made, out, **words)
    assert isinstance(out.file, io.StringIO)
    shown = out.file.getvalue()
    assert max(map(len, shown.splitlines())) <= WIDTH
    return shown


def line(shown: str, start: str) -> str:
    return " ".join(next(x for x in shown.splitlines() if x.startswith(start)).split())


def test_what_is_saved_comes_first() -> None:
    shown = text(board(judged("mf"), row("best-single"), headline=SENTENCE))
    assert shown.splitlines()[1] == SENTENCE
    assert "── at within-1pp ──" in shown
    assert line(shown, "mf ").startswith(
        "mf 61% ±1 +0.1 (−0.9) proven 64.1 ±5.0 +12.3 ±5.0* 0.0123 26%"
    )
    assert line(shown, "best-single").startswith("best-single 64.1 ±5.0"), "no verdict of it"
    flat = " ".join(shown.split())
    assert "loses at most 1 pp against the best single model" in flat
    assert "proven loses less than 1 pp: the chance of any false one in this run" in flat


def test_proven_ones_first_then_by_what_they_save() -> None:
    made = board(
        judged("worse", "worse", 0.9),
        judged("less", saved=0.2),
        judged("open", "not proven", 0.8, verdict={"queries_needed": 4321}),
        judged("more", saved=0.5),
        judged("same", "same", 0.0),
        unrun("broken", "failed", "boom"),
    )
    shown = text(made)
    table = shown[: shown.index("within-1pp  ")]
    at = [table.index(f"\n{name} ") for name in ("more", "less", "open", "same", "worse", "broken")]
    assert at == sorted(at)
    assert "same 0% = same model" in line(shown, "same")
    assert "would decide what is not proven: open 4,321" in " ".join(shown.split())


def test_a_skewed_interval_shows_both_ends() -> None:
    apart = {"value": -0.01, "low": -0.05, "high": 0.001, "p": 0.2, "p_raw": 0.2}
    shown = text(board(judged("mf", against={"best-single": {"accuracy": apart}})))
    assert "−1.0 [−5.0, +0.1]" in line(shown, "mf")


@pytest.mark.parametrize("label", ["hybrid-probabilistic", "personalized@without-users-and-more"])
def test_it_fits_a_page(label: str) -> None:
    minus = {"value": -0.202, "low": -0.228, "high": -0.1, "p": 0.001, "p_raw": 0.001}
    made = judged(label, "not proven", against={"best-single": {"accuracy": minus}})
    shown = text(board(made, judged("mf")))
    assert f"{label[:10]}" in shown
    assert "−20.2 [−22.8, −10.0]*" in shown
    assert "not proven" in shown
    assert "…  " not in shown.split("oracle", 1)[0].split("models", 1)[0]


def test_a_router_without_settings_is_judged_by_its_own_choice() -> None:
    shown = text(board(judged("mf"), judged("causal-lm", point="most-accurate")))
    assert "── at within-1pp ──" in shown
    assert "causal-lm: no settings, so judged by the own choice" in " ".join(shown.split())


def test_where_no_router_has_settings_none_is_told_of() -> None:
    shown = " ".join(text(board(judged("rule", point="most-accurate"))).split())
    assert "most-accurate its own choice, as it has no settings; judged against the best" in shown
    assert "cheapest setting" not in shown


def test_dollars_a_month() -> None:
    single = {"best_single": {"accuracy": estimate(0.6), "cost_per_1k": estimate(0.5)}}
    made = board(judged("mf"), row("best-single"), references=single)
    shown = text(made, volume=Volume.parse("100000/day"))
    assert "Dollars a month, at 100,000 queries a day" in shown
    # .5, .2 and .01234 USD per 1,000 of 100,000 · 365 / 12 queries.
    month = shown[shown.index("Dollars") :]
    assert line(month, "best single") == "best single 1,521 1,521"
    assert line(month, "mf") == "mf 608 913 38 1,483"
    assert "Dollars" not in text(made)


def test_volumes() -> None:
    assert Volume.parse("1,200 / month").per_month == 1200
    assert Volume.parse("2k/hour").per_month == pytest.approx(2000 * 730)
    assert Volume.parse("1M/week").month(1.0) == pytest.approx(1e6 / 1000 * 365 / 12 / 7)
    for wrong in ("", "x/day", "0/day", "5/fortnight", "-1/day", "100"):
        with pytest.raises(OptionError, match="--volume"):
            Volume.parse(wrong)


def test_points_and_their_lambdas() -> None:
    shown = text(board(judged("mf", rank=1)), curves=True)
    block = shown[shown.index("Operating points") :]
    assert line(block, "mf").startswith("mf most-accurate own 61 [60, 62] 61.0 ±5.0")
    assert "within-1pp 12.5 61 [60, 62]" in " ".join(block.split())
    assert "routebench route RUN ROUTER --point NAME" in " ".join(block.split())


def test_markdown_and_pages_lead_with_the_verdict() -> None:
    made = board(judged("mf"), row("best-single"), headline=SENTENCE)
    table = summary.leaderboard(made)
    assert tuple(table.heads[:5]) == (
        "Router", "Saves at within-1pp", "Δ, pp (worst)", "Verdict", "Accuracy, %",
    )  # fmt: skip
    assert [cell.text for cell in table.rows[0][1:4]] == ["61% [60, 62]", "+0.1 (−0.9)", "proven"]
    assert len({len(cells) for cells in [table.heads, *table.rows, *table.foot]}) == 1
    written = markdown.markdown([made])
    assert "- mf: 61% cheaper at +0.1 pp (at worst −0.9): within 1 pp, proven" in written
    assert "proven: loses less than 1 pp against the best single model" in written
