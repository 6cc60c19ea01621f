"""Tables as people write them: separators, encodings, JSON, other names, one column per model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from readings import ROWS, lines_of, load, put, score, separated

from routebench.data.fingerprints import outcomes_fingerprint
from routebench.data.reading.messages import joined
from routebench.data.summary import facts_of
from routebench.errors import DataError


@pytest.mark.parametrize(
    ("name", "content", "notes"),
    [
        ("t.csv", separated(ROWS, ";"), ["separated by semicolons (;)"]),
        ("t.csv", separated(ROWS, "\t"), ["separated by tabs"]),
        ("t.csv", separated(ROWS, "|"), ["separated by bars (|)"]),
        ("t.csv", "sep=;\n" + separated(ROWS, ";"), ["separated by semicolons (;)"]),
        ("t.tsv", separated(ROWS, "\t"), []),
        ("t.csv", separated(ROWS, ";", comma=True),
         ["separated by semicolons (;)", "decimal commas in score, read as points"]),
        ("t.csv", separated(ROWS).encode("latin-1"),
         ["Windows-1252 (latin-1)"]),
        ("t.csv", separated(ROWS).encode("utf-16"), ["UTF-16"]),
        ("t.csv", separated(ROWS, ";").encode("utf-16-le"),
         ["UTF-16-LE", "separated by semicolons (;)"]),
        ("t.csv", separated(ROWS).encode("utf-32"), ["UTF-32"]),
        ("t.jsonl", lines_of(ROWS).encode("utf-16"), ["UTF-16"]),
        ("t.jsonl", json.dumps(ROWS, ensure_ascii=False).encode("latin-1"),
         ["Windows-1252 (latin-1)"]),
        ("t.jsonl", json.dumps(ROWS, indent=1), []),
        ("t.json", json.dumps(ROWS), []),
        ("t.json", lines_of(ROWS), []),
        ("t.json", json.dumps({"version": 1, "results": ROWS}), ["'results'"]),
    ],
)  # fmt: skip
def test_one_table_in_many_forms(
    tmp_path: Path, name: str, content: str | bytes, notes: list[str]
) -> None:
    usual = load(put(tmp_path, "usual.jsonl", lines_of(ROWS)))
    data = load(put(tmp_path, name, content))
    assert outcomes_fingerprint(data) == outcomes_fingerprint(usual)
    assert len(data.notes) == len(notes)
    for note, part in zip(data.notes, notes, strict=True):
        assert part in note
    assert facts_of(tmp_path / name).rows == len(ROWS)


def test_a_semicolon_within_a_text_separates_nothing(tmp_path: Path) -> None:
    rows = [row | {"query": row["query"] + "; so?; yes;no"} for row in ROWS]
    assert load(put(tmp_path, "t.csv", separated(rows))).notes == ()


_TEXTS: list[tuple[list[Any], float, list[float]]] = [
    (["True", "False"] * 3, 1, [1, 0] * 3),
    (["yes", "No"] * 3, 1, [1, 0] * 3),
    (["100%", "12.5 %"] * 3, 1, [1, 0.125] * 3),
    (["80", "15.5"] * 3, 100, [0.8, 0.155] * 3),
    (["yes", "50%", "7", "0", "10", "no"], 10, [1, 0.5, 0.7, 0, 1, 0]),
]
_VALUES: list[tuple[list[Any], float, list[float]]] = [
    ([True, False] * 3, 1, [1, 0] * 3),
    ([True, 0.5] * 3, 1, [1, 0.5] * 3),
    ([True, 0] * 3, 100, [1, 0] * 3),
    ([80, "90", "yes", "5%", True, 0], 100, [0.8, 0.9, 1, 0.05, 1, 0]),
    ([[1], [0.5]] * 3, 1, [1, 0.5] * 3),
]


@pytest.mark.parametrize(
    ("kind", "values", "top", "expected"),
    [
        *(("csv", *each) for each in _TEXTS),
        *((kind, *each) for kind in ("jsonl", "json") for each in (*_TEXTS, *_VALUES)),
    ],
)
def test_scores_as_people_write_them(
    tmp_path: Path, kind: str, values: list[Any], top: float, expected: list[float]
) -> None:
    rows = [row | {"score": value} for row, value in zip(ROWS, values, strict=True)]
    content = {"csv": separated, "jsonl": lines_of, "json": json.dumps}[kind](rows)
    data = load(put(tmp_path, f"t.{kind}", content), score_max=top)
    found = [score(data, row["query_id"], row["model"]) for row in ROWS]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "top", "message", "hint"),
    [
        (["100", "85"] * 3, 1, "100 is not in [0, 1]", "--score-max 100 "),
        (["7", "0.5"] * 3, 1, "7 is not in [0, 1]", "--score-max 10 "),
        (["4", "1"] * 3, 1, "4 is not in [0, 1]", "--score-max 5 "),
        (["101", "1"] * 3, 100, "101 is not in [0, 100]", ""),
        (["120%", "1"] * 3, 100, "1.2 is not in [0, 1]", ""),
        (["-1", "1"] * 3, 1, "-1 is not in [0, 1]", ""),
        (["good", "1"] * 3, 1, "'good' is not a number", ""),
    ],
)
def test_scores_out_of_range(
    tmp_path: Path, values: list[str], top: float, message: str, hint: str
) -> None:
    rows = [row | {"score": value} for row, value in zip(ROWS, values, strict=True)]
    with pytest.raises(DataError) as caught:
        load(put(tmp_path, "t.csv", separated(rows)), score_max=top)
    assert "row" in caught.value.message
    assert caught.value.message.endswith(message)
    assert caught.value.hint.startswith(hint)
    assert bool(caught.value.hint) == bool(hint)


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["0,5", "1"] * 3, [0.5, 1]),
        (["0,125", "1"] * 3, [0.125, 1]),
        (["85,5%", "1,0"] * 3, [0.855, 1]),
    ],
)
def test_decimal_commas(tmp_path: Path, values: list[str], read: list[float]) -> None:
    rows = [row | {"score": value} for row, value in zip(ROWS, values, strict=True)]
    data = load(put(tmp_path, "t.csv", separated(rows, ";")))
    assert [score(data, "q0", "a"), score(data, "q0", "b")] == read


def test_a_comma_that_may_set_off_thousands_is_no_decimal_comma(tmp_path: Path) -> None:
    rows = [row | {"input_tokens": "1,024"} for row in ROWS]
    with pytest.raises(DataError, match="column input_tokens: '1,024' is not a number") as caught:
        load(put(tmp_path, "t.csv", separated(rows, ";")))
    assert "without commas" in caught.value.hint


@pytest.mark.parametrize(
    "odd",
    [
        [None, "late", {"a": 1}, [1], 2.5, True],
        [1, 2, 3, "n/a", None, 1],
        ["\ud83d", "a", "a", "a", "a", "a"],
        [float("nan"), float("inf"), 10**400, 1, 1, 1],
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_an_unused_column_breaks_nothing(tmp_path: Path, kind: str, odd: list[Any]) -> None:
    rows = [row | {"odd": value} for row, value in zip(ROWS, odd, strict=True)]
    content = lines_of(rows) if kind == "jsonl" else json.dumps(rows)
    data = load(put(tmp_path, f"t.{kind}", content))
    usual = load(put(tmp_path, "usual.jsonl", lines_of(ROWS)))
    assert data.notes == ("columns not used: odd",)
    assert outcomes_fingerprint(data) == outcomes_fingerprint(usual)


def test_texts_of_several_types(tmp_path: Path) -> None:
    """Of references and answers; ids that are 7 and "7" may be two."""
    mixed = [18, "18", 2.0, 2.5, True, None]
    rows = [row | {"response": value} for row, value in zip(ROWS, mixed, strict=True)]
    data = load(put(tmp_path, "t.jsonl", lines_of(rows)))
    found = dict(zip(data.ids, np.array(data.answers.to_pylist()).reshape(3, 2), strict=True))
    assert found["q0"].tolist() == ["18", "18"]
    assert found["q1"].tolist() == ["2", "2.5"]
    assert found["q2"].tolist() == ["true", None]


def test_half_characters_are_counted(tmp_path: Path) -> None:
    rows = [row | {"response": "a\ud83d" if row["model"] == "a" else "b"} for row in ROWS]
    data = load(put(tmp_path, "t.jsonl", lines_of(rows)))
    assert data.notes == ("texts with half characters (lone surrogates), replaced by ?: 3",)
    assert set(data.answers.to_pylist()) == {"a?", "b"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Who?", "Who?"),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}],
         "Be brief.\n\nWho?"),
        ([{"role": "user", "content": [{"type": "text", "text": "Who?"}]}], "Who?"),
        ([{"from": "human", "value": "Who?"}], "Who?"),
        ({"messages": [{"role": "user", "content": "Who?"}]}, "Who?"),
        ({"role": "assistant", "content": "Emma"}, "Emma"),
        ([{"role": "assistant", "content": None, "tool_calls": []},
          {"role": "user", "content": "Who?"}], "Who?"),
        (["Who?", "When?"], "Who?\n\nWhen?"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], None),
        ([1, 2], None),
        ([], None),
        ({"a": 1}, None),
        (7, None),
    ],
)  # fmt: skip
def test_chat_messages(value: Any, text: str | None) -> None:
    assert joined(value) == text


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_queries_as_chat_messages(tmp_path: Path, kind: str) -> None:
    rows = [row | {"query": [{"role": "user", "content": row["query"]}]} for row in ROWS]
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        put(tmp_path, path.name, lines_of(rows) if kind == "jsonl" else json.dumps(rows))
    data = load(path)
    usual = load(put(tmp_path, "usual.jsonl", lines_of(ROWS)))
    assert data.notes == ("chat messages in query, their turns joined: 6",)
    assert outcomes_fingerprint(data) == outcomes_fingerprint(usual)


def test_a_message_without_text_names_its_row(tmp_path: Path) -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]
    rows = [row | {"query": image if row["query_id"] == "q1" else row["query"]} for row in ROWS]
    with pytest.raises(DataError, match=r"row 3, column query: .*image_url.* is no text") as caught:
        load(put(tmp_path, "t.jsonl", lines_of(rows)))
    assert "role" in caught.value.hint


@pytest.mark.parametrize(
    ("one", "other"), [("GPT-4", "gpt-4"), ("gpt 4", "gpt4"), ("ｇpt", "gpt"), ("a", "a ")]
)
def test_names_that_may_be_one_model(tmp_path: Path, one: str, other: str) -> None:
    rows = [row | {"model": one if row["model"] == "a" else other} for row in ROWS]
    (note,) = load(put(tmp_path, "t.jsonl", lines_of(rows))).notes
    assert note.startswith("may be one model under several names: ")
    assert repr(one) in note
    assert repr(other) in note


@pytest.mark.parametrize("name", ["None", "nan", " NULL"])
def test_a_model_without_a_name(tmp_path: Path, name: str) -> None:
    rows = [row | {"model": name if row["model"] == "a" else "b"} for row in ROWS]
    (note,) = load(put(tmp_path, "t.jsonl", lines_of(rows))).notes
    assert note == f"a model is called {name!r}: is its name missing?"
    rows = [row | {"model": None if row is ROWS[4] else row["model"]} for row in ROWS]
    with pytest.raises(DataError, match=r"t\.jsonl: row 5, column model: is empty"):
        load(put(tmp_path, "t.jsonl", lines_of(rows)))
