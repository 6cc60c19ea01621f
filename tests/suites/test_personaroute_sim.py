"""The simulated panel: its shape, and that routers can gain on it what they gain in life."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from routebench.data.duplicates import near_pairs
from routebench_suites.personaroute.files import UserPanel
from routebench_suites.personaroute.simulated import simulate


def references(panel: UserPanel, seed: int) -> dict[str, float]:
    """Mean test reward of simple routers on a random 60/20/20 split; validation is not used."""
    n = len(panel.text)
    order = np.random.default_rng(seed).permutation(n)
    train, test = order[: int(0.6 * n)], order[int(0.8 * n) :]
    weight = panel.preference[:, None, None]
    reward = weight * panel.effect - (1 - weight) * panel.cost
    tested = reward[:, test]

    def mean(choice: np.ndarray) -> float:
        """Of a choice by user and query, either of which may be 1 for all."""
        index = np.broadcast_to(choice, tested.shape[:2])[:, :, None]
        return float(np.take_along_axis(tested, index, axis=2).mean())

    def personal(effect: np.ndarray, cost: np.ndarray) -> float:
        return mean((weight * effect - (1 - weight) * cost).argmax(axis=2))

    words = TfidfVectorizer(min_df=2, sublinear_tf=True)
    svd = TruncatedSVD(64, random_state=0)
    seen = normalize(svd.fit_transform(words.fit_transform(panel.text[train])))
    new = normalize(svd.transform(words.transform(panel.text[test])))
    near = NearestNeighbors(n_neighbors=30).fit(seen).kneighbors(new, return_distance=False)
    ridge = [Ridge(10).fit(seen, each[train]).predict(new) for each in (panel.effect, panel.cost)]
    prior = [
        np.array([each[train][panel.task[train] == task].mean(axis=0) for task in panel.task[test]])
        for each in (panel.effect, panel.cost)
    ]
    blind = reward[:, train].mean(axis=0)
    return {
        "fixed": mean(blind.mean(axis=0).argmax().reshape(1, 1)),
        "fixed per user": mean(reward[:, train].mean(axis=1).argmax(axis=1)[:, None]),
        "knn blind": mean(blind[near].mean(axis=1).argmax(axis=1)[None]),
        "ridge": personal(*ridge),
        "task prior": personal(*prior),
        "oracle blind": mean(tested.mean(axis=0).argmax(axis=1)[None]),
        "oracle": float(tested.max(axis=2).mean()),
    }


def over_splits(panel: UserPanel, splits: int) -> dict[str, float]:
    found = [references(panel, seed) for seed in range(splits)]
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


@pytest.fixture(scope="module")
def panel() -> UserPanel:
    return simulate()


def test_shape(panel: UserPanel) -> None:
    n, m = 4 * 150, 10
    assert panel.effect.shape == panel.cost.shape == (n, m)
    assert len(panel.text) == len(panel.task) == n
    assert [int((panel.task == task).sum()) for task in panel.task_description] == [150] * 4
    assert panel.models == tuple(sorted(panel.models))
    assert panel.model_description is not None
    assert len({*panel.model_description}) == m
    assert panel.input_price is not None
    assert panel.output_price is not None
    assert panel.input_price.shape == panel.output_price.shape == (m,)
    assert panel.users.tolist() == [str(user) for user in range(1, 10)]
    assert panel.preference.tolist() == pytest.approx(np.arange(2, 11) / 10)
    assert panel.effect.min() == 0
    assert panel.effect.max() == 1
    for task in panel.task_description:
        costs = panel.cost[panel.task == task]
        assert (costs.min(), costs.max()) == (0, 1)
    assert panel.notes[0].startswith("simulated")


def test_the_same_every_time(panel: UserPanel) -> None:
    again, other = simulate(), simulate(seed=1)
    for name in ("text", "effect", "cost", "preference"):
        np.testing.assert_array_equal(getattr(panel, name), getattr(again, name))
    assert len({*panel.text, *other.text}) > 1190
    assert not np.array_equal(panel.effect, other.effect)


def test_users_change_no_outcome(panel: UserPanel) -> None:
    many = simulate(users=1000)
    np.testing.assert_array_equal(panel.effect, many.effect)
    np.testing.assert_array_equal(panel.text, many.text)
    assert many.preference[[0, -1]].tolist() == [0.2, 1.0]
    assert len(set(many.users)) == len(set(many.preference)) == 1000
    assert simulate(users=1).preference.tolist() == [0.6]


def test_a_thousand_users_take_no_room() -> None:
    simulate(9, 1)
    tracemalloc.start()
    many = simulate(users=1000, queries_per_task=60)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert many.effect.shape == (240, 10)
    assert peak < 3e6  # a number for every user, query and model would be 19 MB


@pytest.mark.parametrize(("per_task", "seed"), [(150, 0), (150, 7), (500, 1)])
def test_no_query_is_there_twice(per_task: int, seed: int) -> None:
    made = simulate(queries_per_task=per_task, seed=seed)
    found = near_pairs(list(made.text))
    assert len(np.unique(found.exact)) == 4 * per_task
    assert len(found.pairs) == 0
    assert not any(character in text for text in made.text for character in "{}")


def test_texts_are_varied(panel: UserPanel) -> None:
    words = {word for text in panel.text for word in text.split()}
    assert len(words) > 1500
    lengths = [len(text) for text in panel.text]
    assert min(lengths) < 45
    assert max(lengths) > 500


def test_too_many_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routebench_suites.personaroute.simulated._TRIES", 1)
    with pytest.raises(ValueError, match="the templates of facts cannot tell 900 queries apart"):
        simulate(queries_per_task=900)
    with pytest.raises(ValueError, match="a user and a query"):
        simulate(users=0)


def test_difficulty_is_seen_in_the_text() -> None:
    """Problems of more sentences are harder."""
    large = simulate(queries_per_task=1000, seed=3)
    rows = large.task == "arithmetic"
    lengths = np.array([len(text.split(".")) for text in large.text[rows]])
    mean = large.effect[rows].mean(axis=1)
    short, long = lengths <= np.quantile(lengths, 0.3), lengths >= np.quantile(lengths, 0.7)
    assert mean[short].mean() - mean[long].mean() > 0.04


def test_gains_are_those_of_life(panel: UserPanel) -> None:
    found = over_splits(panel, 6)
    life = {
        "fixed": 0.316, "fixed per user": 0.340, "knn blind": 0.357, "ridge": 0.377,
        "task prior": 0.391, "oracle blind": 0.474, "oracle": 0.480,
    }  # fmt: skip
    assert found == pytest.approx(life, abs=0.015)
    assert list(found.values()) == sorted(found.values())


def test_dearer_models_cost_more(panel: UserPanel) -> None:
    assert panel.output_price is not None
    order = np.argsort(panel.output_price)
    for task in panel.task_description:
        costs = panel.cost[panel.task == task].mean(axis=0)[order]
        assert costs[0] < 0.01
        assert costs[-1] > 0.5
        assert (np.diff(costs) > -0.05).all()
