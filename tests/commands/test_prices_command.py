"""`routebench prices`: what is shown of what the package knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from routebench.prices import snapshots
from routebench.prices.snapshots import find_price

Main = Callable[..., tuple[int, str, str]]


def facts(main: Main, *words: Any) -> list[dict[str, Any]]:
    code, out, err = main("prices", *words, "--json")
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def test_every_model_once_with_its_newest_price(main: Main) -> None:
    found = facts(main)
    keys = [(one["vendor"], one["model"]) for one in found]
    assert keys == sorted(set(keys))
    listed = {own.name for one in snapshots.snapshots() for own in one.models}
    assert {one["model"] for one in found} == listed
    for one in found:
        price, snapshot = find_price(one["vendor"], one["model"])
        assert one["snapshot"] == snapshot
        assert one["output_usd_per_mtok"] == price.output_usd_per_mtok
        assert one["source"].startswith("https://")


def test_a_table_names_prices_days_and_pages(main: Main) -> None:
    code, out, _ = main("prices", "--provider", "gemini")
    assert code == 0
    line = next(line for line in out.splitlines() if "gemini-2.5-flash " in line)
    assert line.split()[1:] == ["0.3", "0.03", "2.5", "google-2026-10-07"]
    assert "gemini-2.5-pro*" in out
    assert "google-2026-10-07: https://ai.google.dev/gemini-api/docs/pricing" in out
    assert "USD per million tokens" in out
    assert "gpt" not in out
    assert main("prices", "--provider", "google")[1] == out


def test_a_model_over_time(main: Main) -> None:
    found = facts(main, "deepseek-chat")
    dates = [one["date"] for one in found]
    assert dates == sorted(dates)
    assert len(dates) >= 4
    assert found[-1]["listed_as"] == "deepseek-v4-flash"
    assert facts(main, "openai:deepseek-chat") == found
    out = main("prices", "gemini-2.5-pro")[1]
    assert "prompts of up to" in out
    (*_, newest) = facts(main, "gemini-2.5-pro")
    assert newest["note"] == "prompts of up to 200,000 tokens; above that 2.50 and 15.00"
    assert newest["tiers"][0]["above_tokens"] == 200_000


def test_as_of_a_day(main: Main) -> None:
    day = ("--date", "2025-09-04")
    assert [one["date"] for one in facts(main, "deepseek-chat", *day)] == ["2025-02-08"]
    assert all(one["date"] <= "2025-09-04" for one in facts(main, *day))


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["gemini-2.5-flsh"], "no price of gemini-2.5-flsh is known", "did you mean gemini-2.5-f"),
        (["gemini:gpt-4o"], "no price of gpt-4o is known", "--prices FILE"),
        (["gpt-5", "--date", "2024-01-01"], "the first is openai-2025-11-13", ""),
        (["--provider", "gogle"], "no prices of provider 'gogle' are known", "google"),
        (["--date", "2000-01-01"], "no prices of that day or before", ""),
        (["--date", "soon"], "--date", ""),
    ],
)
def test_what_is_not_known(main: Main, words: list[str], message: str, hint: str) -> None:
    code, out, err = main("prices", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err
