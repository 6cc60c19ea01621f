from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routebench.data.long_table import from_long
from routebench.data.splits import fold_split, given_split, hash_split, make_split, u
from routebench.errors import DataError, OptionError
from routebench.records import SuiteData

STEM = (
    "in which year did the old council of the northern province decide to build the long stone"
    " bridge over the river near the market town of alden after "
)
LLMROUTER = Path(__file__).resolve().parents[3] / "shared" / "data" / "llmrouter"


def suite(texts: list[str], split: Sequence[str | None] | None = None) -> SuiteData:
    n = len(texts)
    columns = {
        "query_id": [f"q{i}" for i in range(n) for _ in "ab"],
        "query": [text for text in texts for _ in "ab"],
        "model": ["a", "b"] * n,
        "score": [1.0, 0.0] * n,
    }
    if split is not None:
        columns["split"] = [part for part in split for _ in "ab"]
    return from_long(pa.table(columns), name="tiny", source="recorded", place="tiny.csv")


def many(n: int) -> SuiteData:
    return suite([f"question number {i}" for i in range(n)])


def code_of(data: SuiteData, codes: np.ndarray) -> dict[str, int]:
    return dict(zip(data.queries.text.tolist(), codes.tolist(), strict=True))


def test_u_is_the_documented_hash() -> None:
    digest = hashlib.sha256(b"3:who wrote emma?").digest()
    assert u("Who wrote  EMMA?", 3) == int.from_bytes(digest[:8], "big") / 2**64
    assert u("Who wrote Emma?", 3) != u("Who wrote Emma?", 4)


def test_hash_shares() -> None:
    shares = np.bincount(hash_split(many(4_000), 0)[0], minlength=3) / 4_000
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.025)
    other = np.bincount(hash_split(many(4_000), 0, (0.5, 0.1, 0.4))[0], minlength=3) / 4_000
    assert other == pytest.approx([0.5, 0.1, 0.4], abs=0.025)


def test_hash_follows_u() -> None:
    data = many(300)
    place = np.array([u(text, 5) for text in data.queries.text])
    expected = np.where(place < 0.6, 0, np.where(place < 0.8, 1, 2))
    assert hash_split(data, 5)[0].tolist() == expected.tolist()


def test_adding_rows_moves_none() -> None:
    small, large = many(200), many(500)
    before, after = code_of(small, hash_split(small, 1)[0]), code_of(large, hash_split(large, 1)[0])
    assert {text: after[text] for text in before} == before
    before = code_of(small, fold_split(small, 4, 1)[2])
    after = code_of(large, fold_split(large, 4, 1)[2])
    assert {text: after[text] for text in before} == before


def test_shares_must_add_up() -> None:
    with pytest.raises(OptionError, match="do not add up to 1"):
        hash_split(many(3), 0, (0.5, 0.2, 0.2))


def test_folds_test_every_query_once() -> None:
    codes = fold_split(many(500), 5, 0)
    assert codes.shape == (5, 500)
    assert ((codes == 2).sum(axis=0) == 1).all()
    assert ((codes == 1).sum(axis=0) == 1).all()
    assert (codes[0] == 1).tolist() == (codes[1] == 2).tolist()
    assert (codes[4] == 1).tolist() == (codes[0] == 2).tolist()


def test_given_names() -> None:
    parts: list[str | None] = ["train", "Validation", "val", "valid", "dev", " test "]
    data = suite([f"text {i}" for i in range(6)], parts)
    found = code_of(data, given_split(data, 0)[0])
    assert [found[f"text {i}"] for i in range(6)] == [0, 1, 1, 1, 1, 2]


def test_given_without_validation_takes_a_fifth_of_train() -> None:
    texts = [f"text {i}" for i in range(2_000)]
    data = suite(texts, ["train"] * 1_500 + ["test"] * 500)
    codes = given_split(data, 0)[0]
    assert (codes == 2).sum() == 500
    assert (codes == 1).sum() == pytest.approx(300, abs=50)
    place = np.array([u(text, 0) for text in data.queries.text])
    assert (codes[codes != 2] == 1).tolist() == (place[codes != 2] < 0.2).tolist()


def test_unknown_split_names_value_and_hint() -> None:
    data = suite(["one", "two", "three"], ["train", "tets", "validation"])
    with pytest.raises(DataError, match="query 'q1' has the unknown split 'tets'") as caught:
        make_split(data)
    assert caught.value.hint == "did you mean test?"


def test_missing_split_value_is_an_error() -> None:
    data = suite(["one", "two", "three"], ["train", None, "validation"])
    with pytest.raises(DataError, match="query 'q1' has no split"):
        make_split(data)


def test_given_needs_a_column() -> None:
    with pytest.raises(DataError, match="no split of its own") as caught:
        make_split(many(50), "given")
    assert "--split hash" in caught.value.hint


def test_auto() -> None:
    texts = [f"text {i}" for i in range(60)]
    given = suite(texts, (["train"] * 2 + ["val", "test"]) * 15)
    assert make_split(given).kind == "given"
    assert make_split(given, "hash").kind == "hash"
    assert make_split(given, "given", folds=3).kind == "folds"
    assert make_split(suite(texts)).kind == "hash"


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_part_without_queries(missing: str) -> None:
    parts = [p for p in ("train", "validation", "test") if p != missing] * 2
    if missing == "validation":  # one train row that the hash leaves in train
        parts = ["train", "test"]
        texts = [next(t for t in (f"t{i}" for i in range(99)) if u(t, 0) >= 0.2), "x"]
    else:
        texts = ["a", "b", "c", "d"]
    with pytest.raises(DataError, match=f"the given split has no {missing} queries"):
        make_split(suite(texts, parts))


def test_too_few_queries_for_folds() -> None:
    with pytest.raises(DataError, match=r"fold \d of the split has no"):
        make_split(suite(["a", "b"]), folds=3)
    with pytest.raises(OptionError, match="2 is too few"):
        make_split(many(50), folds=2)


def test_leaks_are_removed_from_the_earlier_part() -> None:
    near = STEM
    texts_and_parts: list[tuple[str, str | None]] = [
        ("Exact in train", "train"),
        ("exact  IN train", "test"),
        (near + "it", "validation"),
        (near + "it?", "test"),
        ("val and train", "train"),
        ("Val and train", "validation"),
        ("kept train", "train"),
        ("kept validation", "validation"),
        ("kept test", "test"),
        ("in test twice", "test"),
        ("In test twice", "test"),
    ]
    texts, parts = (list(column) for column in zip(*texts_and_parts, strict=True))
    data = suite(texts, parts)
    split = make_split(data)
    found = code_of(data, split.codes[0])
    expected = [-1, 2, -1, 2, -1, 1, 0, 1, 2, 2, 2]
    assert [found[text] for text in texts] == expected
    assert (split.leaked, split.removed) == (2, 3)


def test_leaks_are_summed_over_folds() -> None:
    texts = [f"question {i} of many" for i in range(60)]
    one = STEM + "it"
    # Two near texts in neighbouring parts meet in every fold of three, once as test and
    # validation, once as train and test, once as validation and train.
    other = next(
        text
        for text in (STEM + f"it{mark}" for mark in "?!.,;:-_/()[]{}<>=+*&%$#@~^|")
        if int(u(text, 0) * 3) == (int(u(one, 0) * 3) + 1) % 3
    )
    split = make_split(suite([*texts, one, other]), folds=3)
    assert (split.leaked, split.removed) == (2, 3)


def test_fingerprint_follows_the_codes() -> None:
    data = many(200)
    assert make_split(data, seed=1).fingerprint == make_split(many(200), seed=1).fingerprint
    prints = {make_split(data, seed=s).fingerprint for s in range(3)}
    prints.add(make_split(data, folds=3).fingerprint)
    assert len(prints) == 4
    assert all(len(p) == 16 for p in prints)


@pytest.mark.skipif(not LLMROUTER.exists(), reason="shared/data is not here")
def test_recorded_split_leaks_and_is_repaired() -> None:
    table = pq.read_table(LLMROUTER / "outcomes.parquet")
    data = from_long(table, name="llmrouter", source="recorded", place="outcomes.parquet")
    split = make_split(data)
    assert split.kind == "given"
    assert (split.leaked, split.removed) == (119, 120)
    codes = split.codes[0]
    assert (codes == 2).sum() == 500
    tested = set(data.text_hash[codes == 2])
    assert not tested & set(data.text_hash[(codes == 0) | (codes == 1)])
