"""Records that travel as files: whole, and with nothing of the rows left out."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from routebench.bought import Bought
from routebench.jobs import arrow_io
from routebench.records import Decisions, Outcomes, Pool, Queries, Table, Usage, Users

SECRET = "unmistakable-" + "xyzzy" * 4


def texts(*values: str | None) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def queries() -> Queries:
    return Queries(
        text=texts("plain", "", "ünï \n\x00 日本"),
        task=texts("a", None, "b"),
        topic=texts(None, None, None),
        user=texts("u1", "u2", "u1"),
        preference=np.array([0.0, np.nan, 1.0]),
        embedding=np.arange(12, dtype=np.float32).reshape(3, 4),
    )


def outcomes() -> Outcomes:
    base = np.array([[0.5, np.nan], [1, 0], [0.25, 1]])
    return Outcomes(
        score=base,
        state=np.array([[0, 1], [0, 0], [2, 4]], dtype=np.int8),
        cost=base / 7,
        grade=np.array([[0, -1], [1, 2], [0, 0]], dtype=np.int8),
        input_tokens=base + 3,
        output_tokens=base.T.copy().T,  # in Fortran order
        latency=base * 2,
        relative_cost=base / 9,
        cached_tokens=base + 1,
        thinking_tokens=base / 2,
        confidence=np.array([[-0.1, np.nan], [0.5, 1.0], [np.nan, 0.0]]),
        verification=np.array([[0.25, np.nan], [np.nan, 1.0], [0.0, 0.5]]),
        samples=np.stack([base, base / 3, base - np.nan, base + 1], axis=-1),
    )


def pool() -> Pool:
    return Pool(
        ("a", "b/ü"),
        np.array([0.1, 2.0]),
        np.array([0.4, 8.0]),
        np.array([np.nan, 70.0]),
        ("first", "second"),
        small="a",
        large="b/ü",
    )


def users() -> Users:
    asked = np.array([[True, False], [True, True], [False, True]])
    return Users(texts("u1", "ü2"), np.array([0.1, 1 / 3]), asked)


def answers() -> Bought:
    return Bought(
        asked=np.array([[True, True], [True, False], [False, True]]),
        answered=np.array([[True, False], [True, False], [False, True]]),
        response=np.array([["é", None], ["", None], [None, "b"]], dtype=object),
        final=np.array([["E", None], [None, None], [None, "B"]], dtype=object),
        **{
            name: np.array([[0.1, np.nan], [1 / 3, np.nan], [np.nan, 2.0]])
            for name in (
                "input_tokens",
                "output_tokens",
                "cost",
                "latency",
                "confidence",
                "verification",
            )
        },
    )


def same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert b.flags.writeable
        elif hasattr(a, "__dataclass_fields__"):
            same(a, b)
        else:
            assert a == b, field.name


def test_whole_tables(tmp_path: Path) -> None:
    table = Table(queries(), outcomes(), pool(), users(), answers())
    for record in (table, table.queries, table.outcomes, table.pool):
        assert all(getattr(record, f.name) is not None for f in fields(record)), "test all fields"
    arrow_io.write_table(tmp_path / "t.arrow", table)
    same(table, arrow_io.read_table(tmp_path / "t.arrow"))


def test_bought_answers(tmp_path: Path) -> None:
    arrow_io.write_record(tmp_path / "b.arrow", answers())
    same(answers(), arrow_io.read_record(tmp_path / "b.arrow", Bought))


def test_bare_tables(tmp_path: Path) -> None:
    score = np.array([[0.0, 1.0]])
    table = Table(Queries(texts("q")), Outcomes(score, np.zeros((1, 2), np.int8)), Pool(("a", "b")))
    arrow_io.write_table(tmp_path / "t.arrow", table)
    same(table, arrow_io.read_table(tmp_path / "t.arrow"))


@pytest.mark.parametrize("rows", [[2], [0, 2], []])
def test_repeated_answers_of_some_rows(tmp_path: Path, rows: list[int]) -> None:
    table = Table(queries(), outcomes(), pool())
    at = np.array(rows, dtype=np.int64)
    part = Table(table.queries.take(at), table.outcomes.take(at), table.pool)
    assert part.outcomes.samples is not None
    assert part.outcomes.samples.shape == (len(rows), 2, 4)
    arrow_io.write_table(tmp_path / "t.arrow", part)
    same(part, arrow_io.read_table(tmp_path / "t.arrow"))


def test_repeated_answers_in_any_memory_order(tmp_path: Path) -> None:
    samples = np.arange(24.0).reshape(3, 2, 4)
    moved = np.ascontiguousarray(samples.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert not moved.flags.c_contiguous
    table = Table(queries(), replace(outcomes(), samples=moved), pool())
    arrow_io.write_table(tmp_path / "t.arrow", table)
    read = arrow_io.read_table(tmp_path / "t.arrow").outcomes.samples
    np.testing.assert_array_equal(read, samples)


def test_queries_and_decisions(tmp_path: Path) -> None:
    arrow_io.write_queries(tmp_path / "q.arrow", queries())
    same(queries(), arrow_io.read_queries(tmp_path / "q.arrow"))
    usage = Usage(np.ones(3), np.zeros(3), np.array([0.1, np.nan, 0.3]))
    whole = Decisions(
        choice=np.array([0, 2, 1]),
        quality=np.arange(9.0).reshape(3, 3),
        confidence=np.array([0.0, 0.5, 1.0]),
        policy=texts("p", "q", "p"),
        reason=texts("", "because", "ß"),
        usage=usage,
        asked=np.array([[1, 0, 0], [0, 1, 2], [1, 1, 1]], dtype=np.int8),
    )
    for decisions in (whole, Decisions(np.array([1, 0, 0])), Decisions(whole.choice, usage=usage)):
        arrow_io.write_decisions(tmp_path / "d.arrow", decisions)
        same(decisions, arrow_io.read_decisions(tmp_path / "d.arrow"))


def test_no_rows(tmp_path: Path) -> None:
    none = queries().take(np.array([], dtype=np.int64))
    arrow_io.write_queries(tmp_path / "q.arrow", none)
    again = arrow_io.read_queries(tmp_path / "q.arrow")
    assert len(again) == 0
    assert again.embedding is not None
    assert again.embedding.shape == (0, 4)


def test_a_part_carries_nothing_of_the_rest(tmp_path: Path) -> None:
    """Bytes of rows that were left out are not in the file; an Arrow slice would bring them."""
    number = 0.123456789012345  # its bytes are as good as a secret
    all_texts = texts(*(f"{SECRET} {i}" if i >= 50 else f"query {i}" for i in range(100)))
    score = np.full((100, 2), 0.5)
    score[50:] = number
    every = Queries(all_texts, user=all_texts, preference=score[:, 0].copy())
    samples = np.repeat(score[..., None], 3, axis=-1)
    state = np.zeros((100, 2), np.int8)
    table = Table(every, Outcomes(score, state, samples=samples), Pool(("a", "b")))
    path = tmp_path / "t.arrow"

    def leaks() -> tuple[bool, bool]:
        raw = path.read_bytes()
        return SECRET.encode() in raw, np.float64(number).tobytes() in raw

    arrow_io.write_table(path, table)
    assert leaks() == (True, True), "or the search below proves nothing"
    rows = np.arange(50)
    part = Table(table.queries.take(rows), table.outcomes.take(rows), table.pool)
    arrow_io.write_table(path, part)
    assert leaks() == (False, False)
    # Even where the arrays handed over are views of longer ones.
    view = Table(
        Queries(all_texts[:50], user=all_texts[:50], preference=score[:50, 0]),
        Outcomes(score[:50], state[:50], samples=samples[:50]),
        table.pool,
    )
    arrow_io.write_table(path, view)
    assert leaks() == (False, False)
    same(part, arrow_io.read_table(path))


@pytest.mark.parametrize("column", ["query", "response"])
def test_hidden_columns_do_not_travel(tmp_path: Path, column: str) -> None:
    from routebench.data.long_table import from_long

    table = {
        "query_id": [f"id-{SECRET}", f"id-{SECRET}"],
        "query": ["what is it", "what is it"],
        "model": ["a", "b"],
        "score": [1.0, 0.0],
        "reference": [f"reference {SECRET}"] * 2,
        "task": [f"task {SECRET}"] * 2,
        "topic": [f"topic {SECRET}"] * 2,
        "split": ["train", "train"],
    }
    if column == "response":
        table["response"] = [f"answer {SECRET}", None]
    data = from_long(pa.table(table), name="t", source="recorded", place="t")
    assert SECRET in data.ids[0]
    arrow_io.write_table(tmp_path / "t.arrow", data.table(np.array([0])))
    arrow_io.write_queries(tmp_path / "q.arrow", data.queries.show(data.visible))
    for name in ("t.arrow", "q.arrow"):
        raw = (tmp_path / name).read_bytes()
        assert b"what is it" in raw
        assert SECRET.encode() not in raw
