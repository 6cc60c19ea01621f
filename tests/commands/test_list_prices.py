"""`--prices` as its users meet it: the dated lists, and prompts that cost more than short ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Main = Callable[..., tuple[int, str, str]]
PRO, FLASH = "gemini-2.5-pro", "gemini-2.5-flash"
FLAT = {
    PRO: {"input_usd_per_mtok": 1.25, "output_usd_per_mtok": 10},
    FLASH: {"input_usd_per_mtok": 0.3, "output_usd_per_mtok": 2.5},
}


def table(folder: Path, models: tuple[str, ...] = (PRO, FLASH)) -> Path:
    """Forty queries with recorded tokens; the prompts of the first twenty are long ones."""
    rows: list[dict[str, Any]] = [
        {
            "query_id": f"q{n}", "query": f"which river is number {n * 7919} of the list?",
            "model": model, "score": float((n + at) % 3 > 0),
            "input_tokens": 260_000 if n < 20 else 100, "output_tokens": 1_000,
        }
        for n in range(40)
        for at, model in enumerate(models)
    ]  # fmt: skip
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(main: Main, folder: Path, *words: Any, out: str = "out") -> dict[str, Any]:
    code, shown, err = main(
        "run", "--suite", f"table:{folder / 't.jsonl'}", "--router", "best-single", "--folds", 5,
        "--quiet", "--out", folder / out, *words,
    )  # fmt: skip
    assert code == 0, err
    found: dict[str, Any] = json.loads((folder / out / "leaderboard.json").read_text())
    assert all(note in " ".join(shown.split()) for note in found["suite"]["notes"])
    return found


def per_1k(board: dict[str, Any], model: str = PRO) -> float:
    cost: float = board["diagnostics"]["pool"][model]["all"]["cost_per_1k"]
    return cost


LONG, SHORT = 1000 * (0.26 * 2.5 + 0.015), 1000 * (1e-4 * 1.25 + 0.01)


def test_the_lists_price_a_run_and_another_days_file_re_prices_it(
    main: Main, tmp_path: Path
) -> None:
    table(tmp_path)
    made = run(main, tmp_path, "--prices", "list")
    assert per_1k(made) == pytest.approx((LONG + SHORT) / 2)
    assert made["suite"]["notes"] == ["prices: the lists google-2026-10-07"]
    said = main("verify", tmp_path / "out")[1].splitlines()
    assert not [line for line in said if line.startswith("differs") and "cost" in line]
    own = tmp_path / "own.json"
    own.write_text(json.dumps(FLAT | {PRO: FLAT[PRO] | {"tiers": []}}))
    code, _, err = main("reprice", tmp_path / "out", "--prices", own, "--out", tmp_path / "flat")
    assert code == 0, err
    flat = json.loads((tmp_path / "flat" / "leaderboard.json").read_text())
    assert per_1k(flat) == pytest.approx((335.0 + SHORT) / 2)
    assert not any(note.startswith("prices: ") for note in flat["suite"]["notes"])
    code, _, err = main("reprice", tmp_path / "flat", "--prices", "list", "--out", tmp_path / "b")
    assert code == 0, err
    back = json.loads((tmp_path / "b" / "leaderboard.json").read_text())
    assert per_1k(back) == per_1k(made)
    assert back["fingerprints"] == made["fingerprints"]
    assert made["suite"]["notes"][0] in back["suite"]["notes"]


def test_a_file_of_list_prices_bills_long_prompts_as_the_list(main: Main, tmp_path: Path) -> None:
    table(tmp_path)
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps(FLAT))
    made = run(main, tmp_path, "--prices", prices)
    assert per_1k(made) == pytest.approx((LONG + SHORT) / 2)
    assert per_1k(made, FLASH) == pytest.approx(1000 * ((0.26 + 1e-4) * 0.3 / 2 + 0.0025))
    (note,) = made["suite"]["notes"]
    assert "above 200,000 prompt tokens" in note


def test_models_that_no_list_has_are_named(main: Main, tmp_path: Path) -> None:
    table(tmp_path, (PRO, "our-model"))
    code, _, err = main(
        "run", "--suite", f"table:{tmp_path}/t.jsonl", "--prices", "list", "--out", tmp_path / "o"
    )  # fmt: skip
    assert code == 2
    assert "no price for our-model; the lists have 1 of 2 models" in err
    assert "--prices FILE" in err


@pytest.mark.parametrize(
    ("usd", "said"), [(1.25, False), (1.0, True)], ids=["the list's", "another"]
)
def test_a_dry_run_says_where_a_budget_may_not_hold(
    main: Main, tmp_path: Path, usd: float, said: bool
) -> None:
    pytest.importorskip("openai")
    place = tmp_path / "q.jsonl"
    row = {"query_id": "q", "query": "word " * 60_000, "score": 1.0}
    place.write_text("".join(json.dumps(row | {"model": model}) + "\n" for model in "mn"))
    prices = tmp_path / "p.json"
    prices.write_text(json.dumps({PRO: FLAT[PRO] | {"input_usd_per_mtok": usd}}))
    words = ("collect", "--suite", f"table:{place}", "--models", f"openai:{PRO}", "--dry-run",
             "--budget", 5, "--prices", prices, "--store", tmp_path / "s.sqlite",
             "--set", "openai.max_tokens=1000")  # fmt: skip
    code, out, err = main(*words)
    assert code == 0, err
    assert ("the budget may not hold" in " ".join(out.split())) == said
    (model,) = json.loads(main(*words, "--json")[1])["models"]
    each = 300_064 * (2.5 if not said else 1.0) / 1e6
    assert model["most_usd"] == pytest.approx(each + (0.015 if not said else 0.01))
