"""Columns under other names, one column per model, and rows as an editor counts them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from readings import ROWS, lines_of, load, put, score, separated

from routebench.data.fingerprints import outcomes_fingerprint
from routebench.data.reading import mapping
from routebench.errors import DataError, OptionError
from routebench.records import State

NESTED = [
    {"meta": {"id": row["query_id"], "q.text": row["query"]}, "llm": row["model"],
     "rating": 100 * row["score"], "out": {"choices": [{"message": {"content": "so"}}]}}
    for row in ROWS
]  # fmt: skip
NAMES = (
    "query_id=meta.id, query=meta.q.text,model=llm,score=rating,"
    "response=out.choices.0.message.content"
)


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_columns_under_other_names(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(NESTED), path)
    else:
        put(tmp_path, path.name, lines_of(NESTED) if kind == "jsonl" else json.dumps(NESTED))
    data = load(path, map=NAMES, score_max=100)
    usual = load(put(tmp_path, "usual.jsonl", lines_of(ROWS)))
    assert outcomes_fingerprint(data) == outcomes_fingerprint(usual)
    assert data.notes == ()


def test_columns_of_csv_under_other_names(tmp_path: Path) -> None:
    rows = [
        {"prompt": r["query"], "llm": r["model"], "rating": r["score"], "score": "bad"}
        for r in ROWS
    ]
    path = put(tmp_path, "t.csv", separated(rows, ";"))
    data = load(path, map="query_id=prompt,query=prompt,model=llm,score=rating")
    assert score(data, "café 1", "b") == 0.25
    assert data.notes == ("separated by semicolons (;)", "columns not used: score")


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("query", "--map 'query': expected COLUMN=NAME", "--map query=prompt"),
        ("qurey=prompt", "there is no column 'qurey' to fill", "did you mean query"),
        ("prompt=query", "there is no column 'prompt' to fill", "--map query=prompt"),
        ("query=a,query=b", "--map query is there twice", ""),
    ],
)
def test_a_mapping_that_is_none(given: str, message: str, hint: str) -> None:
    with pytest.raises(OptionError) as caught:
        mapping.parse(given)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_mapping_to_a_column_that_is_not_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        put(tmp_path, path.name, separated(ROWS) if kind == "csv" else lines_of(ROWS))
    with pytest.raises(DataError, match="--map task=modle: there is no column 'modle'") as caught:
        load(path, map="task=modle")
    assert caught.value.hint == "did you mean model?"


WIDE = [{"query": f"café {q}", "a": 1.0, "b": 0.25} for q in range(3)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_one_column_per_model(tmp_path: Path, kind: str) -> None:
    wide = [row | {"note": "text"} for row in WIDE]
    wide[2]["b"] = None
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(wide), path)
    else:
        put(tmp_path, path.name, separated(wide) if kind == "csv" else lines_of(wide))
    data = load(path)
    assert data.pool.models == ("a", "b")
    assert [score(data, "1", "a"), score(data, "2", "b")] == [1.0, 0.25]
    assert (data.outcomes.state == State.ABSENT).sum() == 1
    assert data.notes == ("one column of scores per model: a, b", "columns not used: note")


def test_which_columns_are_models_is_not_guessed(tmp_path: Path) -> None:
    wide = [row | {"words": 7} for row in WIDE]
    path = put(tmp_path, "t.csv", separated(wide))
    with pytest.raises(DataError, match="no column model, and column words holds") as caught:
        load(path)
    assert 'table.models=["a", "b"]' in caught.value.hint
    data = load(path, models=("a", "b"))
    assert data.pool.models == ("a", "b")
    with pytest.raises(DataError, match="no column of a model 'c'"):
        load(path, models=("a", "c"))


def test_a_column_that_is_meant_as_another(tmp_path: Path) -> None:
    rows = [row | {"cost": 0.1, "Ground_Truth": "x"} for row in ROWS]
    data = load(put(tmp_path, "t.csv", separated(rows)))
    assert data.notes == (
        "columns not used: Ground_Truth, cost",
        "Ground_Truth: did you mean reference? --map reference=Ground_Truth",
        "cost: did you mean cost_usd? --map cost_usd=cost",
    )
    rows = [row | {"cost_usd": 0.2} for row in rows]
    assert len(load(put(tmp_path, "t.csv", separated(rows))).notes) == 2


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (separated(ROWS[:3]) + "q1,café 1,b,bad,so\n", "row 4 (line 5)"),
        (separated(ROWS[:2]) + 'q1,"two\nlines",a,1,so\nq1,"two\nlines",b,bad,so\n',
         "row 4 (line 6)"),
        (separated(ROWS[:2]).replace("\n", "\n\n") + "q1,x,b,bad,so\n", "row 3 (line 7)"),
    ],
)  # fmt: skip
def test_rows_as_an_editor_counts_them(tmp_path: Path, content: str, where: str) -> None:
    with pytest.raises(DataError) as caught:
        load(put(tmp_path, "t.csv", content))
    assert where in caught.value.message


def test_rows_of_json_lines_as_an_editor_counts_them(tmp_path: Path) -> None:
    rows = [row | {"score": "bad" if row is ROWS[3] else 1} for row in ROWS]
    for content, where in (
        (lines_of(rows), "t.jsonl: row 4, column score"),
        (lines_of(rows).replace("\n", "\n\n"), "t.jsonl: row 4 (line 7), column score"),
    ):
        with pytest.raises(DataError) as caught:
            load(put(tmp_path, "t.jsonl", content))
        assert caught.value.message.startswith(where)
