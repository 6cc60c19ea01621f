"""Prices of prompts above a length: in files, in the dated lists, in runs and budgets."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.collect import budget
from routebench.data.long_table import from_long
from routebench.errors import DataError
from routebench.prices.apply import price
from routebench.prices.listed import NOTED, for_run, load, of_longer_prompts
from routebench.prices.lists import ModelPrice, PriceList, as_written, fingerprint, load_prices
from routebench.prices.snapshots import find_price, snapshots
from routebench.records import State, SuiteData

FLAT = {"input_usd_per_mtok": 1.25, "output_usd_per_mtok": 10.0}
LONGER = {"above_tokens": 200_000, "input_usd_per_mtok": 2.5, "output_usd_per_mtok": 15.0}
LONGEST = {"above_tokens": 500_000, "input_usd_per_mtok": 4.0}
PRO = "gemini-2.5-pro"


def priced(*tiers: dict[str, Any], **more: Any) -> ModelPrice:
    return ModelPrice.model_validate(FLAT | more | {"tiers": tiers})


def long_table(tokens: int = 260_000, model: str = PRO) -> SuiteData:
    columns: dict[str, Any] = {
        "query_id": ["q", "q", "r", "r"], "query": ["one", "one", "two", "two"],
        "model": [model, "small"] * 2, "score": [1.0, 0.0] * 2,
        "input_tokens": [tokens, 100, 100, 100], "output_tokens": [1_000] * 4,
    }  # fmt: skip
    return from_long(pa.table(columns), name="t", source="recorded", place="t.csv")


def written(folder: Path, models: Any) -> str:
    path = folder / "prices.json"
    path.write_text(json.dumps(models))
    return str(path)


def costs(data: SuiteData) -> list[float]:
    """USD of the first model's calls, the long one first."""
    assert data.outcomes.cost is not None
    own: list[float] = data.outcomes.cost[:, data.pool.models.index(PRO)].tolist()
    return sorted(own, reverse=True)


@pytest.mark.parametrize(
    ("tiers", "call", "usd"),
    [
        ((LONGER,), (200_000, 1_000), 0.26),
        ((LONGER,), (200_001, 1_000), 0.5000025 + 0.015),
        ((LONGER,), (260_000, 1_000), 0.665),
        ((LONGEST, LONGER), (260_000, 1_000), 0.665),
        ((LONGER, LONGEST), (600_000, 1_000), 2.4 + 0.015),
        ((LONGER,), (np.nan, 1_000), np.nan),
    ],
)
def test_a_call_costs_what_its_tier_does(
    tiers: tuple[dict[str, Any], ...], call: tuple[float, float], usd: float
) -> None:
    entry = priced(*tiers)
    assert entry.usd(*map(float, call)) == pytest.approx(usd, abs=1e-12, nan_ok=True)
    several = entry.usd(np.array([call[0], 10.0]), np.array([call[1], 0.0]))
    assert several[0] == pytest.approx(usd, abs=1e-12, nan_ok=True)
    assert several[1] == pytest.approx(1.25e-5)


def test_parts_of_a_call_in_a_tier() -> None:
    cached = priced(LONGER | {"cached_usd_per_mtok": 0.25}, cached_usd_per_mtok=0.125)
    assert cached.usd(3e5, 0.0, 1e5) == pytest.approx(0.5 + 0.025)
    assert priced(LONGER).usd(3e5, 0.0, 1e5) == pytest.approx(0.75), "as other tokens of the tier"
    alike = priced(LONGER, thinking_usd_per_mtok=10.0)
    assert alike.usd(3e5, 1e3, 0.0, 1e3) == pytest.approx(0.75 + 0.015), "as answers, in both"
    apart = priced(LONGER, thinking_usd_per_mtok=20.0)
    assert apart.usd(3e5, 1e3, 0.0, 1e3) == pytest.approx(0.75 + 0.02)


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 9), st.floats(0, 9)), max_size=3),
    st.integers(0, 1200),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_no_call_costs_more_than_is_reserved(
    tiers: list[tuple[int, float, float]], longest: int, fewer: int, answer: int
) -> None:
    listed = {
        above: {"above_tokens": above, "input_usd_per_mtok": i, "output_usd_per_mtok": o}
        for above, i, o in tiers
    }
    entry = priced(*listed.values())
    most = entry.most_usd(longest, answer)
    assert entry.usd(float(max(0, longest - fewer)), float(answer)) <= most * (1 + 1e-12)


def test_a_reservation_knows_the_tier() -> None:
    long, given = "x" * 260_000, {"max_output_tokens": 1_000}
    tokens = budget.most_prompt_tokens(long, given)
    assert budget.most_usd(priced(LONGER), long, given) == pytest.approx(
        (tokens * 2.5 + 1_000 * 15) / 1e6
    )


def test_tiers_are_written_and_known_apart(tmp_path: Path) -> None:
    entry = priced(LONGEST, LONGER)
    assert [tier["above_tokens"] for tier in as_written(entry)["tiers"]] == [200_000, 500_000]
    assert ModelPrice.model_validate(as_written(entry)) == entry
    assert "tiers" not in as_written(priced())
    kinds = [priced(), priced(LONGER), priced(LONGEST), priced(LONGER, LONGEST)]
    assert len({fingerprint({"m": kind}) for kind in kinds}) == len(kinds)
    path = tmp_path / "p.toml"
    path.write_text(
        '["m"]\ninput_usd_per_mtok = 1.25\noutput_usd_per_mtok = 10\n'
        '[["m".tiers]]\nabove_tokens = 200000\ninput_usd_per_mtok = 2.5\noutput_usd_per_mtok = 15\n'
    )
    assert load_prices(path).models["m"] == priced(LONGER)


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ([LONGER | {"input_usd_per_mtok": -1}], "field tiers 1 input_usd_per_mtok"),
        ([LONGER | {"input": 2.5}], "field tiers 1 input"),
        ([{"input_usd_per_mtok": 2.5}], "tiers 1 above_tokens is missing"),
        ([LONGER | {"above_tokens": 0}], "field tiers 1 above_tokens"),
        ([LONGER, LONGER], "two tiers above 200,000 tokens"),
        ({"200k": 2.5}, "field tiers"),
    ],
)
def test_wrong_tiers_are_named(tmp_path: Path, tiers: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_prices(Path(written(tmp_path, {"m": FLAT | {"tiers": tiers}})))


def test_the_dated_lists_have_the_vendors_tiers() -> None:
    """Spot checks against the vendors' pages."""
    pro, _ = find_price("gemini", PRO)
    assert pro.usd(260_000.0, 1_000.0) == pytest.approx(0.665)
    first, _ = find_price("gemini", PRO, date=datetime.date(2025, 7, 1))
    assert first.usd(260_000.0, 0.0, 260_000.0) == pytest.approx(0.26 * 0.625)
    assert find_price("openai", "gpt-5.4")[0].usd(3e5, 1e3) == pytest.approx(1.5 + 0.0225)
    assert find_price("openai", "gpt-5.4")[0].usd(272_000.0, 0.0) == pytest.approx(0.68)
    haiku, _ = find_price("anthropic", "claude-haiku-5-5")
    assert haiku.usd(100_001.0, 0.0) == pytest.approx(0.0500005)
    for snapshot in snapshots():
        for listed in snapshot.models:
            for tier in listed.price.tiers:
                above = listed.price.above(tier)
                assert above.input_usd_per_mtok > listed.price.input_usd_per_mtok, listed.name
                assert above.output_usd_per_mtok > listed.price.output_usd_per_mtok, listed.name


def run_at(prices: str, data: SuiteData) -> tuple[SuiteData, tuple[str, ...]]:
    found, notes = for_run(prices, data)
    return price(data, found)[0], notes


def test_a_file_with_a_lists_prices_means_the_list(tmp_path: Path) -> None:
    data, notes = run_at(written(tmp_path, {PRO: FLAT, "small": FLAT}), long_table())
    assert costs(data) == pytest.approx([0.665, 0.010125])
    (note,) = notes
    assert note.startswith(NOTED)
    assert PRO in note
    assert "200,000" in note
    assert "google-20" in note


def test_other_prices_than_the_lists_stand_and_are_noted(tmp_path: Path) -> None:
    own = {PRO: FLAT | {"input_usd_per_mtok": 1.0}, "small": FLAT}
    data, (note,) = run_at(written(tmp_path, own), long_table())
    assert costs(data) == pytest.approx([0.27, 0.0101])
    assert "prices.json has not" in note


@pytest.mark.parametrize(
    ("entry", "tokens", "model"),
    [
        (FLAT | {"tiers": []}, 260_000, PRO),
        (FLAT | {"tiers": [LONGER]}, 260_000, PRO),
        (FLAT, 200_000, PRO),
        (FLAT, 260_000, "mine"),
        (FLAT, 260_000, "gemini-2.5-flash"),
    ],
)
def test_nothing_is_added_where_a_file_says_it_or_no_prompt_is_long(
    tmp_path: Path, entry: Any, tokens: int, model: str
) -> None:
    path = written(tmp_path, {model: entry, "small": FLAT})
    data = long_table(tokens, model)
    found, notes = for_run(path, data)
    assert found == load_prices(Path(path))
    assert not notes


def test_failed_cells_make_no_prompt_long(tmp_path: Path) -> None:
    path, data = written(tmp_path, {PRO: FLAT, "small": FLAT}), long_table()
    assert data.outcomes.input_tokens is not None
    long = data.outcomes.input_tokens > 1_000
    state = np.where(long, State.FAILED, data.outcomes.state)
    failed = replace(data, outcomes=replace(data.outcomes, state=state))
    assert for_run(path, data)[1]
    assert not for_run(path, failed)[1]


def test_the_dated_lists_price_a_table() -> None:
    models = (PRO, "gemini:gemini-2.5-flash", "openai/gpt-4o")
    found, (note,) = load("list", models)
    assert list(found.models) == list(models)
    assert found.models["openai/gpt-4o"].input_usd_per_mtok == 2.5
    assert note.startswith("prices: the lists google-20")
    with pytest.raises(DataError, match=r"no price for mine, gpt-4x; the lists have 1 of 3") as own:
        load("list", (PRO, "mine", "gpt-4x"))
    assert "--prices FILE" in own.value.hint
    with pytest.raises(DataError, match="no price for acme/gpt-4o"):
        load("list", ("acme/gpt-4o",))


def test_what_a_budget_cannot_know() -> None:
    other = ModelPrice.model_validate(FLAT | {"output_usd_per_mtok": 9.0})
    kept, note = of_longer_prompts("p.json", PRO, other, 300_000)
    assert kept is other
    assert "may cost more than is reckoned" in note
    assert of_longer_prompts("p.json", PRO, other, 200_000)[1] == ""


def test_lists_compare_by_prices_alone() -> None:
    one = PriceList({"m": priced(LONGER)}, "a.json")
    assert one.fingerprint == PriceList({"m": priced(LONGER)}, "b.json").fingerprint
