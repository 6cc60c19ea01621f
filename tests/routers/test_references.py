from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted, recovered, small_table

from routebench.data.long_table import from_long
from routebench.data.splits import TEST, TRAIN, hash_split
from routebench.encode.encoders import FittedOnUse
from routebench.errors import OptionError
from routebench.hookspecs import Context
from routebench.records import Pool, Table
from routebench_routers.references import (
    BestSingle,
    Cheapest,
    MostExpensive,
    Random,
    TaskPrior,
    mean_scores,
    pooled,
)

NAN = np.nan


def with_tasks(table: Table, tasks: list[str | None]) -> Table:
    return replace(table, queries=replace(table.queries, task=np.array(tasks, dtype=object)))


def fixed(cls: Any, train: Table, validation: Table, **options: Any) -> str:
    """The one model that the router chooses for everything."""
    router = cls(cls.Options(**options))
    router.fit(train, validation)
    (choice,) = set(router.route(train.queries).choice.tolist())
    return train.pool.models[choice]


def test_means_by_hand() -> None:
    train = small_table([[1, NAN, NAN], [0, 1, NAN]], cost=[[1, NAN, NAN], [3, 5, NAN]])
    scores, ok, cost = pooled(train, small_table([[1, 0, NAN]], cost=[100, 100, 100]))
    np.testing.assert_allclose(mean_scores(scores, ok), [2 / 3, 0.5, NAN])
    np.testing.assert_allclose(cost, [2, 5, NAN])  # of train only


def test_best_single() -> None:
    train, validation = small_table([[1, 0], [1, 0]]), small_table([[0, 1], [0, 1], [0, 1]])
    assert fixed(BestSingle, train, train) == "a"
    assert fixed(BestSingle, train, validation) == "b", "train and validation count together"
    tie = small_table([[1, 0], [0, 1]])
    assert fixed(BestSingle, tie, tie) == "a"
    priced = small_table([[1, 0], [0, 1]], cost=[2, 1])
    assert fixed(BestSingle, priced, priced) == "b", "of equals the cheaper"
    holes = small_table([[1, NAN, NAN], [0, 1, NAN]])
    assert fixed(BestSingle, holes, holes) == "b", "means are over the cells that are there"


def test_cheapest_and_most_expensive() -> None:
    scores = [[1, 0, 1], [1, 0, 1]]
    table = small_table(scores, cost=[2, 1, 3])
    assert fixed(Cheapest, table, table) == "b"
    assert fixed(MostExpensive, table, table) == "c"
    declared = small_table(scores, cost=[2, 1, 3], small="a", large="b")
    assert fixed(Cheapest, declared, declared) == "a"
    assert fixed(MostExpensive, declared, declared) == "b"
    assert fixed(Cheapest, declared, declared, model="c") == "c"
    assert fixed(MostExpensive, declared, declared, model="c") == "c"
    same = small_table(scores, cost=[1, 1, 1])
    assert fixed(Cheapest, same, same) == fixed(MostExpensive, same, same) == "a"


@pytest.mark.parametrize("cls", [Cheapest, MostExpensive])
def test_needs_of_the_priced_ones(cls: Any) -> None:
    router = cls(cls.Options())
    reason = router.needs(Pool(("a", "b")), (), False)
    assert reason is not None
    assert "prices" in reason
    assert router.needs(Pool(("a", "b")), (), True) is None
    assert router.needs(Pool(("a", "b"), small="a", large="b"), (), False) is None
    assert cls(cls.Options(model="a")).needs(Pool(("a", "b")), (), False) is None
    with pytest.raises(OptionError, match="model: no model 'c' in this pool"):
        cls(cls.Options(model="c")).needs(Pool(("a", "b")), (), True)


def test_task_prior(tmp_path: Path) -> None:
    train = with_tasks(small_table([[1, 0], [1, 0], [1, 0], [0, 1]]), ["x", "x", "x", "y"])
    validation = with_tasks(small_table([[0, 1]]), [None])
    router = TaskPrior(TaskPrior.Options())
    router.fit(train, validation)
    asked = with_tasks(small_table([[0, 0]] * 4), ["y", "x", "new", None]).queries
    assert router.route(asked).choice.tolist() == [1, 0, 0, 0]
    router.save(tmp_path)
    again = TaskPrior(TaskPrior.Options())
    again.load(tmp_path)
    assert again.route(asked).choice.tolist() == [1, 0, 0, 0]
    assert router.needs(Pool(("a",)), ["user"], True) is not None
    assert router.needs(Pool(("a",)), ["task"], False) is None


def test_task_prior_finds_the_planted_rule() -> None:
    data = from_long(planted(600), name="t", source="recorded", place="t")
    assert recovered("task-prior", replace(data, visible=frozenset({"task"}))) > 0.8
    assert recovered("best-single", data) == 0


def drawn(texts: list[str], seed: int, models: int, tmp_path: Path) -> Any:
    table = small_table(np.zeros((len(texts), models)), texts)
    router = Random(Random.Options())
    encoder = FittedOnUse("tfidf-svd", {}, texts)
    router.fit(table, Context(seed, encoder, tmp_path))
    return router.route(table.queries).choice


def test_random_draws_evenly_by_seed_and_text(tmp_path: Path) -> None:
    texts = [f"query {i}" for i in range(3000)]
    first = drawn(texts, 1, 3, tmp_path)
    counts = np.bincount(first, minlength=3)
    assert (abs(counts - 1000) < 5 * np.sqrt(3000 * 2 / 9)).all()
    np.testing.assert_array_equal(drawn(texts, 1, 3, tmp_path), first)
    np.testing.assert_array_equal(drawn(texts[::-1], 1, 3, tmp_path), first[::-1])
    other = drawn(texts, 2, 3, tmp_path)
    assert 0.25 < (first == other).mean() < 0.42


@pytest.mark.parametrize("part", [TRAIN, TEST])
def test_random_knows_nothing_of_the_split(tmp_path: Path, part: int) -> None:
    """On a hash split's test queries too, every model is drawn equally often."""
    data = from_long(planted(2000), name="t", source="recorded", place="t")
    own = [str(text) for text in data.queries.text[hash_split(data, 0)[0] == part]]
    shares = np.bincount(drawn(own, 0, 4, tmp_path), minlength=4) / len(own)
    assert (abs(shares - 0.25) < 0.1).all()
