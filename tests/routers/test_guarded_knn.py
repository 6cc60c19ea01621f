"""Guarded kNN by hand: who is eligible, what is novel, and how strict validation makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import small_table

from routebench.hookspecs import Context
from routebench.plugin.options import validate
from routebench.records import Pool, Queries, Table, Vectors
from routebench_routers.guarded_knn import REASONS, GuardedKNN, _novelty

NAN = np.nan


class Compass:
    """Texts are angles in degrees."""

    dimension = 2
    fingerprint = "compass"

    def encode(self, texts: Sequence[str]) -> Vectors:
        angle = np.deg2rad([float(text.split()[0]) for text in texts])
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    def save(self, folder: Path) -> None: ...


def two_sides(n: int = 40) -> Table:
    """b, the dear one, is always right; a, the cheap one, from 0 to 40 degrees and not at 90."""
    texts = [f"{i % 40} {i}" for i in range(n)] + [f"{90 + i % 40} {i}" for i in range(n)]
    return small_table([[1, 1]] * n + [[0, 1]] * n, texts, cost=[1, 2])


def fitted(train: Table, validation: Table | None = None, **values: Any) -> GuardedKNN:
    router = GuardedKNN(validate(GuardedKNN, "guarded-knn", values))
    router.fit(train, validation or train, Context(0, Compass(), Path()))
    return router


def ask(router: GuardedKNN, *texts: str) -> tuple[list[int], list[str]]:
    found = router.route(Queries(np.array(texts, dtype=object)))
    assert found.reason is not None
    return found.choice.tolist(), found.reason.tolist()


def test_the_cheap_model_where_neighbours_show_that_it_is_no_worse() -> None:
    router = fitted(two_sides(), neighbours=20, z=0)
    assert router.baseline == 1
    assert ask(router, "10", "110") == ([0, 1], ["guarded", "uncertainty"])
    # d = 0 on twenty neighbours: the error's floor is 1 / √20, so that z = 1 takes a lead of .22.
    strict = fitted(two_sides(), neighbours=20, z=1)
    assert ask(strict, "10") == ([1], ["uncertainty"])
    lenient = fitted(two_sides(), neighbours=20, z=1, tolerance=0.25)
    assert ask(lenient, "10", "110")[0] == [0, 1]


def test_lead_and_error_by_hand() -> None:
    table = small_table([[1, 0], [0, 1], [0, 1], [0, 1]], ["0", "1", "2", "90"], cost=[1, 2])
    router = fitted(table, neighbours=3, z=0, min_pairs=2)
    _, lead, error, pairs, _ = router._compared(Queries(np.array(["0"], dtype=object)))
    assert pairs.tolist() == [[3, 3]]
    np.testing.assert_allclose(lead, [[-1 / 3, 0]])
    # d = 1, −1, −1: standard deviation √(4/3); the baseline's own is the floor, 1.
    np.testing.assert_allclose(error, [[np.sqrt(4 / 3 / 3), np.sqrt(1 / 3)]])


def test_of_the_neighbours_those_similar_enough_count() -> None:
    texts = [*map(str, range(10)), *map(str, range(60, 80))]
    table = small_table([[1, 1]] * 10 + [[0, 1]] * 20, texts, cost=[1, 2])
    assert ask(fitted(table, neighbours=30, z=0, similarity=0.0), "0")[0] == [1]
    assert ask(fitted(table, neighbours=30, z=0, similarity=0.9), "0")[0] == [0]
    few = fitted(table, neighbours=30, z=0, similarity=0.9, min_pairs=11)
    assert ask(few, "0") == ([1], ["insufficient pairs"])


def test_missing_answers_make_no_pair() -> None:
    # Of a's answers near 0 two thirds are missing: four pairs are left, all won or tied.
    scores = [[NAN if i % 3 else 1, 1] for i in range(12)] + [[0, 1]] * 40
    texts = [*map(str, range(12)), *(f"90 {i}" for i in range(40))]
    table = small_table(scores, texts, cost=[1, 2])
    assert ask(fitted(table, neighbours=12, z=0), "5") == ([1], ["insufficient pairs"])
    assert ask(fitted(table, neighbours=12, z=0, min_pairs=4), "5") == ([0], ["guarded"])


def test_what_is_like_nothing_known_is_novel() -> None:
    router = fitted(two_sides(), neighbours=20, z=0)
    assert ask(router, "250") == ([1], ["novelty"])
    vectors = np.asarray(Compass().encode(["0", "60", "61"]), dtype=np.float64)
    nearest = np.cos(np.deg2rad([60, 1, 1]))
    assert _novelty(vectors) == pytest.approx(np.quantile(nearest, 0.05))
    assert _novelty(vectors[:1]) == -1.0


def test_without_a_cheaper_model_the_best_answers_all() -> None:
    table = small_table([[1, 0]] * 30, [str(i) for i in range(30)], cost=[1, 2])
    assert ask(fitted(table), "5") == ([0], ["no cheaper model"])


def test_the_cheapest_of_those_eligible() -> None:
    scores = [[1, 1, 1]] * 30 + [[0, 0, 1]] * 10
    texts = [*map(str, range(30)), *(f"90 {i}" for i in range(10))]
    router = fitted(small_table(scores, texts, cost=[2, 1, 3]), neighbours=20, z=0)
    assert ask(router, "10")[0] == [1]


def test_validation_decides_how_strict_it_is() -> None:
    train = two_sides()
    assert fitted(train).z == 0.0
    # On validation the cheap model is wrong wherever training has it right.
    worse = replace(train, outcomes=replace(train.outcomes, score=np.array([[0.0, 1.0]] * 80)))
    strict = fitted(train, worse)
    assert strict.z > 0
    assert set(ask(strict, *map(str, range(40)))[0]) == {1}
    assert strict.facts()["z"] == strict.z


def test_what_it_needs() -> None:
    router = GuardedKNN(validate(GuardedKNN, "guarded-knn", {}))
    pool = Pool(("a", "b"))
    assert router.needs(pool, (), True) is None
    assert router.needs(pool, (), False) == "needs prices: it looks for cheaper models"
    assert len(set(REASONS)) == len(REASONS)
