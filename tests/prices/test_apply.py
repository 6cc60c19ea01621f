from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w

from routebench.data.fingerprints import outcomes_fingerprint
from routebench.data.long_table import from_long
from routebench.errors import DataError
from routebench.prices.apply import ModelPrice, PriceList, load_prices, price
from routebench.prices.lists import parse_size
from routebench.records import State, SuiteData

DATA = Path(__file__).parents[1] / "data"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
PRICES: dict[str, dict[str, float]] = {
    "a": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 10.0},
    "b": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 2},
}


def suite(**extra: list[Any]) -> SuiteData:
    """One query of nine characters (three tokens by estimate) by models a and b."""
    columns: dict[str, Any] = {
        "query_id": ["q", "q"], "query": ["Who is it"] * 2, "model": ["a", "b"],
        "score": [1.0, 0.0],
    }  # fmt: skip
    return from_long(pa.table(columns | extra), name="t", source="recorded", place="t.csv")


@pytest.fixture
def prices(tmp_path: Path) -> PriceList:
    return load_prices(written(tmp_path, PRICES))


def written(folder: Path, content: Any, name: str = "prices.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def costs(data: SuiteData) -> list[float]:
    assert data.outcomes.cost is not None
    found: list[float] = data.outcomes.cost[0].tolist()
    return found


def test_no_source_at_all_is_unpriced() -> None:
    data, info = price(suite(input_tokens=[5, 5]), None)
    assert data.outcomes.cost is None
    assert (data.outcomes.state == State.OK).all()
    assert (info.label, info.fingerprint, info.snapshot) == ("unpriced", None, {})


def test_recorded_costs_stand() -> None:
    data, info = price(suite(cost_usd=[0.5, 0.0]), None)
    assert costs(data) == [0.5, 0.0]
    assert info.label == "recorded"
    assert info.basis == {"recorded": 2, "tokens": 0, "estimated": 0, "assumed": 0}


def test_cell_without_its_cost_is_unpriced_not_free() -> None:
    data, info = price(suite(cost_usd=[0.5, None], grade=["CORRECT", "INCORRECT"]), None)
    assert data.outcomes.state[0].tolist() == [State.OK, State.UNPRICED]
    assert np.isnan(data.outcomes.score[0, 1])
    assert np.isnan(costs(data)[1])
    assert data.outcomes.grade is not None
    assert data.outcomes.grade[0].tolist() == [0, -1]
    assert info.basis["recorded"] == 1


def test_failed_cells_cost_nothing_known_and_ungraded_ones_keep_it() -> None:
    data = suite(cost_usd=[0.5, 0.25], state=["failed", "ungraded"])
    priced, info = price(data, None)
    assert np.isnan(costs(priced)[0])
    assert costs(priced)[1] == 0.25
    assert priced.outcomes.state[0].tolist() == [State.FAILED, State.UNGRADED]
    assert info.basis["recorded"] == 1


def test_ungraded_without_cost_stays_ungraded() -> None:
    data, _ = price(suite(cost_usd=[0.5, None], state=["ok", "ungraded"]), None)
    assert data.outcomes.state[0].tolist() == [State.OK, State.UNGRADED]


def test_recorded_tokens_are_priced(prices: PriceList) -> None:
    data, info = price(suite(input_tokens=[100, 100], output_tokens=[20, 30]), prices)
    assert costs(data) == pytest.approx([100 * 1e-6 + 20 * 10e-6, 30 * 2e-6])
    assert info.label == "prices"
    assert info.basis == {"recorded": 0, "tokens": 2, "estimated": 0, "assumed": 0}
    assert data.pool.input_price is not None
    assert data.pool.input_price.tolist() == [1.0, 0.0]


def test_price_list_overrides_recorded_costs(prices: PriceList) -> None:
    tokens = {"input_tokens": [100, 100], "output_tokens": [20, 30]}
    data, info = price(suite(cost_usd=[9.0, None], **tokens), prices)
    assert costs(data) == pytest.approx([300e-6, 60e-6])
    assert (data.outcomes.state == State.OK).all()
    assert info.basis["recorded"] == 0


def test_estimates_from_characters(prices: PriceList) -> None:
    data, info = price(suite(response=["éééé!", "12345678"]), prices)
    # 9 characters of query make 3 tokens, 5 of answer 2, and 8 of answer 2.
    assert costs(data) == pytest.approx([3e-6 + 2 * 10e-6, 2 * 2e-6])
    assert (info.label, info.basis["estimated"], info.basis["assumed"]) == ("estimated", 2, 0)


def test_assumed_answers(prices: PriceList) -> None:
    data, info = price(suite(input_tokens=[7, None]), prices, assume_output_tokens=100)
    assert costs(data) == pytest.approx([7e-6 + 1000e-6, 200e-6])
    assert (info.label, info.basis["assumed"]) == ("estimated", 2)
    assert price(suite(), prices)[0].outcomes.cost[0, 1] == pytest.approx(512e-6)  # type: ignore[index]


def test_bases_are_counted_per_cell(prices: PriceList) -> None:
    data = suite(
        input_tokens=[7, 7], output_tokens=[1, None], response=["x", "y"]
    )  # fmt: skip
    _, info = price(data, prices)
    assert (info.basis["tokens"], info.basis["estimated"]) == (1, 1)
    failed = suite(input_tokens=[7, 7], output_tokens=[1, 1], state=["ok", "failed"])
    priced, info = price(failed, prices)
    assert info.basis["tokens"] == 1
    assert np.isnan(costs(priced)[1])
    assert info.label == "prices"


def test_uncovered_models_are_named(tmp_path: Path) -> None:
    listed = load_prices(written(tmp_path, {"a": PRICES["a"], "b-2024": PRICES["b"]}))
    with pytest.raises(DataError, match=r"no price for b$") as caught:
        price(suite(), listed)
    assert "b-2024" in caught.value.hint


def test_both_forms_and_formats_agree(tmp_path: Path) -> None:
    other = {m: {"input_price": p["input_usd_per_mtok"], "output_price": p["output_usd_per_mtok"],
                 "size": "7B", "feature": "text", "model": "x/y", "service": "z"}
             for m, p in reversed(PRICES.items())}  # fmt: skip
    lists = [
        load_prices(written(tmp_path, PRICES)),
        load_prices(written(tmp_path, other, "other.json")),
        load_prices(written(tmp_path, tomli_w.dumps(PRICES), "prices.toml")),
    ]
    assert len({found.fingerprint for found in lists}) == 1
    assert lists[1].models["a"].size == 7.0
    assert lists[1].models["a"].description == "text"
    dearer = load_prices(written(tmp_path, PRICES | {"b": PRICES["a"]}))
    assert dearer.fingerprint != lists[0].fingerprint


def test_snapshot_reads_back(tmp_path: Path) -> None:
    prices = load_prices(DATA / "prices.toml")
    columns = {"query_id": ["q"] * 4, "query": ["Q"] * 4, "model": list(prices.models),
               "score": [1] * 4}  # fmt: skip
    data = from_long(pa.table(columns), name="t", source="recorded", place="t.csv")
    priced, info = price(data, prices)
    again = load_prices(written(tmp_path, tomli_w.dumps(info.snapshot), "prices.toml"))
    assert again.models == prices.models
    assert price(data, again)[1] == info
    assert priced.pool.size is not None
    assert priced.pool.size.tolist() == [400.0, 32.0, 32.0, 3.0]
    assert priced.pool.description is not None
    assert priced.pool.description[3] == "Quick and cheap."


def test_other_models_in_the_list_do_not_matter(tmp_path: Path, prices: PriceList) -> None:
    more = load_prices(written(tmp_path, PRICES | {"c": PRICES["a"]}, "more.json"))
    assert price(suite(), more)[1] == price(suite(), prices)[1]


@pytest.mark.parametrize(
    ("text", "billions"),
    [("7B", 7.0), ("49b", 49.0), ("1.5T", 1500.0), ("350M", 0.35), (" 70 B ", 70.0)],
)
def test_sizes(text: str, billions: float) -> None:
    assert parse_size(text) == pytest.approx(billions)


IN, OUT = "input_usd_per_mtok", "output_usd_per_mtok"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (
            {"a": {IN: -1, OUT: 1}},
            "p.json: model a, field input_usd_per_mtok: must be at",
            "",
        ),
        ('{"a": {"input_price": NaN, "output_price": 1}}', "model a, field input.*finite", ""),
        ({"a": {IN: "1", OUT: 1}}, "model a, field input_usd_per_mtok: .*number, not '1'", ""),
        ({"a": {IN: 1}}, "model a: output_usd_per_mtok is missing", ""),
        ({"a": {IN: 1, "output_usd_per_mtk": 1}}, "a: output_usd_per_mtok is missing", "mtk"),
        ({"gpt-4": {"1": {IN: 1, OUT: 1}}}, "model gpt-4: input", '"gpt-4.1"'),
        ({"a": {IN: 1, OUT: 1, "size": "big"}}, "model a, field size: 'big' is not a size", ""),
        ({"a": 3}, "model a: expected a table of prices, not 3", ""),
        ({}, "p.json: no prices in it", ""),
        ([], "p.json: no prices in it", ""),
        ("{", "p.json: cannot be read", ""),
        ('{"a": {}, "a": {}}', "p.json: cannot be read: a is there twice", ""),
        ({"a": {IN: 1, OUT: 1, "cached_usd_per_mtk": 1}}, "a: cached_usd_per_mtk is no", "cached"),
        ({"a": {IN: 1, OUT: 1, "request_price": 1}}, "model a: request_price is no price", "usd"),
        (
            {"a": {IN: 1, OUT: 1, "usd_per_request": -1}},
            "field usd_per_request: must be at",
            "",
        ),
        ({"a": {IN: 1, OUT: 1, "thinking_usd_per_mtok": "2"}}, "thinking_usd_per_mtok: .*num", ""),
    ],
)
def test_bad_lists(tmp_path: Path, content: Any, message: str, hint: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_prices(written(tmp_path, content, "p.json"))
    assert hint in caught.value.hint


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        load_prices(tmp_path / "none.toml")
    with pytest.raises(DataError, match=r"prices\.yaml: a price list is a \.json or a \.toml"):
        load_prices(written(tmp_path, "a: 1", "prices.yaml"))
    with pytest.raises(DataError, match="cannot be read"):
        load_prices(written(tmp_path, "[a", "prices.toml"))


def full_list(**extra: float) -> PriceList:
    a = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 10.0}
    content = {"a": a | extra, "b": PRICES["b"]}
    return PriceList({m: ModelPrice.model_validate(c) for m, c in content.items()}, "p.toml")


def test_fingerprints_know_what_is_set() -> None:
    assert full_list().fingerprint == "cf82bf50e0c23944", "as boards of earlier versions state it"
    assert full_list(usd_per_request=0.0).fingerprint == full_list().fingerprint
    lists = [
        full_list(),
        full_list(usd_per_request=1.0),
        full_list(cached_usd_per_mtok=1.0),
        full_list(cached_usd_per_mtok=0.0),
        full_list(thinking_usd_per_mtok=1.0),
    ]
    assert len({one.fingerprint for one in lists}) == len(lists)


def test_recorded_parts_and_fees_are_priced() -> None:
    tokens: dict[str, list[Any]] = {
        "input_tokens": [100, 100], "output_tokens": [20, 30],
        "cached_tokens": [60, None], "thinking_tokens": [5, 30],
    }  # fmt: skip
    listed = full_list(cached_usd_per_mtok=0.5, thinking_usd_per_mtok=20.0, usd_per_request=0.25)
    data, info = price(suite(**tokens), listed)
    a = (40 * 1 + 60 * 0.5 + 15 * 10 + 5 * 20) / 1e6 + 0.25
    assert costs(data) == pytest.approx([a, 60e-6])
    assert info.label == "prices"
    assert info.snapshot["a"]["cached_usd_per_mtok"] == 0.5
    assert "usd_per_request" not in info.snapshot["b"]
    failed = price(suite(**tokens, state=["failed", "ok"]), listed)[0]
    assert np.isnan(costs(failed)[0]), "no answer, no fee that anyone knows of"


def test_more_cached_ones_than_a_guessed_prompt_has() -> None:
    listed = full_list(cached_usd_per_mtok=0.0)
    data, info = price(suite(cached_tokens=[500, 0], output_tokens=[0, 0]), listed)
    assert costs(data)[0] == 0.0
    assert info.label == "estimated"


def test_parts_of_tokens_are_read_and_may_not_exceed_them() -> None:
    known = suite(input_tokens=[9, 9], cached_tokens=[9, None]).outcomes
    assert known.cached_tokens is not None
    assert known.cached_tokens[0].tolist() == pytest.approx([9, math.nan], nan_ok=True)
    assert known.thinking_tokens is None
    with pytest.raises(DataError, match="row 2, column cached_tokens: 10 are more than all 9 inp"):
        suite(input_tokens=[9, 9], cached_tokens=[9, 10])
    with pytest.raises(DataError, match="rows 1, 2, column thinking_tokens: 3 are more than all 2"):
        suite(output_tokens=[2, 1], thinking_tokens=[3, 3])
    with pytest.raises(DataError, match="row 1, column thinking_tokens: -1 is negative"):
        suite(output_tokens=[2, 1], thinking_tokens=[-1, None])


def test_parts_of_tokens_count_in_the_fingerprint_only_where_there_are_any() -> None:
    tokens = {"input_tokens": [9, 9], "output_tokens": [9, 9]}
    prints = {
        outcomes_fingerprint(suite(**tokens, **more))
        for more in ({}, {"cached_tokens": [1, 1]}, {"thinking_tokens": [1, 1]})
    }
    assert len(prints) == 3
    assert "67eaef932980b0b4" in prints, "as boards of earlier versions state it"


@pytest.mark.skipif(not SHARED.exists(), reason="shared/data is not here")
def test_candidates_of_llmrouter() -> None:
    prices = load_prices(SHARED / "llmrouter" / "default_llm.json")
    table = pq.read_table(SHARED / "llmrouter" / "outcomes.parquet")
    data, info = price(from_long(table, name="l", source="recorded", place="o"), prices)
    assert data.pool.size is not None
    sizes = dict(zip(data.pool.models, data.pool.size.tolist(), strict=True))
    assert sizes["llama-3.1-nemotron-51b-instruct"] == 51.0
    assert sizes["codegemma-7b"] == 7.0
    assert info.label == "estimated"
    assert info.basis["assumed"] == 6_108 * 9
    assert set(info.snapshot) == set(data.pool.models)


@pytest.mark.skipif(not SHARED.exists(), reason="shared/data is not here")
def test_simpleqa_is_estimated_from_its_answers() -> None:
    prices = load_prices(SHARED / "simpleqa" / "prices.json")
    table = pq.read_table(SHARED / "simpleqa" / "outcomes.parquet")
    data, info = price(from_long(table, name="s", source="recorded", place="o"), prices)
    assert info.basis["estimated"] == 4_319 * 5
    row, model = 17, data.pool.models.index("gpt-4o-2024-11-20")
    answer = data.answers[row * 5 + model].as_py()
    tokens = -(-len(data.queries.text[row]) // 4), -(-len(answer) // 4)
    assert data.outcomes.cost is not None
    assert data.outcomes.cost[row, model] == pytest.approx((tokens[0] * 2.5 + tokens[1] * 10) / 1e6)
