"""The board as a person reads it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from routebench.report.terminal import leaderboard
from routebench.report.terminal.console import WIDE, WIDTH
from routebench.schema import Leaderboard, collapse

POOL = ["vendor/[red]model[b]", "other/a-very-long-name-of-a-model-with-many-words-32B-instruct"]


def estimate(value: float | None, half: float = 0.05) -> dict[str, Any]:
    if value is None:
        return {"value": None, "reason": "no prices"}
    return {"value": value, "low": value - half, "high": value + half}


def row(router: str, **changes: Any) -> dict[str, Any]:
    difference = estimate(0.123) | {"p": 0.01, "p_raw": 0.01}
    return {
        "router": router,
        "state": "ok",
        "rank": 1,
        "plugin": router,
        "seeds": [0, 1],
        "interval_scope": "queries and seeds",
        "metrics": {
            "accuracy": estimate(0.6415),
            "total_cost_per_1k": estimate(0.01234),
            "savings_vs_best_single": estimate(0.257),
        },
        "against": {"best-single": {"accuracy": difference}},
        "usage": {POOL[0]: 0.75, POOL[1]: 0.25},
    } | changes


def unrun(router: str, state: str, message: str) -> dict[str, Any]:
    return {"router": router, "state": state, "message": message, "plugin": router}


def board(*rows: dict[str, Any], **changes: Any) -> Leaderboard:
    diagnostics = {
        "headroom": 0.2, "disagreement": 0.5, "routable": 0.3, "mde": 0.036, "scored": 1234,
        "left_out": 0, "missing": 0.0, "leaked": 0, "removed": 0, "states": {"ok": 2468},
        "cost_basis": {"recorded": 2468, "tokens": 0, "estimated": 0, "assumed": 0},
        "pool": {}, "oracle_all": 0.8,
    } | changes.pop("diagnostics", {})  # fmt: skip
    suite = {
        "name": "table", "source": "recorded", "models": POOL, "folds": 1, "split": "hash",
        "queries": {"train": 6, "validation": 2, "test": 2}, "shown": [], "notes": [],
    } | changes.pop("suite", {})  # fmt: skip
    prints = dict.fromkeys(["suite", "split", "outcomes", "judge", "pool", "prices"], "0" * 16)
    return Leaderboard.model_validate(
        {
            "suite": suite,
            "fingerprints": prints,
            "priced": "recorded",
            "valid": True,
            "objective": {"performance": 1.0, "cost": 0.0},
            "encoder": "tfidf-svd",
            "resamples": 10,
            "diagnostics": diagnostics,
            "references": {"oracle": {"accuracy": estimate(0.8), "cost_per_1k": estimate(0.5)}},
            "rows": list(rows),
        }
        | changes
    )


def shown(made: Leaderboard, wide: bool = False) -> str:
    width = WIDE if wide else WIDTH
    out = Console(file=io.StringIO(), width=width, highlight=False)
    leaderboard.show(made, out, wide=wide)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return str(text)


def line_of(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if start in line]
    return line


def test_a_row() -> None:
    text = shown(board(row("mf")))
    line = " ".join(line_of(text, "mf").split())
    assert line.startswith("1 mf 64.1 ±5.0 +12.3 [+7.3, +17.3]* 0.01234 26% 75% [red]model[b]")
    head = text[: text.index("accuracy")]
    for fact in (
        "table",
        "recorded answers",
        "1,234 test queries",
        "hash split",
        "2 models",
        "2 seeds",
    ):
        assert fact in head
    assert "headroom 20.0 pp" in text
    could = shown(board(row("mf", mde=0.036), row("knn")))
    assert "smallest difference from best single that each could show, pp: mf 3.6\n" in could
    oracle = " ".join(line_of(text, "80.0 ±5.0").split())
    assert oracle.startswith("oracle")
    assert "0.5000" in oracle


def test_the_larger_half_of_a_skewed_interval_is_shown() -> None:
    skewed = {"value": 0.5, "low": 0.49, "high": 0.57}
    changed = row("mf", metrics=row("mf")["metrics"] | {"accuracy": skewed})
    assert "50.0 ±7.0" in shown(board(changed))


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        ({"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}, " = "),
        ({"value": -0.1, "low": -0.2, "high": -0.05, "p": 0.049}, "-10.0 [-20.0, -5.0]*"),
        ({"value": -0.1, "low": -0.2, "high": 0.05, "p": 0.05}, "-10.0 [-20.0, +5.0] "),
        ({"value": None, "reason": "?"}, " – "),
    ],
)
def test_differences(difference: dict[str, Any], text: str) -> None:
    line = line_of(shown(board(row("mf", against={"best-single": {"accuracy": difference}}))), "mf")
    assert text in line
    assert line.count("*") == text.count("*")


def test_markup_in_names_is_shown_as_it_is() -> None:
    label = "[red]x[/red]"
    made = board(
        row(label, usage={POOL[0]: 1.0}, warnings=["[b]odd[/b] warning"]),
        unrun("[/]bad", "failed", "ValueError: [/nothing] [bold]"),
        suite={"notes": ["columns not used: [i]a[/i]"], "name": "[u]s[/u]"},
        environment={"data": ["/x/[dim]file[b].csv"]},
    )
    text = shown(made)
    assert f" {label} " in line_of(text, "64.1 ±5.0")
    assert "100% [red]model[b]" in text
    for literal in (
        f"[b]odd[/b] warning: {label}",
        "[/]bad failed: ValueError: [/nothing] [bold]",
        "note: columns not used: [i]a[/i]",
        "[u]s[/u] [dim]file[b].csv",
    ):
        assert literal in text


def test_what_has_no_number_says_why() -> None:
    made = board(
        row("mf", interval_scope="this checkpoint only"),
        unrun("broken", "failed", "fit: ValueError: boom"),
        unrun("cheapest", "skipped", "needs prices"),
    )
    text = shown(made)
    assert " ".join(line_of(text, "–  broken").split()) == "– broken failed"
    assert "–  cheapest" not in text  # what never ran has no line in the table
    assert "broken failed: fit: ValueError: boom" in text
    assert "cheapest skipped: needs prices" in text
    assert "fewer than 3 seeds" in " ".join(text.split())
    assert "fewer than 3 seeds" not in " ".join(shown(board(row("mf"))).split())


def test_unpriced_is_not_free() -> None:
    metrics = {"total_cost_per_1k": estimate(None), "savings_vs_best_single": estimate(None)}
    changed = row("mf", metrics=row("mf")["metrics"] | metrics)
    text = shown(board(changed, priced="unpriced"))
    assert "unpriced" in text
    assert "--prices list" not in text, "of models that no list has"
    assert " ".join(line_of(text, "mf").split()).startswith(
        "1 mf 64.1 ±5.0 +12.3 [+7.3, +17.3]* – – 75%"
    )
    estimated = {"cost_basis": {"recorded": 0, "tokens": 1, "estimated": 1500, "assumed": 3}}
    text = " ".join(shown(board(row("mf"), priced="estimated", diagnostics=estimated)).split())
    assert "costs estimated: 1,500 from their texts, 3 of 1,504 answers assumed" in text
    every = {"assumed_output_tokens": 256} | {
        "cost_basis": {"recorded": 0, "tokens": 0, "estimated": 0, "assumed": 9}
    }
    text = " ".join(shown(board(row("mf"), priced="estimated", diagnostics=every)).split())
    assert "costs estimated: every answer assumed 256 tokens long" in text


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (["gpt-4o", "mine"], "`--prices list` has prices of 1 of 2 models"),
        (["gpt-4o", "openai/gpt-4.1"], "`--prices list` has prices of all models"),
    ],
)
def test_an_unpriced_board_says_what_the_lists_have(models: list[str], said: str) -> None:
    made = board(row("mf"), priced="unpriced")
    listed = made.model_copy(update={"suite": made.suite.model_copy(update={"models": models})})
    assert said in " ".join(shown(listed).split())


def test_what_makes_a_board_doubtful_is_said() -> None:
    to_first, to_last = (dict(zip(POOL, shares, strict=True)) for shares in ((0.99, 0.01), (0, 1)))
    made = board(
        row("mf", usage=to_first, warnings=[str(collapse(to_first))]),
        row("knn", usage=to_last, warnings=[str(collapse(to_last))]),
        valid=False,
        invalid_reason="7.0% of the cells are missing (--max-missing)",
        diagnostics={"leaked": 12, "removed": 34, "left_out": 5, "missing": 0.07,
                     "cheapest_dominates": True},
    )  # fmt: skip
    text = shown(made)
    assert "INVALID: 7.0% of the cells are missing (--max-missing)" in text
    assert "12 test queries had a duplicate" in text
    assert "5 test queries left out" in text
    assert "missing cells: 7.00%" in text
    assert "cheapest model is also the best" in text
    assert "over 95% of queries go to one model: mf, knn" in text
    assert "collapse" not in text
    fine = shown(board(row("mf")))
    for word in ("INVALID", "leak", "left out", "missing", "over 95%", "cheapest model"):
        assert word not in fine
    assert "no headroom" in shown(board(row("mf"), diagnostics={"headroom": 0.0}))
    assert "simulated pool" in shown(board(row("mf"), suite={"source": "simulated"}))


def test_wide_shows_timings() -> None:
    timing = {"routers": {"mf": {"fit_seconds": 1.234, "queries_per_second": 5678.0,
              "latency_ms_p50": 0.456, "peak_rss_bytes": 100 * 2**20}}}  # fmt: skip
    made = board(row("mf"), row("knn"), timing=timing)
    text = shown(made, wide=True)
    assert " ".join(line_of(text, " mf ").split()).endswith("1.23 5,678 0.46 100")
    assert " ".join(line_of(text, " knn ").split()).endswith("– – – –")
    assert "5,678" not in shown(made)


FACTS = {"base_model": "embedded Llama, 2 layers of 96", "parameters": 276096, "ties": 0.41234,
         "rate": 1.2e-05, "format_validity": 1.0, "sft_margin": -0.2, "steps": 1234.5}  # fmt: skip


def test_wide_says_what_routers_say_of_themselves() -> None:
    timing = {"routers": {"policy": {"router_tokens_per_second": 8123.4}}}
    made = board(row("policy", facts=FACTS), row("knn"), row("lm", facts={"a": 1}), timing=timing)
    text = shown(made, wide=True)
    block = text[text.index("About the routers") :].split("\n\n")[0]
    assert max(map(len, block.splitlines())) <= WIDTH
    assert " ".join(block.split()) == (
        "About the routers policy base model: embedded Llama, 2 layers of 96 · parameters: 276,096 "
        "· ties: 0.412 · rate: 1.2e-05 · format validity: 1 · sft margin: -0.2 · steps: 1,234 · "
        "tokens per second: 8,123 lm a: 1"
    )
    assert text.index("models used") < text.index("About the routers") < text.index("headroom")
    assert "About the routers" not in shown(made)
    assert "About the routers" not in shown(board(row("knn"), timing=timing), wide=True)


def test_facts_are_neither_markup_nor_commands_to_the_terminal() -> None:
    facts = {"[red]x[/red]": "[bold]y[/]\x1b[2J\nz", "long": "w" * 5000, "huge": 1e300}
    text = shown(board(row("[b]lm", facts=facts)), wide=True)
    block = " ".join(text[text.index("About the routers") :].split())
    assert "[b]lm [red]x[/red]: [bold]y[/]�[2J z · " in block
    assert "\x1b" not in block
    assert "huge: 1e+300" in block
    assert block.count("w") < 400


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    "label",
    [
        "personalized@without-users",
        "a-router-of-a-very-long-name@with-a-label",
    ],
)
def test_long_names_leave_the_numbers_whole(label: str, wide: bool) -> None:
    usage = {"v/" + "long-name-" * 5 + "A": 0.5, "w/" + "long-name-" * 5 + "B": 0.5}
    line = line_of(shown(board(row(label, usage=usage)), wide=wide), label[:10])
    assert line.lstrip().startswith(f"1  {label[:10]}")
    assert "64.1 ±5.0 " in line
    assert " +12.3 [+7.3, +17.3]* " in line
    assert " 0.01234 " in line
    assert " 50% " in line
    assert "-A" in line, "the end of a model's name tells as much as its beginning"
