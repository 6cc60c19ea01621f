"""`routebench oracle`: its file, its tables, and what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import long_table, noise
from runs import finish, graded, price_list, put

from routebench.data.texts import text_hash

Main = Callable[..., tuple[int, str, str]]


def words(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_it_is_made_of_the_train_part_alone(main: Main, tmp_path: Path) -> None:
    suite, prices = put(tmp_path / "data", graded(200)), price_list(tmp_path)
    out = tmp_path / "oracle.jsonl"
    code, told, err = main(
        "oracle", "--suite", suite, "--judge", "exact", "--prices", prices,
        "--medium", "a", "--large", "d", "--split-seed", 3, "--out", out,
    )  # fmt: skip
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    run = finish(
        tmp_path / "run",
        suite=suite,
        judge="exact",
        prices=prices,
        router=("random",),
        split_seed=3,
        max_missing=0.5,
    )
    cells = {(c["query"], c["model"]): c for c in pq.read_table(run / "cells.parquet").to_pylist()}
    train = {query for (query, _), cell in cells.items() if cell["parts"] == "train"}
    asked = {row["query"] for row in rows}
    assert asked < train  # some calls have failed
    assert asked == {q for q in train if all(cells[q, m]["state"] == "ok" for m in "ad")}
    for row in rows:
        cell = cells[row["query"], "a"], cells[row["query"], "d"]
        assert row["cell"] == f"{cell[0]['grade']}/{cell[1]['grade']}"
        assert row["query_id"] == cell[0]["query_id"]
        assert row["text_sha256"] == cell[0]["text_sha256"] == text_hash(row["text"])
        assert (row["medium"], row["large"]) == ("a", "d")
    # What is printed is what is in the file.
    assert f"{len(rows)} of {len(train)} training queries" in told
    counts = Counter((row["medium_grade"], row["large_grade"]) for row in rows)
    names = ("CORRECT", "INCORRECT", "NOT_ATTEMPTED")
    table = {
        line[0]: [int(n) for n in line[1::2]]
        for line in words(told)
        if line[:1] and line[0] in names[1:]
    }
    assert len(table) == 2
    for medium in names[1:]:
        assert table[medium] == [counts[medium, large] for large in names]
    share = Counter(row["policy"] for row in rows)["complex"] / len(rows)
    assert f"complex {share:.1%}" in told
    right = np.mean([row["medium_grade"] == "CORRECT" for row in rows])
    assert f"a {right:.1%} correct" in told


def test_parquet_and_jsonl_say_the_same(main: Main, tmp_path: Path) -> None:
    suite = put(tmp_path / "data", noise(60))
    for ending in ("parquet", "jsonl"):
        code, _, err = main("oracle", "--suite", suite, "--medium", "b", "--large", "a", "--out",
                            tmp_path / f"o.{ending}")  # fmt: skip
        assert (code, err) == (0, "")
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert pq.read_table(tmp_path / "o.parquet").to_pylist() == [json.loads(x) for x in lines]
    assert {json.loads(line)["medium"] for line in lines} == {"b"}


def test_folds_have_their_own(main: Main, tmp_path: Path) -> None:
    suite = put(tmp_path / "data", noise(90))
    found = []
    for fold in range(3):
        out = tmp_path / f"{fold}.jsonl"
        code, _, _ = main("oracle", "--suite", suite, "--medium", "a", "--large", "b", "--folds", 3,
                          "--fold", fold, "--out", out)  # fmt: skip
        assert code == 0
        found.append({json.loads(line)["query"] for line in out.read_text().splitlines()})
    # With three folds a query is trained on in exactly one of them.
    assert not found[0] & found[1] | found[1] & found[2] | found[0] & found[2]
    assert len(found[0] | found[1] | found[2]) == 90


def test_a_policy_that_is_nowhere_is_told(main: Main, tmp_path: Path) -> None:
    score = np.tile([1.0, 0.0], (40, 1))
    suite = put(tmp_path / "data", long_table(score, [f"query number {i}" for i in range(40)]))
    code, told, _ = main("oracle", "--suite", suite, "--medium", "a", "--large", "b", "--out",
                         tmp_path / "o.jsonl")  # fmt: skip
    assert code == 0
    assert "standard 100.0%" in told
    assert "no training query is complex" in told


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--medium", "z", "--large", "a"], "medium: no model 'z' in this pool"),
        (["--medium", "a", "--large", "a"], "medium: a is the large model too"),
        ([], "medium: not named, and without prices it cannot be found"),
        (["--medium", "a"], "large: not named"),
        (["--fold", "1", "--medium", "a", "--large", "b"], "--fold 1: there are 1"),
        (["--folds", "2", "--medium", "a", "--large", "b"], "--folds: "),
        (["--out", "o.csv"], "--out o.csv: it must end in .parquet or .jsonl"),
        (["--out", "no/o.jsonl"], "--out no/o.jsonl: its folder does not exist"),
        (["--prices", "no.json"], "no.json"),
    ],
)
def test_bad_input_leaves_nothing(
    main: Main, tmp_path: Path, given: list[str], message: str
) -> None:
    suite = put(tmp_path / "data", noise(40))
    out = [] if "--out" in given else ["--out", "o.jsonl"]
    code, told, err = main("oracle", "--suite", suite, *given, *out)
    assert (code, told) == (2, "")
    assert message in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 2
    assert list((tmp_path / "here").iterdir()) == []


def test_one_model_is_no_pair(main: Main, tmp_path: Path) -> None:
    suite: Any = put(tmp_path / "data", noise(40, m=1))
    code, _, err = main("oracle", "--suite", suite, "--out", "o.jsonl")
    assert code == 2
    assert "at least two models are needed" in err
