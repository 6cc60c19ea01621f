"""`train --add`: outcomes that were bought later are learned from, and never measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import planted

from routebench.board.checkpoint import description
from routebench.data.added import with_added
from routebench.data.long_table import from_long
from routebench.data.splits import REMOVED, TEST, TRAIN, make_split
from routebench.errors import DataError
from routebench.records import State, SuiteData

Main = Callable[..., tuple[int, str, str]]
WORDS = ("--router", "knn", "--set", "tfidf-svd.dimension=8", "--quiet")


def suite(table: pa.Table, name: str = "table") -> SuiteData:
    return from_long(table, name=name, source="recorded", place=name)


def row(i: str, text: str, model: str, score: float, **more: Any) -> dict[str, Any]:
    return {"query_id": i, "query": text, "model": model, "score": score, **more}


def test_rows_are_added_to_training_alone_and_copies_of_tested_ones_are_removed() -> None:
    data = suite(planted(120, seed=3))
    before = make_split(data)
    tested = np.flatnonzero(before.codes[0] == TEST)
    copied, models = data.queries.text[tested[0]], data.pool.models
    more = suite(
        pa.Table.from_pylist(
            [
                row("q0", "a wholly new question about glaciers", models[0], 1.0),
                row("q0", "a wholly new question about glaciers", f"vendor:{models[1]}", 0.0),
                row("q1", copied, models[0], 0.0),
                row("q2", "only a stranger answered this", "stranger", 1.0),
            ]
        )
    )
    joined = with_added(data, more, "answers.sqlite")
    assert joined.added is not None
    assert len(joined) == len(data) + 2  # the stranger's is no query of the suite's models
    assert list(joined.text_hash) == sorted(joined.text_hash)
    assert len(set(joined.keys)) == len(joined)
    old = np.flatnonzero(~joined.added)
    assert list(joined.ids[old]) == list(data.ids)
    assert np.array_equal(joined.outcomes.score[old], data.outcomes.score, equal_nan=True)
    after = make_split(joined)
    assert np.array_equal(after.codes[0, old], before.codes[0])
    place = {str(name): code for name, code in zip(joined.ids, after.codes[0], strict=True)}
    assert (place["added/q0"], place["added/q1"]) == (TRAIN, REMOVED)
    at = list(joined.ids).index("added/q0")
    assert list(joined.outcomes.score[at, :2]) == [1.0, 0.0]
    assert (joined.outcomes.state[at, 2:] == State.ABSENT).all()
    assert "2 queries more (3 answers)" in joined.notes[-2]
    assert joined.notes[-1] == "models of answers.sqlite that are not used: stranger"
    given = replace(data, split=np.array(["train", "test"] * 60, dtype=object))
    codes = make_split(with_added(given, more, "a")).codes[0]
    assert codes[with_added(given, more, "a").added].max() == TRAIN


def test_what_cannot_be_added_is_said() -> None:
    data = suite(planted(40, seed=3))
    strangers = [row("q", "new", name, 1.0) for name in ("x", "y")]
    with pytest.raises(DataError, match=r"--add b\.csv: none of its models is in table"):
        with_added(data, suite(pa.Table.from_pylist(strangers)), "b.csv")


def test_training_goes_on_with_bought_answers(main: Main, tmp_path: Path) -> None:
    pq.write_table(planted(160, seed=3), tmp_path / "outcomes.parquet")
    more = planted(60, seed=9)
    ids = [f"n{name}" for name in more["query_id"].to_pylist()]
    texts = [f"{text} once again {i // 4}" for i, text in enumerate(more["query"].to_pylist())]
    more = more.set_column(0, "query_id", [ids]).set_column(1, "query", [texts])
    pq.write_table(more, tmp_path / "bought.parquet")
    made = []
    for name, words in (("plain", ()), ("more", ("--add", tmp_path / "bought.parquet"))):
        code, _, err = main(
            "train", "--suite", tmp_path / "outcomes.parquet", *WORDS, "--out", tmp_path / name,
            "--run", tmp_path / f"{name}-run", *words,
        )  # fmt: skip
        assert code == 0, err
        made.append(description.read(tmp_path / name))
    plain, added = made
    assert added.queries["train"] > plain.queries["train"]
    assert [added.queries[p] for p in ("validation", "test")] == [
        plain.queries[p] for p in ("validation", "test")
    ]
    assert added.fingerprints.outcomes != plain.fingerprints.outcomes
    assert added.fingerprint != plain.fingerprint
    assert any(note.startswith("trained on 60 queries more") for note in added.notes)
    assert "of bought.parquet, outcomes" in (tmp_path / "more" / "README.md").read_text()
    assert added.results is not None
    assert plain.results is not None
    assert added.results.n == plain.results.n
    missing = main("train", "--suite", tmp_path / "outcomes.parquet", *WORDS, "--out",
                   tmp_path / "none", "--add", tmp_path / "none.sqlite")  # fmt: skip
    assert missing[0] == 2
    assert missing[2].startswith(f"error: {tmp_path / 'none.sqlite'}: there is no such file")
