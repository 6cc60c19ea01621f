from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.data.fingerprints import outcomes_fingerprint, pool_fingerprint, suite_fingerprint
from routebench.data.long_table import from_long
from routebench.data.texts import text_hash
from routebench.errors import DataError
from routebench.records import Grade, Pool, State, SuiteData

SIMPLEQA = Path(__file__).resolve().parents[3] / "shared" / "data" / "simpleqa"


def load(rows: list[dict[str, Any]] | pa.Table, **options: Any) -> SuiteData:
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    given = {"name": "tiny", "source": "recorded", "place": "tiny.csv"} | options
    return from_long(table, **given)


def rows(**extra: list[Any]) -> list[dict[str, Any]]:
    """Two queries by two models, q0/b, q0/a, q1/b, q1/a, with further columns."""
    cells = [("q0", "Who?", "b", 1.0), ("q0", "Who?", "a", 0.0),
             ("q1", "When?", "b", 0.25), ("q1", "When?", "a", 0.5)]  # fmt: skip
    keys = ("query_id", "query", "model", "score")
    made = [dict(zip(keys, cell, strict=True)) for cell in cells]
    for column, values in extra.items():
        for row, value in zip(made, values, strict=True):
            row[column] = value
    return made


def at(data: SuiteData, query: str, model: str) -> tuple[int, int]:
    return data.ids.tolist().index(query), data.pool.models.index(model)


def test_aligns_queries_and_models() -> None:
    data = load(rows())
    assert data.pool.models == ("a", "b")
    assert data.text_hash.tolist() == sorted([text_hash("Who?"), text_hash("When?")])
    assert data.outcomes.score[at(data, "q0", "b")] == 1.0
    assert data.outcomes.score[at(data, "q0", "a")] == 0.0
    assert data.outcomes.score[at(data, "q1", "b")] == 0.25
    assert data.outcomes.score[at(data, "q1", "a")] == 0.5
    assert (data.outcomes.state == State.OK).all()
    assert data.outcomes.cost is None
    assert data.outcomes.grade is None
    assert data.answers is None
    assert len(set(data.keys)) == 2
    assert all(len(key) == 16 for key in data.keys)


def test_query_columns() -> None:
    data = load(
        rows(
            task=["t", "t", "s", "s"], topic=["x"] * 4, user=["u", "u", None, None],
            reference=["A", None, "B", "B"], split=["train", "train", "test", "test"],
            preference=[0.2, 0.2, 1.0, 1.0],
        ),
        visible=frozenset({"task"}),
    )  # fmt: skip
    first = at(data, "q0", "a")[0]
    queries = data.queries
    assert queries.task is not None
    assert queries.user is not None
    assert queries.preference is not None
    assert data.references is not None
    assert data.split is not None
    assert (queries.task[first], queries.user[first], queries.user[1 - first]) == ("t", "u", None)
    assert queries.preference[first] == 0.2
    assert data.references[first] == "A"
    assert data.split[1 - first] == "test"
    assert data.table(np.array([0])).queries.topic is None


def test_amounts() -> None:
    data = load(
        rows(input_tokens=[1, 2, 3, None], output_tokens=[5, 6, 7, 8],
             cost_usd=[0.1, 0.0, None, 0.4], latency=[1.5, None, None, None])
    )  # fmt: skip
    o = data.outcomes
    assert o.input_tokens is not None
    assert o.cost is not None
    assert o.latency is not None
    assert o.input_tokens[at(data, "q0", "b")] == 1
    assert np.isnan(o.input_tokens[at(data, "q1", "a")])
    assert o.cost[at(data, "q0", "a")] == 0.0
    assert np.isnan(o.cost[at(data, "q1", "b")])
    assert np.isnan(o.latency).sum() == 3


def test_states_of_cells() -> None:
    made = rows(response=["yes", None, "no", "maybe"])
    made[1]["score"] = None  # no answer came
    made[2]["score"] = None  # an answer without a grade
    data = load(made)
    assert data.outcomes.state[at(data, "q0", "a")] == State.FAILED
    assert data.outcomes.state[at(data, "q1", "b")] == State.UNGRADED
    assert np.isnan(data.outcomes.score).sum() == 2
    row, column = at(data, "q1", "a")
    assert data.answers[row * 2 + column].as_py() == "maybe"
    row, column = at(data, "q0", "a")
    assert data.answers[row * 2 + column].as_py() is None


def test_missing_row_is_absent() -> None:
    data = load(
        rows(response=["w", "x", "y", "z"], cost_usd=[1, 1, 1, 1], grade=["correct"] * 4)[:3]
    )
    cell = at(data, "q1", "a")
    assert data.outcomes.state[cell] == State.ABSENT
    assert np.isnan(data.outcomes.score[cell])
    assert data.outcomes.cost is not None
    assert np.isnan(data.outcomes.cost[cell])
    assert data.outcomes.grade is not None
    assert data.outcomes.grade[cell] == Grade.NONE
    assert data.answers[cell[0] * 2 + cell[1]].as_py() is None


def test_state_column_wins() -> None:
    data = load(rows(state=["FAILED", "ok", None, "ungraded"], grade=["correct"] * 4))
    assert data.outcomes.state[at(data, "q0", "b")] == State.FAILED
    assert np.isnan(data.outcomes.score[at(data, "q0", "b")])
    assert data.outcomes.state[at(data, "q0", "a")] == State.OK
    assert data.outcomes.state[at(data, "q1", "b")] == State.OK
    assert data.outcomes.state[at(data, "q1", "a")] == State.UNGRADED
    assert data.outcomes.grade is not None
    assert data.outcomes.grade[at(data, "q0", "b")] == Grade.NONE


def test_score_from_grade() -> None:
    made = rows(grade=["Correct", "incorrect", "NOT_ATTEMPTED", None])
    data = load([{k: v for k, v in row.items() if k != "score"} for row in made])
    assert data.outcomes.score[at(data, "q0", "b")] == 1.0
    assert data.outcomes.score[at(data, "q0", "a")] == 0.0
    assert data.outcomes.score[at(data, "q1", "b")] == 0.0
    assert data.outcomes.state[at(data, "q1", "a")] == State.FAILED
    assert data.outcomes.grade is not None
    assert data.outcomes.grade[at(data, "q1", "b")] == Grade.NOT_ATTEMPTED


def test_responses_alone_are_ungraded() -> None:
    made = [{k: v for k, v in row.items() if k != "score"} for row in rows(response=list("wxyz"))]
    assert (load(made).outcomes.state == State.UNGRADED).all()


def test_wider_score_range() -> None:
    made = rows()
    made[0]["score"] = -0.5
    with pytest.raises(DataError, match=r"row 1, column score: -0.5 is not in \[0, 1\]"):
        load(made)
    assert load(made, score_range=(-1, 1)).outcomes.score.min() == -0.5


def test_numbers_may_come_as_text() -> None:
    made = rows()
    for row, score in zip(made, ["1", " 0.5 ", "", ".25e0"], strict=True):
        row["score"] = score
    data = load(made)
    assert data.outcomes.score[at(data, "q0", "a")] == 0.5
    assert data.outcomes.state[at(data, "q1", "b")] == State.FAILED
    assert data.outcomes.score[at(data, "q1", "a")] == 0.25


def test_ids_may_be_numbers_or_categories() -> None:
    table = pa.Table.from_pylist(rows())
    numbered = table.set_column(0, "query_id", pa.array([0, 0, 10, 10]))
    assert sorted(load(numbered).ids) == ["0", "10"]
    categories = table.set_column(2, "model", table["model"].dictionary_encode())
    assert load(categories).pool.models == ("a", "b")


def test_unused_columns_are_noted() -> None:
    assert load(rows(metric=["f1"] * 4, extra=[1] * 4), notes=("n",)).notes == (
        "n",
        "columns not used: extra, metric",
    )


def test_given_pool_is_put_in_name_order() -> None:
    pool = Pool(("c", "b", "a"), input_price=np.array([3.0, 2.0, 1.0]), large="c")
    data = load(rows(), pool=pool)
    assert data.pool.models == ("a", "b", "c")
    assert data.pool.input_price is not None
    assert data.pool.input_price.tolist() == [1.0, 2.0, 3.0]
    assert (data.outcomes.state[:, 2] == State.ABSENT).all()
    with pytest.raises(DataError, match="rows 2, 4, column model: no 'a' in the pool"):
        load(rows(), pool=Pool(("b", "c")))


def changed(row: int, **values: Any) -> list[dict[str, Any]]:
    made = rows()
    made[row].update(values)
    return made


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (changed(2, query_id="q0", query="Who?"), r"rows 1, 3, column query_id, model: \(q0, b\)"),
        (changed(2, score=float("nan")), "row 3, column score: is NaN"),
        (changed(1, score=float("inf")), "row 2, column score: is inf"),
        (changed(1, score=1.5), r"row 2, column score: 1.5 is not in \[0, 1\]"),
        (changed(1, query="What?"), "rows 1, 2, column query: query 'q0' has two values, 'Who"),
        (changed(3, query_id=None), "row 4, column query_id: is empty"),
        (changed(3, query_id="  "), "row 4, column query_id: is empty"),
        (changed(0, model=""), "row 1, column model: is empty"),
        (changed(0, query=None), "row 1, column query: is empty"),
        (rows(task=["s", "t", "t", "t"]), "rows 1, 2, column task: query 'q0' has two values"),
        (rows(split=["train", "test", "x", "x"]), "rows 1, 2, column split"),
        (rows(reference=["x", "x", "y", "z"]), "rows 3, 4, column reference: query 'q1'"),
        (rows(cost_usd=[0, -1, 0, 0]), "row 2, column cost_usd: -1 is negative"),
        (rows(cost_usd=[0, float("nan"), 0, 0]), "row 2, column cost_usd: is NaN"),
        (rows(input_tokens=[0, 0, 0, -5]), "row 4, column input_tokens: -5 is negative"),
        (rows(output_tokens=["1", "x", "2", "3"]), "row 2, column output_tokens: 'x' is not a num"),
        (rows(latency=["1", "1_0", "2", "3"]), "row 2, column latency: '1_0' is not a number"),
        (rows(grade=["correct", "A", "B", None]), "rows 2, 3, column grade: unknown grade 'A'"),
        (rows(state=["ok", "okay", None, "ok"]), "row 2, column state: unknown state 'okay'"),
        (rows(preference=[2, 2, 0, 0]), r"rows 1, 2, column preference: is not in \[0, 1\]"),
        (rows(preference=[0.2, 0.4, 0, 0]), "rows 1, 2, column preference: one query has two"),
        (rows(response=[["x"]] * 4), "column response: list<.*> is not text"),
        (rows(cost_usd=[["x"]] * 4), "column cost_usd: list<.*> is not a number"),
        (rows()[::2], "at least two models are needed, and only 'b'"),
        (pa.Table.from_pylist(rows()).slice(0, 0), "tiny.csv: the table has no rows"),
    ],
)  # fmt: skip
def test_bad_input_names_file_row_and_column(made: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"^tiny\.csv: .*{message}|^{message}") as caught:
        load(made)
    assert caught.value.message.startswith("tiny.csv: ")


@pytest.mark.parametrize("column", ["query_id", "query", "model", "response"])
def test_bytes_that_are_no_text(column: str) -> None:
    broken = pa.array([b"caf\xe9", b"x"])
    columns: dict[str, Any] = {"query_id": ["q", "q"], "query": ["t", "t"], "model": ["a", "b"]}
    columns |= {"score": [1, 0], column: broken}
    with pytest.raises(DataError, match=f"column {column}: binary is not text"):
        load(pa.table(columns))
    columns[column] = pa.StringArray.from_buffers(2, *broken.buffers()[1:])
    with pytest.raises(DataError, match=f"column {column}: the text is not UTF-8"):
        load(pa.table(columns))


def test_ok_without_score_is_an_error() -> None:
    made = rows(state=["ok"] * 4)
    made[1]["score"] = None
    with pytest.raises(DataError, match="row 2, column state: is ok, but there is no score"):
        load(made)


def test_many_bad_rows_are_counted() -> None:
    made = [row | {"score": 7.0} for row in rows()]
    with pytest.raises(DataError, match="rows 1, 2, 3 and 1 more, column score"):
        load(made)


def test_missing_columns_are_named_together_with_hints() -> None:
    table = pa.Table.from_pylist(rows()).rename_columns(["qid", "query", "modle", "scores"])
    with pytest.raises(DataError, match="missing columns query_id, model, score") as caught:
        load(table)
    assert "did you mean qid" in caught.value.hint
    assert "model: did you mean modle" in caught.value.hint
    assert "score: did you mean scores" in caught.value.hint


def test_repeated_column() -> None:
    table = pa.Table.from_pylist(rows())
    with pytest.raises(DataError, match="column score is there more than once"):
        load(table.append_column("score", table["score"]))


cell = st.tuples(
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.sampled_from([None, "", "yes", "été"]),
    st.sampled_from([None, "CORRECT", "incorrect"]),
    st.one_of(st.none(), st.floats(0, 10)),
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_order_of_rows_changes_nothing(draw: st.DataObject) -> None:
    n, m = draw.draw(st.integers(1, 4)), draw.draw(st.integers(2, 4))
    texts = draw.draw(st.lists(st.sampled_from(["A?", "a?", "B", "C c"]), min_size=n, max_size=n))
    made = [
        {"query_id": f"q{q}", "query": texts[q], "model": f"m{model}", "score": score,
         "response": response, "grade": grade, "cost_usd": cost, "reference": texts[q].lower()}
        for q in range(n)
        for model in range(m)
        for score, response, grade, cost in [draw.draw(cell)]
    ]  # fmt: skip
    schema = pa.schema(
        [(c, pa.float64() if c in ("score", "cost_usd") else pa.string()) for c in made[0]]
    )
    shuffled = draw.draw(st.permutations(made))
    one = load(pa.Table.from_pylist(made, schema=schema))
    other = load(pa.Table.from_pylist(shuffled, schema=schema))
    assert_same(one, other)


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, SuiteData):
        for fingerprint in (suite_fingerprint, outcomes_fingerprint, pool_fingerprint):
            assert fingerprint(one) == fingerprint(other)
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if hasattr(left, "__dataclass_fields__"):
            assert_same(left, right)
        elif isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        else:
            assert left == right, field.name


def test_fingerprints_follow_the_content() -> None:
    extra: dict[str, Any] = {
        "response": list("wxyz"),
        "reference": ["A", "A", "B", "B"],
        "cost_usd": [1, 2, 3, 4],
    }
    data = load(rows(**extra))
    base = outcomes_fingerprint(data)
    assert base == outcomes_fingerprint(replace(data, name="other", files=(Path("x"),)))
    changes = [
        load(changed(0, score=0.5)),
        load(rows(**(extra | {"response": list("wxyy")}))),
        load(rows(**(extra | {"response": ["wx", "", "y", "z"]}))),
        load(rows(**(extra | {"response": ["w", None, "y", "z"]}))),
        load(rows(**(extra | {"cost_usd": [1, 2, 3, 5]}))),
        load(rows(**extra, input_tokens=[1, 1, 1, 1])),
        load(rows(**extra, grade=["CORRECT"] * 4)),
    ]
    prints = {outcomes_fingerprint(changed) for changed in changes} | {base}
    assert len(prints) == len(changes) + 1
    suites = {
        suite_fingerprint(data),
        suite_fingerprint(replace(data, name="other")),
        suite_fingerprint(load(rows(**(extra | {"reference": ["A", "A", "C", "C"]})))),
    }
    assert len(suites) == 3
    assert pool_fingerprint(data) == pool_fingerprint(load(rows()))
    assert pool_fingerprint(data) != pool_fingerprint(load(rows(), pool=Pool(("a", "b", "c"))))


@pytest.mark.skipif(not SIMPLEQA.exists(), reason="shared/data is not here")
def test_known_answers_of_simpleqa() -> None:
    data = load(pq.read_table(SIMPLEQA / "outcomes.parquet"))
    right = dict(zip(data.pool.models, data.outcomes.score.sum(axis=0).tolist(), strict=True))
    assert right == {  # accuracies .311, .283, .1915, .080, .078
        "gpt-4o-2024-11-20": 1342,
        "claude-3-5-sonnet-20241022": 1224,
        "claude-3-5-sonnet-20240620": 827,
        "gpt-4o-mini-2024-07-18": 347,
        "claude-3-5-haiku-20241022": 338,
    }
    assert data.outcomes.score.max(axis=1).mean() == pytest.approx(0.4656, abs=5e-5)
    assert len(data) == 4_319
    assert data.notes == ("columns not used: answer_type",)
