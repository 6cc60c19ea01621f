from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import planted, recovered, small_table

from routebench.data.long_table import from_long
from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.records import Objective, Queries, Table
from routebench.routers.sampling import sample
from routebench_routers.knn import KNN

NAN = np.nan
ANGLES = {"east": 0, "east too": 0, "nearly east": 10, "north": 90, "west": 180}


class Compass:
    """An encoder on the plane: what a text means is where it points."""

    dimension = 2
    fingerprint = "compass"

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        angles = np.radians([ANGLES[text.rstrip(" 0123456789")] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def save(self, folder: Path) -> None:
        raise AssertionError("not saved here")


def fitted(train: Table, k: int | None, validation: Table | None = None, **weights: float) -> KNN:
    router = KNN(KNN.Options(k=k))
    context = Context(0, Compass(), Path(), objective=Objective(**weights))
    router.fit(train, validation or train, context)
    return router


def ask(router: KNN, *texts: str) -> Any:
    return router.route(Queries(np.array(texts, dtype=object)))


def test_by_hand() -> None:
    train = small_table([[1, 0], [1, 0], [0, 1]], ["east", "nearly east", "west"])
    decisions = ask(fitted(train, 1), "east", "west")
    assert decisions.choice.tolist() == [0, 1]
    np.testing.assert_allclose(decisions.quality, [[1, 0], [0, 1]])
    np.testing.assert_allclose(decisions.confidence, [1, 1])
    np.testing.assert_allclose(ask(fitted(train, 3), "west").confidence, [2 / 3])
    np.testing.assert_allclose(ask(fitted(train, 3), "west").quality, [[2 / 3, 1 / 3]])
    np.testing.assert_allclose(ask(fitted(train, 99), "west").quality, [[2 / 3, 1 / 3]])


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 1, 0]])
def test_neighbours_tied_with_the_last_all_count(order: list[int]) -> None:
    score = np.array([[1, 0], [0, 0.5], [0, 1]])[order]
    texts = np.array(["east", "east too", "north"])[order].tolist()
    decisions = ask(fitted(small_table(score, texts), 1), "nearly east")
    np.testing.assert_allclose(decisions.quality, [[0.5, 0.25]])


def test_ties_in_quality() -> None:
    texts = ["east", "west"]
    assert ask(fitted(small_table([[1, 1], [0, 0]], texts), 1), "east").choice.tolist() == [0]
    priced = small_table([[1, 1], [0, 0]], texts, cost=[2, 1])
    assert ask(fitted(priced, 1), "east").choice.tolist() == [1]


def test_missing_cells() -> None:
    train = small_table(
        [[0.5, NAN, NAN], [0.5, 1, NAN], [0, 0.5, NAN]], ["east", "east too", "west"]
    )
    decisions = ask(fitted(train, 1), "east", "west")
    # Ten more neighbours with the training means 1/3 and 3/4; c is nowhere, and never chosen.
    east = [(0.5 + 0.5 + 10 / 3) / 12, (1 + 7.5) / 11, 0]
    west = [(0 + 10 / 3) / 11, (0.5 + 7.5) / 11, 0]
    np.testing.assert_allclose(decisions.quality, [east, west])
    assert decisions.choice.tolist() == [1, 1]
    alone = small_table([[0.5, NAN], [0.1, 0.8]], ["east", "west"])
    np.testing.assert_allclose(ask(fitted(alone, 1), "east").quality, [[(0.5 + 3) / 11, 0.8]])


def test_cost_in_the_objective_makes_the_cheap_model_win() -> None:
    train = small_table([[0.6, 0.8], [0.1, 0.9]], ["east", "west"], cost=[1, 3])
    choices = [
        ask(fitted(train, 1, performance=1, cost=weight), "east", "west").choice.tolist()
        for weight in (0, 0.5, 1)
    ]
    assert choices == [[1, 1], [0, 1], [0, 0]]


def test_k_is_tuned_on_validation() -> None:
    """One neighbour more would mislead; on validation that shows."""
    texts = ["east"] * 5 + ["west"] * 5
    train = small_table([[1, 0]] * 5 + [[0, 1]] * 4 + [[0, 0.9]], texts)
    tuned = fitted(train, None, small_table([[1, 0], [0, 1]], ["east", "west"]))
    assert ask(tuned, "east", "west").choice.tolist() == [0, 1]
    smooth = fitted(train, None, small_table([[1, 0]], ["west"]))
    np.testing.assert_allclose(ask(smooth, "west").quality, [[0.5, 0.49]])


def test_k_is_tuned_on_a_sample_of_a_large_validation() -> None:
    """What is not in the sample has no say, whatever order the queries are in."""
    texts = [f"{point} {i}" for i in range(40) for point in ("east", "west")]
    train = small_table([[0.9, 0]] * 5 + [[0, 1]] * 5, ["east"] * 5 + ["west"] * 5)
    misleading = small_table(np.tile([[0, 1], [1, 0]], (40, 1)), texts)
    kept = set(sample(misleading, 20).queries.text)
    right = {"east": [1, 0], "west": [0, 1]}
    rows = [right[text.split()[0]] if text in kept else [0, 1] for text in texts]
    for order in (range(80), range(79, -1, -1)):
        validation = small_table([rows[i] for i in order], [texts[i] for i in order])
        router = KNN(KNN.Options(tuning_queries=20))
        router.fit(train, validation, Context(0, Compass(), Path()))
        assert router.k == 5
        router = KNN(KNN.Options())
        router.fit(train, validation, Context(0, Compass(), Path()))
        assert router.k == 10, "everyone prefers the second model"


def test_the_planted_rule_is_found() -> None:
    data = from_long(planted(600), name="t", source="recorded", place="t")
    assert recovered("knn", data) > 0.8
    assert recovered("knn", data, k=10) > 0.8


def test_a_loaded_router_decides_alike(tmp_path: Path) -> None:
    texts = [f"{word} {i}" for i in range(20) for word in ("red", "blue")]
    train = small_table([[1, 0], [0, 1]] * 20, texts, cost=[1, NAN])
    router = KNN(KNN.Options(k=3))
    router.fit(train, train, Context(0, FittedOnUse("tfidf-svd", {}, texts), tmp_path))
    router.save(tmp_path / "state")
    again = KNN(KNN.Options(k=3))
    again.load(tmp_path / "state")
    for queries in (["red thing", "blue thing", "neither"], ["blue"]):
        one, other = ask(router, *queries), ask(again, *queries)
        np.testing.assert_array_equal(one.choice, other.choice)
        np.testing.assert_allclose(one.quality, other.quality, atol=1e-7)
    assert ask(again, "red thing", "blue thing").choice.tolist() == [0, 1]


def test_validation_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    encode = Compass.encode

    def counted(self: Compass, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        asked.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(Compass, "encode", counted)
    train = small_table([[1, 0], [1, 0], [0, 1]], ["east", "nearly east", "west"])
    router = fitted(train, None, small_table([[1, 0], [0, 1]], ["east", "west"]))
    assert asked == [3, 2]
    again = fitted(train, router.k, small_table([[1, 0], [0, 1]], ["east", "west"]))
    assert asked == [3, 2, 3, 2]
    assert router.confidence == again.confidence
    one, other = (ask(each, "east", "west").quality for each in (router, again))
    np.testing.assert_array_equal(one, other)
