"""Files that are no store, or not any more: one clear error, and nothing lost."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyarrow.csv import read_csv
from pyarrow.json import read_json
from stores import calls, filled, questions, reply

from routebench.errors import DataError
from routebench.files import store_files
from routebench.records import Reply
from routebench.store import schema
from routebench.store.call_counts import count_calls
from routebench.store.store import AnswerStore


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file") as caught:
        AnswerStore(tmp_path / "s.sqlite", create=False)
    assert "collect" in caught.value.hint
    with pytest.raises(DataError, match="is a folder"):
        AnswerStore(tmp_path, write=False)
    assert list(tmp_path.iterdir()) == []


def test_its_folder_is_made(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "new" / "folder #1?" / "s.sqlite") as store:
        assert store.check() == []
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be made"):
        AnswerStore(tmp_path / "file" / "s.sqlite")


def other_database(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE t (a)")
    database.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("query_id,query,model\n" * 100),
        lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000),
        other_database,
    ],
    ids=["text", "damaged header", "another program's"],
)
@pytest.mark.parametrize("create", [True, False])
def test_files_that_are_no_store(
    tmp_path: Path, make: Callable[[Path], None], create: bool
) -> None:
    path = tmp_path / "s.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"s\.sqlite: is not a store of answers"):
        AnswerStore(path, create=create)
    assert path.read_bytes() == before


def test_an_empty_file_is_a_store_to_be_made(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.touch()
    with pytest.raises(DataError, match="is empty, no store"):
        AnswerStore(path, create=False)
    with filled(path) as store:
        assert store.counts()["answered"] == 6


def test_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with filled(path) as store:
        store._database.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="written by a newer RouteBench") as caught:
        AnswerStore(path)
    assert caught.value.hint == "update RouteBench"


def as_before(path: Path) -> None:
    """Make a store what the version without reasoning and confidences has written."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE traces")
        database.execute("DROP TABLE confidences")


def test_a_store_of_the_version_before(tmp_path: Path) -> None:
    """It is read as it is, and gets its table when it is written; the format stays the same."""
    path, out = tmp_path / "s.sqlite", tmp_path / "t.jsonl"
    filled(path, 3, answered=2).close()
    as_before(path)
    with AnswerStore(path, write=False) as store:
        before = store.table()
        assert store.info().states["answered"] == 2
        assert store.export(out) == 2
    assert "reasoning" not in out.read_text()
    assert count_calls(path, calls(questions(3))).states["answered"] == 2
    with AnswerStore(path) as store:
        assert store._database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        (call,) = store.claim(1)
        store.settle(call.key, Reply("yes", reasoning="Hm.", miscounted="zero"), cost=None)
        assert store.table().slice(0, 2).equals(before)
        assert store.export(out) == 3
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["reasoning"] for row in rows] == [None, None, "Hm."]
    counts = count_calls(path, calls(questions(3)))
    assert (counts.unpriced, counts.miscounted) == (1, {"zero": 1})


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_a_confidence_is_a_column_of_an_exported_file(tmp_path: Path, suffix: str) -> None:
    path, out = tmp_path / "s.sqlite", tmp_path / f"t.{suffix}"
    filled(path, 3, answered=2).close()
    as_before(path)
    with AnswerStore(path) as store:
        assert store.export(out) == 2
        assert b"confidence" not in out.read_bytes(), "nobody stated one"
        (call,) = store.claim(1)
        store.settle(call.key, Reply("yes", confidence=-0.125), cost=0.5)
        store.settle(call.key, Reply("no", confidence=-2.0), cost=0.5)
        assert store.export(out) == 3
        assert "confidence" not in store.table().column_names, "a run takes it where it is named"
    readers: dict[str, Any] = {"parquet": pq.read_table, "jsonl": read_json, "csv": read_csv}
    table = readers[suffix](out)
    assert table["confidence"].to_pylist() == [None, None, -0.125], "of the answer that is kept"


def test_two_processes_complete_an_earlier_store(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    filled(path, 3, answered=2).close()
    as_before(path)
    with AnswerStore(path) as one, AnswerStore(path) as two:
        for store in (one, two):
            (call,) = store.claim(1)
            store.settle(call.key, Reply("yes", reasoning=f"\ud800 {call.model}"), cost=0)
        assert one.export(tmp_path / "t.parquet") == 4
    table = pq.read_table(tmp_path / "t.parquet")  # type: ignore[no-untyped-call]
    assert sorted(filter(None, table["reasoning"].to_pylist())) == ["? large", "? small"]


def test_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    filled(path, 300).close()
    raw = bytearray(path.read_bytes())
    raw[8192:60_000] = b"\xa5" * (60_000 - 8192)
    path.write_bytes(raw)
    with AnswerStore(path) as store:
        assert store.check() != []
        with pytest.raises(DataError, match=r"s\.sqlite: is damaged"):
            store.table()


def ask_on(store: AnswerStore) -> None:
    """One call after another, until there are none; longer answers than usual."""
    while block := store.claim(1):
        store.settle(block[0].key, Reply(reply(block[0]).text * 30), cost=0.001)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = filled(path, 200, answered=50)
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages + 3}")
    before = store.table()
    with pytest.raises(DataError, match="the disk is full") as caught:
        ask_on(store)
    assert "make room" in caught.value.hint
    stored = store.counts()["answered"] - 50
    assert stored > 0
    assert store.spent() == round(0.001 * (50 + stored), 12)
    store.close()  # does not complain about what it cannot write either
    with AnswerStore(path) as again:  # with room again
        assert again.check() == []
        again.recover()
        assert again.counts() == {
            "pending": 350 - stored, "in_flight": 0, "answered": 50 + stored, "failed": 0
        }  # fmt: skip
        assert again.table().slice(0, 50).equals(before)
        for call in again.claim(1000):
            again.settle(call.key, reply(call), cost=0.001)
        assert again.counts()["answered"] == 400


def test_a_full_disk_while_calls_are_added(tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 3) as store:
        store._database.execute("PRAGMA max_page_count = 1")  # what there is already
        with pytest.raises(DataError, match="the disk is full"):
            store.add("simpleqa", questions(3000), calls(questions(3000)))
        assert store.counts()["answered"] == 6
        assert store.check() == []


def test_others_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY", 0.2)
    path = tmp_path / "s.sqlite"
    with filled(path, 3, answered=2) as store, filled(path, 3, answered=0) as other:
        with other.transaction():
            with pytest.raises(DataError, match="another process has been writing"):
                store.claim(1)
            assert store.counts()["answered"] == 2  # reading needs not wait
        assert len(store.claim(1)) == 1


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    filled(path, 3, answered=4).close()
    before = path.read_bytes()
    with AnswerStore(path, write=False) as store:
        assert store.table().num_rows == 4
        assert store.export(tmp_path / "t.parquet") == 4
        with pytest.raises(DataError, match="may not be written"):
            store.claim(1)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"s.sqlite", "t.parquet"}
    assert not any(file.exists() for file in store_files(path)[1:])


def test_a_store_where_nothing_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.sqlite"
    filled(path, 3).close()
    monkeypatch.setattr(schema.os, "access", lambda *_: False)  # rights do not bind root
    with AnswerStore(path, write=False) as store:
        assert store.table().num_rows == 6
        assert store.info().usd == 0.006
    assert {file.name for file in tmp_path.iterdir()} == {"s.sqlite"}
