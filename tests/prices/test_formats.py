"""Price files of other programs, and prices in another unit than USD per million tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import DataError
from routebench.prices.apply import cover
from routebench.prices.listed import load_file
from routebench.prices.lists import PriceList
from routebench.records import Pool

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
LITELLM = {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05}
ARENA = {"input_token_price_per_million": 1.25, "output_token_price_per_million": 10}
ROUTER = {"prompt": "0.00000125", "completion": "0.00001"}
OWN = {"input_usd_per_mtok": 1.25, "output_usd_per_mtok": 10.0}


def read(folder: Path, content: Any) -> PriceList:
    path = folder / "p.json"
    path.write_text(json.dumps(content))
    return load_file(path)


def listing(**pricing: Any) -> dict[str, Any]:
    """OpenRouter's listing of one model."""
    return {"data": [{"id": "alpha", "name": "Alpha", "pricing": ROUTER | pricing}]}


@pytest.mark.parametrize(
    "content",
    [
        {"alpha": LITELLM | {"mode": "chat", "litellm_provider": "x"}},
        {"sample_spec": {"mode": "one of chat"}, "alpha": LITELLM},
        {"alpha": {name: str(value) for name, value in LITELLM.items()}},
        {"alpha": LITELLM | {"input_cost_per_token_priority": 2e-06, "max_tokens": 8192}},
        {"alpha": LITELLM | {"cache_read_input_token_cost": 0.0}},
        {"alpha": LITELLM | {"search_context_cost_per_query": {"search_context_size_low": 0.01}}},
        {"alpha": ARENA},
        listing(),
        listing(request="0", image="0.001", internal_reasoning="0", input_cache_read="0"),
        listing(overrides=[{"utc_start": 1630, "audio": "0.001"}]),
        listing()["data"],
        {"alpha": {"pricing": ROUTER}},
    ],
)
def test_each_format_has_the_same_prices(tmp_path: Path, content: Any) -> None:
    found, own = read(tmp_path, content), read(tmp_path, {"alpha": OWN})
    assert found.models == own.models
    assert found.fingerprint == own.fingerprint


@pytest.mark.parametrize("name", ["litellm", "routerarena", "openrouter"])
def test_files_of_three_programs(name: str) -> None:
    path = CASES / "price-file-formats" / f"{name}.json"
    if not path.exists():
        pytest.skip("shared cases are not there")
    alpha, beta = load_file(path).models.values()
    assert (alpha.input_usd_per_mtok, alpha.output_usd_per_mtok) == (1.25, 10.0)
    assert (beta.input_usd_per_mtok, beta.output_usd_per_mtok) == (0.1, 0.4)


ABOVE = {"input_cost_per_token_above_200k_tokens": 2.5e-06}
FULL = {
    "output_cost_per_token_above_200k_tokens": 1.5e-05,
    "cache_read_input_token_cost": 1.25e-07,
    "cache_read_input_token_cost_above_200k_tokens": 2.5e-07,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
    "input_cost_per_token_above_200k_tokens_priority": 9e-06,
}
RANGES = [
    {"range": [0, 32_000], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
    {"range": [32_000, 128_000], "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06},
    {"range": [128_000, 1_000_000], "input_cost_per_token": 3e-06},
]
LONGER = {"min_prompt_tokens": 200_000, "prompt": "0.0000025", "completion": "0.000015"}


@pytest.mark.parametrize(
    ("content", "call", "usd"),
    [
        ({"alpha": LITELLM | ABOVE}, (260_000, 1_000), 0.65 + 0.01),
        ({"alpha": LITELLM | ABOVE | FULL}, (260_000, 1_000), 0.65 + 0.015),
        ({"alpha": LITELLM | ABOVE | FULL}, (260_000, 1_000, 200_000), 0.15 + 0.05 + 0.015),
        ({"alpha": LITELLM | ABOVE | FULL}, (200_000, 1_000), 0.25 + 0.01),
        ({"alpha": LITELLM | ABOVE | FULL}, (200_000, 1_000, 100_000), 0.125 + 0.0125 + 0.01),
        ({"alpha": {"tiered_pricing": RANGES}}, (32_000, 1_000), 0.032 + 0.002),
        ({"alpha": {"tiered_pricing": RANGES}}, (32_001, 1_000), 0.064002 + 0.004),
        ({"alpha": {"tiered_pricing": RANGES}}, (200_000, 1_000), 0.6 + 0.004),
        (listing(overrides=[LONGER]), (260_000, 1_000), 0.65 + 0.015),
        (listing(overrides=[LONGER]), (200_000, 1_000), 0.5 + 0.015),
        (listing(overrides=[LONGER]), (199_999, 1_000), 0.24999875 + 0.01),
        (listing(request="0.02"), (1_000, 1_000), 0.00125 + 0.01 + 0.02),
        (listing(internal_reasoning="0.00002"), (0, 1_000, 0, 1_000), 0.02),
    ],
)
def test_tiers_of_other_programs(
    tmp_path: Path, content: Any, call: tuple[float, ...], usd: float
) -> None:
    price = read(tmp_path, content).models["alpha"]
    assert price.usd(*map(float, call)) == pytest.approx(usd, abs=1e-12)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (LITELLM | {"input_cost_per_token": 1.25}, "divided by 1,000,000"),
        ({"mode": "image_generation", "output_cost_per_image": 0.04}, "no input_cost_per_token"),
        ({"input_cost_per_token": 1e-06}, "no output_cost_per_token"),
        (LITELLM | {"input_cost_per_token": "a lot"}, "'a lot', not a number"),
        (LITELLM | {"input_cost_per_token": True}, "True"),
    ],
)
def test_what_is_not_read_is_named_only_where_it_is_asked_for(
    tmp_path: Path, entry: Any, why: str
) -> None:
    found = read(tmp_path, {"alpha": entry, "beta": LITELLM})
    assert list(found.models) == ["beta"]
    cover(Pool(("beta",)), found)
    with pytest.raises(DataError, match="no price for alpha") as caught:
        cover(Pool(("alpha", "beta")), found)
    assert why in caught.value.hint


@pytest.mark.parametrize(
    ("pricing", "why"),
    [
        ({"prompt": "-1"}, "depends on the call"),
        ({"overrides": [{"utc_start": 1630, "prompt": "0.000001"}]}, "depend on utc_start"),
        ({"overrides": [LONGER | {"utc_days": ["monday"]}]}, "depend on utc_days"),
        ({"prompt": "NaN"}, "depends on the call"),
    ],
)
def test_prices_that_depend_on_more_than_length_are_refused(
    tmp_path: Path, pricing: dict[str, Any], why: str
) -> None:
    found = read(tmp_path, listing(**pricing))
    assert not found.models
    with pytest.raises(DataError) as caught:
        cover(Pool(("alpha",)), found)
    assert why in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ({"a": {"input_price": 1e-06, "output_price": 4e-06}}, "less than any", "times 1,000,000"),
        ({"a": {"input_usd_per_mtok": 1e-06, "output_usd_per_mtok": 0}}, "less", "per token"),
        ({"a": dict.fromkeys(ARENA, 1e-06)}, "less than any", "times 1,000,000"),
        ({"gpt-4o": {"input_price": 2.5e-06, "output_price": 1e-05}}, "2.5 and 10", "per token"),
        ({"gpt-4o": {"input_price": 0.0025, "output_price": 0.01}}, "2.5 and 10", "times 1,000 "),
        ({"gpt-4o": {"input_price": 2500, "output_price": 10000}}, "2.5 and 10", "by 1,000 "),
        (
            {"gpt-4o": {"input_cost_per_token": 2.5e-9, "output_cost_per_token": 1e-8}},
            "2.5 and 10",
            "times 1,000 ",
        ),
        ({"gpt-4o": {"input_price": 250, "output_price": 1000}}, "2.5 and 10", "by 100 "),
        ({"a": {"input_price": 1_250_000, "output_price": 1}}, "not 1250000", "1,000,000: 1.25"),
        (
            {"a": OWN | {"input_usd_per_mtok_above_200k": 2.5}},
            "above_200k is no price",
            "`tiers`: above_tokens",
        ),
        ({"a": {"input_cost_per_1k": 0.1, "output_cost_per_1k": 1}}, "is missing", "times 1,000:"),
        ({"a": {"prompt_usd_per_1M": 1, "completion_usd_per_1M": 1}}, "missing", "per_1M: USD"),
        ({"a": {"input_per_token": 1, "b": 1}}, "missing", "input_per_token times 1,000,000"),
        ({"data": [{"id": "a", "pricing": ROUTER}] * 2}, "a is there twice", ""),
        ({"acme": {"models": {"a": {"cost": {"input": 1}}}}}, "acme: input", "by provider"),
    ],
)
def test_another_unit_is_an_error_that_names_the_factor(
    tmp_path: Path, content: Any, message: str, hint: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        {"a": {"input_price": 0, "output_price": 0}},
        {"a": {"input_price": 0.0001, "output_price": 0.0001}},
        {"gpt-4o": {"input_price": 1.25, "output_price": 5.0}},
        {"gpt-4o": {"input_price": 0, "output_price": 0}},
        {"gpt-4o": {"input_price": 30, "output_price": 60}},
    ],
)
def test_low_prices_and_discounts_are_prices(tmp_path: Path, content: Any) -> None:
    assert read(tmp_path, content).models
