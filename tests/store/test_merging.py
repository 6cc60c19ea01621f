"""Stores merged: every answer once, whatever was paid counted, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores import calls, filled, questions, reply

from routebench.errors import DataError
from routebench.hookspecs import StoredQuestion
from routebench.records import Grade, Reply
from routebench.store.merging import merge_stores
from routebench.store.store import AnswerStore

Main = Callable[..., tuple[int, str, str]]
COLLECT = ("collect", "--suite", "simpleqa", "--source", "embedded", "--quiet", "--limit", 60)


def rows(path: Path) -> list[dict[str, Any]]:
    with AnswerStore(path, write=False) as store:
        table = store.table("simpleqa").to_pylist()
    return sorted(table, key=lambda row: (row["query_id"], row["model"]))


def part(path: Path, first: int, last: int) -> None:
    """Write a store of some questions, all answered and graded."""
    asked = questions(6)[first:last]
    with AnswerStore(path) as store:
        store.add("simpleqa", asked, calls(asked))
        for call in store.claim(100):
            store.settle(call.key, reply(call), cost=0.001, price_id="list", latency=0.5)
        for answer in store.ungraded("exact"):
            store.grade("exact", answer, 1.0, Grade.CORRECT)


def test_parts_are_the_whole(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.sqlite" for name in ("one", "two", "whole", "merged")]
    part(paths[0], 0, 2)
    part(paths[1], 2, 6)
    part(paths[2], 0, 6)
    merge_stores(paths[:2], paths[3])
    assert rows(paths[3]) == rows(paths[2])
    with AnswerStore(paths[3]) as merged, AnswerStore(paths[2]) as whole:
        assert merged.spent() == whole.spent() == pytest.approx(0.012)
        assert merged.counts() == whole.counts()
        assert merged.judges("simpleqa") == ("exact",)
        assert merged.check() == []
        again = questions(6)
        assert merged.add("simpleqa", again, calls(again)).new == 0


def test_what_was_paid_twice_counts_twice_and_a_store_merged_again_adds_nothing(
    tmp_path: Path,
) -> None:
    one, two, out = (tmp_path / f"{name}.sqlite" for name in ("one", "two", "out"))
    part(one, 0, 2)
    part(two, 1, 3)
    for paths in ([one, two], [two, one, one]):
        merge_stores(paths, out)
        with AnswerStore(out) as store:
            assert store.counts()["answered"] == 6
            assert store.spent() == pytest.approx(0.008)


def test_an_answer_comes_before_a_failure_and_both_before_nothing(tmp_path: Path) -> None:
    one, two, out = (tmp_path / f"{name}.sqlite" for name in ("one", "two", "out"))
    asked = questions(3)
    with AnswerStore(one) as store:
        store.add("simpleqa", asked, calls(asked, ["small"]))
        first, second, _ = store.claim(3)
        store.fail(first.key, "server", "busy")
        store.fail(second.key, "server", "busy")
        store.release()
    with AnswerStore(two) as store:
        store.add("simpleqa", asked, calls(asked, ["small"]))
        (call,) = store.claim(1)
        assert call.key == first.key
        store.settle(call.key, Reply("yes", reasoning="because"), cost=0.001)
    for order in ([one, two], [two, one]):
        out.unlink(missing_ok=True)
        merge_stores(order, out)
        with AnswerStore(out) as store:
            found = store.counts()
            assert {k: found[k] for k in ("answered", "failed", "pending", "in_flight")} == {
                "answered": 1,
                "failed": 1,
                "pending": 1,
                "in_flight": 0,
            }
            assert store.spent() == pytest.approx(0.001)


def test_another_question_under_the_same_id_is_an_error(tmp_path: Path) -> None:
    one, two, out = (tmp_path / f"{name}.sqlite" for name in ("one", "two", "out"))
    filled(one, 1).close()
    other = [StoredQuestion("q0", "What else?", "What else?", "nothing")]
    with AnswerStore(two) as store:
        store.add("simpleqa", other, calls(other))
    with pytest.raises(DataError, match=r"two.sqlite: question 'q0' of simpleqa has another text"):
        merge_stores([one, two], out)
    with AnswerStore(out) as store:
        assert store.counts()["answered"] == 2


def test_shards_of_a_collection_are_the_collection(main: Main, tmp_path: Path) -> None:
    models = ("--models", "simulated:sim-flash,simulated:sim-pro")
    words = (*COLLECT, *models, "--store", tmp_path / "a.sqlite")
    for index in range(3):
        code, out, said = main(*words, "--shard", f"{index}/3")
        assert code == 0, out + said
    parts = sorted(tmp_path.glob("a.*-of-3.sqlite"))
    assert [path.name for path in parts] == [f"a.{index}-of-3.sqlite" for index in range(3)]
    code, out, _ = main("merge", *parts, "--out", tmp_path / "merged.sqlite")
    assert code == 0
    assert out.startswith(f"{tmp_path / 'merged.sqlite'}: 120 answers, 0 failed, 0 to be asked, ")
    code, out, _ = main(*words)
    assert code == 0
    untimed = [
        [{k: v for k, v in row.items() if k != "latency_s"} for row in rows(tmp_path / name)]
        for name in ("merged.sqlite", "a.sqlite")
    ]
    assert len(untimed[0]) == 120
    assert untimed[0] == untimed[1]
    merged = ("--store", tmp_path / "merged.sqlite", "--dry-run", "--json")
    code, out, _ = main(*COLLECT, *models, *merged)
    assert code == 0
    assert [model["known"] for model in json.loads(out)["models"]] == [60, 60]


def test_what_is_no_store_is_an_error(main: Main, tmp_path: Path) -> None:
    (tmp_path / "no.sqlite").write_text("hello, this is no database at all, but a text")
    code, _, said = main("merge", tmp_path / "no.sqlite", "--out", tmp_path / "out.sqlite")
    assert code == 2
    assert "no.sqlite: is not a store of answers" in said
    assert not (tmp_path / "out.sqlite").exists()
