from __future__ import annotations

import numpy as np
import pytest

from routebench.records import Floats
from routebench_routers import nearest
from routebench_routers.neighbours import Neighbours

KS = [1, 3, 7, 20, 60, 99]


def vectors(rng: np.random.Generator, n: int, kind: str) -> Floats:
    """Unit vectors; `tied` has many equal ones, `empty` many of length 0.

    Those that are `close` differ by less than float32 can tell.
    """
    found: Floats = rng.normal(size=(n, 5))
    if kind == "close":
        found = np.repeat(found[:3], -(-n // 3), axis=0)[:n] + 1e-8 * found
    elif kind != "distinct":
        found = np.round(found)
    if kind == "empty":
        found[: n // 2] = 0
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1))


def one_by_one(train: Floats, scores: Floats, query: Floats, k: int) -> Floats:
    """All neighbours as similar as the k-th count, ten more where cells are missing."""
    similarity = np.array([query @ each for each in train])
    near = similarity >= sorted(similarity, reverse=True)[min(k, len(train)) - 1] - 1e-9
    if not np.isnan(scores).any():
        return np.asarray(scores[near].mean(axis=0), dtype=np.float64)
    known, prior = np.isfinite(scores[near]), np.nanmean(scores, axis=0)
    return (np.nansum(scores[near], axis=0) + 10 * prior) / (known.sum(axis=0) + 10)


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["distinct", "close", "tied", "empty"])
def test_all_ks_are_as_by_sorting(kind: str, missing: float) -> None:
    rng = np.random.default_rng(0)
    train, asked = vectors(rng, 60, kind), vectors(rng, 25, kind)
    scores = rng.random((60, 3))
    scores[rng.random(scores.shape) < missing] = np.nan
    predicted = Neighbours.of(train, scores).predict(asked, KS)
    for k, quality in zip(KS, predicted, strict=True):
        expected = [one_by_one(train, scores, query, k) for query in asked]
        np.testing.assert_allclose(quality, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["distinct", "close", "tied"])
def test_one_k_blocks_and_single_queries_give_the_same_bits(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    asked = vectors(rng, 40, kind)
    trained = Neighbours.of(vectors(rng, 60, kind), rng.random((60, 3)))
    together = trained.predict(asked, KS)
    for k, quality in zip(KS, together, strict=True):
        np.testing.assert_array_equal(trained.predict(asked, [k])[0], quality)
        single = [trained.predict(asked[[row]], [k])[0] for row in range(len(asked))]
        np.testing.assert_array_equal(np.concatenate(single), quality)
    monkeypatch.setattr(nearest, "_ROWS", 7)
    np.testing.assert_array_equal(trained.predict(asked, KS), together)


@pytest.mark.parametrize("most", [2**22, 300])
@pytest.mark.parametrize("kind", ["distinct", "close", "tied", "empty"])
def test_blocks_of_the_training_queries_change_nothing(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    trained = Neighbours.of(vectors(rng, 900, kind), rng.random((900, 3)))
    asked = vectors(rng, 40, kind)
    together = trained.predict(asked, [9, 2])
    monkeypatch.setattr(nearest, "_CELLS", 40 * 20)  # in 45 blocks
    monkeypatch.setattr(nearest, "_MOST", most)
    np.testing.assert_array_equal(trained.predict(asked, [9, 2]), together)


def test_where_all_are_tied_few_queries_are_searched_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest, "_MOST", 250)
    found = list(nearest.Index(np.ones((100, 2))).nearest(np.zeros((10, 2)), [3]))
    sizes = [rows.stop - rows.start for rows, _ in found]
    assert sizes[:2] == [2, 1]
    assert max(sizes) <= 2
    assert all(near.nnz == 100 * near.shape[0] for _, (near,) in found)


def test_vectors_that_float32_takes_for_equal_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    train, asked = vectors(rng, 500, "close"), vectors(rng, 30, "close")
    monkeypatch.setattr(nearest, "_PAIRS", 100)
    ((_, found),) = nearest.Index(train).nearest(asked, [40, 7])
    for k, near in zip([40, 7], found, strict=True):
        similarity = asked @ train.T
        kth = np.sort(similarity, axis=1)[:, [-k]]
        np.testing.assert_array_equal(near.toarray() > 0, similarity >= kth - 1e-9)
        assert (near.sum(axis=1) < 80).all()  # float32 alone would have a third of all


def test_no_query_has_no_prediction() -> None:
    trained = Neighbours.of(np.eye(3), np.ones((3, 2)))
    assert [quality.shape for quality in trained.predict(np.zeros((0, 3)), [1, 3])] == [(0, 2)] * 2
