"""Several recorded answers of a model to a query: one cell, whatever order they come in."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_sources import JUDGE
from test_long_table import assert_same, at, load

from routebench.board import write_tables
from routebench.data.fingerprints import outcomes_fingerprint
from routebench.errors import DataError
from routebench.judge.suite import judge_answers
from routebench.prices.apply import ModelPrice, PriceInfo, PriceList, price
from routebench.records import Grade, State, SuiteData
from routebench.testing import tables as synthetic

DIFFER = "repeated answers with different grades: three-state metrics are left out"


def answer(query: str, model: str, sample: Any, score: float | None, **more: Any) -> dict[str, Any]:
    return {
        "query_id": query, "query": f"{query}?", "model": model, "sample": sample, "score": score,
    } | more  # fmt: skip


def several(**columns: list[Any]) -> list[dict[str, Any]]:
    """Three answers of a to q0, two of b, and one of each to q1; labels out of order."""
    made = [
        answer("q0", "a", "y", 1.0), answer("q1", "a", "x", 0.5), answer("q0", "a", "z", 0.0),
        answer("q0", "b", "2", 0.25), answer("q0", "a", "x", 0.5), answer("q0", "b", "1", 0.75),
        answer("q1", "b", "x", 1.0),
    ]  # fmt: skip
    for column, values in columns.items():
        for row, value in zip(made, values, strict=True):
            row[column] = value
    return made


def samples(data: SuiteData, query: str, model: str) -> list[float]:
    assert data.outcomes.samples is not None
    found = data.outcomes.samples[at(data, query, model)]
    return [float(x) for x in found[~np.isnan(found)]]


def text_of(data: SuiteData, query: str, model: str) -> str | None:
    row, column = at(data, query, model)
    found: str | None = data.answers[row * len(data.pool) + column].as_py()
    return found


def test_scores_are_means_and_samples_are_in_the_order_of_their_labels() -> None:
    data = load(several())
    o = data.outcomes
    assert o.samples is not None
    assert o.samples.shape == (2, 2, 3)
    assert samples(data, "q0", "a") == [0.5, 1.0, 0.0]
    assert samples(data, "q0", "b") == [0.75, 0.25]
    assert samples(data, "q1", "a") == [0.5]
    assert o.score[at(data, "q0", "a")] == 0.5
    assert o.score[at(data, "q0", "b")] == 0.5
    np.testing.assert_array_equal(np.nanmean(o.samples, axis=-1), o.score)
    assert np.isnan(o.samples[at(data, "q1", "b")][1:]).all(), "padded at the end"
    assert (o.state == State.OK).all()
    assert (data.notes, data.ungraded_repeats) == ((), 0)


def test_amounts_are_means_and_a_cost_is_known_whole_or_not_at_all() -> None:
    amounts = [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0]
    data = load(
        several(cost_usd=amounts, output_tokens=amounts, input_tokens=[None] * 7, latency=amounts)
    )
    o = data.outcomes
    assert o.cost is not None
    assert o.output_tokens is not None
    assert o.input_tokens is not None
    assert o.latency is not None
    cell = at(data, "q0", "a")
    assert np.isnan(o.cost[cell]), "one of three is not recorded"
    assert o.output_tokens[cell] == o.latency[cell] == 3.0
    assert o.cost[at(data, "q0", "b")] == 5.0
    assert o.cost[at(data, "q1", "a")] == 2.0
    assert np.isnan(o.input_tokens).all()


def test_only_scored_answers_count() -> None:
    data = load(
        several(
            score=[None, 0.5, None, None, 0.5, None, None],
            response=["not graded", "r", None, None, "right", "later", None],
            cost_usd=[9.0, 1.0, 9.0, 3.0, 1.0, 2.0, 4.0],
        )
    )
    o = data.outcomes
    assert o.cost is not None
    assert o.samples is None, "no cell has two scored answers"
    cell = at(data, "q0", "a")
    assert (o.state[cell], o.score[cell], o.cost[cell]) == (State.OK, 0.5, 1.0)
    assert text_of(data, "q0", "a") == "right"
    cell = at(data, "q0", "b")
    assert (o.state[cell], o.cost[cell]) == (State.UNGRADED, 2.0)
    assert np.isnan(o.score[cell])
    assert text_of(data, "q0", "b") == "later"
    assert o.state[at(data, "q1", "b")] == State.FAILED
    assert data.notes == ("repeated answers without a score, left out beside scored ones: 2",)
    assert data.ungraded_repeats == 1


def test_failed_answers_and_absent_cells() -> None:
    made = several(score=[None, 0.5, None, 1.0, None, 0.0, 1.0])[:6]
    data = load(made)
    assert data.outcomes.state[at(data, "q0", "a")] == State.FAILED
    assert data.outcomes.state[at(data, "q1", "b")] == State.ABSENT
    assert samples(data, "q0", "a") == samples(data, "q1", "b") == []
    assert samples(data, "q0", "b") == [0.0, 1.0]
    assert data.notes == (), "a cell without a scored answer is counted by its state"


def test_the_first_answer_stands_for_all() -> None:
    data = load(several(response=list("abcdefg")))
    assert text_of(data, "q0", "a") == "e"
    assert text_of(data, "q0", "b") == "f"


def test_grades_that_agree_are_kept() -> None:
    made = several(
        grade=["correct", "incorrect", "CORRECT", "not attempted", "correct"] + [None] * 2
    )
    made[5]["grade"] = "NOT_ATTEMPTED"
    data = load(made)
    assert data.outcomes.grade is not None
    assert data.outcomes.grade[at(data, "q0", "a")] == Grade.CORRECT
    assert data.outcomes.grade[at(data, "q0", "b")] == Grade.NOT_ATTEMPTED
    assert data.outcomes.grade[at(data, "q1", "b")] == Grade.NONE
    assert data.notes == ()


@pytest.mark.parametrize("other", ["incorrect", None])
def test_grades_that_differ_anywhere_are_dropped(other: str | None) -> None:
    data = load(
        several(grade=["correct", "correct", other, "correct", "correct"] + ["correct"] * 2)
    )
    assert data.outcomes.grade is None
    assert data.notes == (DIFFER,)
    # An answer that does not count has no say.
    made = several(grade=["correct"] * 7, state=["ok", "ok", "failed", "ok", "ok", "ok", "ok"])
    made[2]["grade"] = other
    assert load(made).outcomes.grade is not None


def test_labels_without_repeats_change_nothing() -> None:
    made = several()
    alone = [made[i] for i in (0, 1, 3, 6)]
    bare = [{k: v for k, v in row.items() if k != "sample"} for row in alone]
    assert_same(load(alone), load(bare))
    assert load(alone).outcomes.samples is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["y", "x", "y", "2", "x", "1", "x"], r"rows 1, 3, column .*, sample: \(q0, a, y\) is"),
        (["y", "x", "y", "2", "y", "2", "x"], r"rows 1, 3, .* twice \(3 such rows in all\)"),
        ([None, "x", None, "2", "x", "1", "x"], r"rows 1, 3, .*: \(q0, a, no label\) is there tw"),
        ([1, 1, 2, 1, 2, 2, 1], r"rows 3, 5, .*: \(q0, a, 2\) is there twice$"),
        ([[1]] * 7, r"column sample: list<.*> is not text"),
    ],
)
def test_two_rows_that_nothing_tells_apart(labels: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(several(sample=labels))


def test_repeats_without_labels_are_an_error_with_a_hint() -> None:
    bare = [{k: v for k, v in row.items() if k != "sample"} for row in several()]
    with pytest.raises(
        DataError, match=r"rows 1, 3, column query_id, model: \(q0, a\) .* \(3 such"
    ) as caught:
        load(bare)
    assert caught.value.hint == "a sample column tells repeated answers apart"


repeat = st.tuples(
    st.sampled_from(["q0", "q1", "q2"]),
    st.sampled_from(["m0", "m1"]),
    st.sampled_from(["1", "10", "2", "été", ""]),
)
said = st.tuples(
    st.sampled_from([None, 0.1, 0.7, 1.0]),
    st.sampled_from([None, "yes", "no"]),
    st.sampled_from([None, "CORRECT", "INCORRECT"]),
    st.one_of(st.none(), st.floats(0, 10)),
)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_order_of_rows_and_columns_changes_nothing(draw: st.DataObject) -> None:
    cells = draw.draw(st.lists(repeat, min_size=1, max_size=20, unique=True))
    cells += [("q9", model, "1") for model in ("m0", "m1")]
    made = []
    for query, model, sample in cells:
        score, response, grade, cost = draw.draw(said)
        own = {"response": response, "grade": grade, "cost_usd": cost, "latency": cost}
        made.append(answer(query, model, sample, score, **own))
    numbers = ("score", "cost_usd", "latency")
    schema = pa.schema([(c, pa.float64() if c in numbers else pa.string()) for c in made[0]])
    one = pa.Table.from_pylist(made, schema=schema)
    other = pa.Table.from_pylist(draw.draw(st.permutations(made)), schema=schema)
    shuffled = other.select(draw.draw(st.permutations(other.column_names)))
    data = load(one)
    assert_same(data, load(shuffled))
    _follows_the_rules(data, made)


def _follows_the_rules(data: SuiteData, made: list[dict[str, Any]]) -> None:
    """The same cells by plain loops."""
    for query in data.ids:
        for model in data.pool.models:
            own = [r for r in made if (r["query_id"], r["model"]) == (query, model)]
            own.sort(key=lambda row: row["sample"])
            for row in own:
                graded = 1.0 if row["grade"] == "CORRECT" else 0.0 if row["grade"] else None
                row["scored"] = graded if row["score"] is None else row["score"]
            ok = [r for r in own if r["scored"] is not None]
            answered = [r for r in own if r["response"] is not None]
            state = State.OK if ok else State.UNGRADED if answered else State.FAILED
            cell = at(data, query, model)
            assert data.outcomes.state[cell] == (state if own else State.ABSENT)
            if not ok:
                assert np.isnan(data.outcomes.score[cell])
                continue
            assert data.outcomes.score[cell] == pytest.approx(np.mean([r["scored"] for r in ok]))
            assert text_of(data, query, model) == ok[0]["response"]
            if data.outcomes.samples is not None:
                assert samples(data, query, model) == [r["scored"] for r in ok]
            costs = [r["cost_usd"] for r in ok]
            expected = np.nan if None in costs else np.mean(costs)
            assert data.outcomes.cost is not None
            assert data.outcomes.cost[cell] == pytest.approx(expected, nan_ok=True)


def test_the_fingerprint_follows_the_samples() -> None:
    data = load(several())
    base = outcomes_fingerprint(data)
    spread = several()
    spread[0]["score"], spread[2]["score"] = 0.75, 0.25  # the same mean
    assert outcomes_fingerprint(load(spread)) != base
    assert load(spread).outcomes.score.tolist() == data.outcomes.score.tolist()
    alone = replace(data, outcomes=replace(data.outcomes, samples=None))
    assert outcomes_fingerprint(alone) != base
    renamed = several(sample=["b", "a", "c", "2", "a", "1", "a"])
    assert outcomes_fingerprint(load(renamed)) == base


def test_rows_are_taken_whole() -> None:
    data = load(several())
    for rows in (np.array([1]), np.array([True, False]), np.array([1, 0])):
        part = data.table(rows).outcomes
        assert part.samples is not None
        np.testing.assert_array_equal(part.samples, data.outcomes.samples[rows])
        assert part.samples.base is None


def test_prices() -> None:
    data = load(several(cost_usd=[1.0, 1.0, None, 1.0, 1.0, 1.0, 1.0]))
    priced, info = price(data, None)
    cell = at(data, "q0", "a")
    assert priced.outcomes.state[cell] == State.UNPRICED
    assert samples(priced, "q0", "a") == []
    assert samples(priced, "q0", "b") == [0.75, 0.25]
    assert info.basis["recorded"] == 3
    listed = {m: ModelPrice(input_usd_per_mtok=1, output_usd_per_mtok=1) for m in ("a", "b")}
    again, _ = price(data, PriceList(listed, "prices.json"))
    assert (again.outcomes.state == State.OK).all()
    assert samples(again, "q0", "a") == [0.5, 1.0, 0.0]


@pytest.fixture
def judge(distribution: Callable[..., Path]) -> None:
    distribution("some-judges", "[routebench.judges]\necho = some_judges:Echo\n", JUDGE)


@pytest.mark.usefixtures("judge")
@pytest.mark.parametrize("scored", [1.0, None])
def test_no_judge_grades_one_answer_out_of_several(scored: float | None) -> None:
    """Beside a scored answer, and beside another one without a score."""
    data = load(several(score=[scored, 0.5, None, 1.0, scored, 1.0, 1.0], response=["r"] * 7))
    missing = 1 if scored else 2
    with pytest.raises(DataError, match=f"--judge echo: {missing} repeated answers have no score"):
        judge_answers(data, "echo", {})


@pytest.mark.usefixtures("judge")
def test_a_judge_grades_the_only_answer_of_a_cell() -> None:
    """One that failed attempts stand beside, and one among cells of several answers."""
    made = several(
        score=[None, None, None, 0.0, None, 1.0, 1.0],
        response=[None, "no", "yes", "r", None, "r", "r"],
        reference=["yes"] * 7,
        grade=[None] * 5 + ["correct", "correct"],
    )
    data = load(made)
    assert data.outcomes.grade is None
    judged = judge_answers(data, "echo", {})
    o = judged.outcomes
    assert (o.state == State.OK).all()
    assert (o.score[at(data, "q0", "a")], o.score[at(data, "q1", "a")]) == (1.0, 0.0)
    assert samples(judged, "q0", "a") == [1.0]
    assert samples(judged, "q1", "a") == [0.0]
    assert samples(judged, "q0", "b") == [1.0, 0.0]
    assert o.grade is None, "grades of some cells only would mislead"
    assert samples(data, "q0", "a") == [], "the input is left as it was"


def test_synthetic_tables_keep_samples_aligned() -> None:
    table = synthetic.synthetic_tables(train=40).train
    score = table.outcomes.score
    repeated = np.stack([score, 1 - score], axis=-1)
    table = replace(table, outcomes=replace(table.outcomes, samples=repeated))
    moved = synthetic.with_models(table, np.array([2, 0, 3, 1])).outcomes
    np.testing.assert_array_equal(moved.samples[..., 0], moved.score)  # type: ignore[index]
    holes = synthetic.with_holes(table).outcomes
    np.testing.assert_array_equal(holes.samples[..., 0], holes.score)  # type: ignore[index]
    assert np.isnan(holes.samples[~holes.ok]).all()  # type: ignore[index]
    assert synthetic.with_scores(table, score / 2).outcomes.samples is None


def test_the_cells_of_a_run_hold_every_score() -> None:
    data = load(several(score=[1.0, 0.5, 0.0, 0.25, 0.5, 0.75, None]))
    split = SimpleNamespace(codes=np.full((1, 2), 2), protocol="query")
    setup: Any = SimpleNamespace(data=data, split=split, stream=None)
    unpriced = PriceInfo("unpriced", {}, None, {})
    content = write_tables.tables(setup, unpriced, {})["cells.parquet"]
    found = pq.read_table(io.BytesIO(content)).to_pylist()
    lists = {(c["query_id"], c["model"]): c["samples"] for c in found}
    assert lists == {
        ("q0", "a"): [0.5, 1.0, 0.0],
        ("q0", "b"): [0.75, 0.25],
        ("q1", "a"): [0.5],
        ("q1", "b"): [],
    }
