"""The ensemble: its members by hand, its weights, and when one of them routes alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import noise, planted, recovered, small_table

from routebench.board.build import score
from routebench.data.long_table import from_long
from routebench.data.splits import make_split
from routebench.encode.encoders import FittedOnUse
from routebench.errors import OptionError
from routebench.hookspecs import Context
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin import discovery
from routebench.plugin.options import validate
from routebench.records import Queries, Table
from routebench_routers.ensemble.members import (
    Clusters,
    Nearest,
    RidgeWeights,
    TaskMeans,
    Weighted,
)
from routebench_routers.ensemble.router import NAMES, Ensemble
from routebench_routers.neighbours import prior_scores, shrunk_means

NAN = np.nan
VECTORS = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
SCORES = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])


def fitted(train: Table, validation: Table | None = None, **values: Any) -> Ensemble:
    router = Ensemble(validate(Ensemble, "ensemble", values))
    encoder = FittedOnUse("tfidf-svd", {"dimension": 16}, list(train.queries.text))
    router.fit(train, validation or train, Context(0, encoder, Path()))
    return router


def kinds(n: int = 120, seed: int = 0) -> Table:
    """a is right on poems, b on proofs, with tasks."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=n)
    texts = [f"{('poem verse', 'proof lemma')[k]} {rng.integers(10**9)}" for k in kind]
    table = small_table(np.eye(2)[kind], texts, cost=[1, 2])
    task = np.array([("poetry", "maths")[k] for k in kind], dtype=object)
    return replace(table, queries=replace(table.queries, task=task))


def test_shrunk_means_by_hand() -> None:
    groups = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    scores = np.array([[1.0, NAN], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(prior_scores(scores), [0.5, 2 / 3])
    expected = [[(1 + 0.5) / 3, (1 + 2 / 3) / 2], [(1 + 0.5) / 2, (0 + 2 / 3) / 2]]
    np.testing.assert_allclose(shrunk_means(groups, scores, 1.0), expected)
    np.testing.assert_allclose(shrunk_means(groups, scores, 1e9), [[0.5, 2 / 3]] * 2)


def test_members_by_hand() -> None:
    asked = np.array([[1.0, 0.0], [0.6, 0.8]])
    assert Nearest(VECTORS, SCORES, 2).predict(asked).tolist() == [[1.0, 0.5], [0.0, 1.0]]
    weight = np.exp(8 * (asked @ VECTORS.T - 1.0))
    doubt = weight.mean(axis=1, keepdims=True)
    expected = (weight @ SCORES + doubt * SCORES.mean(axis=0)) / (5 * doubt)
    np.testing.assert_allclose(Weighted(VECTORS, SCORES).predict(asked), expected)
    ridge = RidgeWeights(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 0.0]))
    np.testing.assert_allclose(ridge.predict(asked), [[1.5, 0.0], [1.1, 0.8]])
    clusters = Clusters(np.eye(2), np.array([[1.0, 0.5], [0.0, 1.0]]))
    share = 1 / (1 + np.exp(-9.0 * np.array([1.0, -0.2])))
    expected = share[:, None] * [[1.0, 0.5]] + (1 - share[:, None]) * [[0.0, 1.0]]
    np.testing.assert_allclose(clusters.predict(asked), expected)


def test_missing_scores_count_for_nobody() -> None:
    holes = np.where(np.eye(4, 2) == 1, NAN, SCORES)  # each model lacks one
    predicted = Weighted(VECTORS, holes).predict(np.array([[1.0, 0.0]]))
    near = np.exp(-8.0)
    doubt = (1 + near) / 2
    prior = np.nanmean(holes, axis=0)
    np.testing.assert_allclose(
        predicted[0, 0], (1 + doubt * prior[0]) / (1 + 2 * near + doubt), rtol=1e-12
    )


def test_what_it_combines() -> None:
    table = kinds()
    router = fitted(table, kinds(60, 1), combine="mean")
    assert router.weights == dict.fromkeys(NAMES, 0.2)
    assert set(router._members) == set(NAMES)
    assert isinstance(router.tasks, TaskMeans)
    queries = Queries(np.array(["poem verse 5", "proof lemma 6"], dtype=object))
    quality = router.predict(queries)
    vectors = np.asarray(router.encoder.encode(list(queries.text)), dtype=np.float64)
    each = [one.predict(vectors) for one in router._members.values()]
    np.testing.assert_allclose(quality, np.mean(each, axis=0))
    assert router.route(queries).choice.tolist() == [0, 1]
    hidden = replace(table, queries=replace(table.queries, task=None))
    untold = fitted(hidden, kinds(60, 1), combine="mean")
    assert set(untold.weights) == set(NAMES) - {"task-posterior"}


def test_stacked_weights_are_those_of_least_squares() -> None:
    validation = kinds(80, 1)
    router = fitted(kinds(), validation, members=["ridge", "weighted-knn"])
    vectors = router._vectors(validation.queries)
    columns = [one.predict(vectors) for one in router._members.values()]
    columns = [(one - one.mean(axis=1, keepdims=True)).reshape(-1) for one in columns]
    target = validation.outcomes.score - validation.outcomes.score.mean(axis=1, keepdims=True)
    weights = np.array([router.weights[name] for name in router._members])
    matrix = np.stack(columns, axis=1)
    # What makes the best non-negative weights: none is worth raising, and none in use lowering.
    slope = matrix.T @ (matrix @ weights - target.reshape(-1))
    assert (weights >= 0).all()
    assert weights.any()
    assert (slope >= -1e-9).all()
    np.testing.assert_allclose(slope[weights > 0], 0, atol=1e-9)
    assert not np.allclose(weights, 0.5)


def test_a_member_that_is_better_beyond_noise_routes_alone() -> None:
    table = kinds()
    router = fitted(table)
    right, wrong = np.eye(2)[[0, 1]], 3 * np.eye(2)[[1, 0]]
    predicted = {"knn": np.tile(right, (60, 1)), "ridge": np.tile(wrong, (60, 1))}
    truth = small_table(np.tile(right, (60, 1)))
    router.weights = {"knn": 0.5, "ridge": 0.5}
    assert router._leader(predicted, truth) == "knn"
    few = {name: one[:2] for name, one in predicted.items()}
    assert router._leader(few, small_table([[1, 0], [1, 0]])) is None, "one of two is noise"
    assert router._leader({"knn": predicted["knn"]} | {"ridge": predicted["knn"]}, truth) is None


def test_it_is_saved_with_its_members(tmp_path: Path) -> None:
    router = fitted(kinds())
    router.save(tmp_path)
    again = Ensemble(validate(Ensemble, "ensemble", {}))
    again.load(tmp_path)
    queries = kinds(20, 5).queries
    np.testing.assert_array_equal(again.route(queries).quality, router.route(queries).quality)
    assert again.facts() == router.facts()
    assert again.weights == router.weights


def test_options() -> None:
    assert not Ensemble(validate(Ensemble, "ensemble", {})).deterministic
    assert Ensemble(validate(Ensemble, "ensemble", {"members": ["knn", "ridge"]})).deterministic
    for values, message in [
        ({"members": []}, "ensemble.members"),
        ({"members": ["knn", "knn"]}, "each member once"),
        ({"members": ["mf"]}, "ensemble.members"),
        ({"margin": -1}, "ensemble.margin"),
    ]:
        with pytest.raises(OptionError, match=message):
            validate(Ensemble, "ensemble", values)


@pytest.mark.parametrize("router", ["knn", "linear", "mf", "ensemble"])
def test_the_planted_rule_is_found(router: str) -> None:
    if router == "mf":
        pytest.importorskip("torch")
    table = planted(600, hit=1.0, miss=0.2)
    assert recovered(router, from_long(table, name="t", source="recorded", place="t")) >= 0.95


def test_noise_is_not_beaten() -> None:
    """Called better than best single in no more worlds than chance allows: 2.5% and 3 s.e."""
    worlds, better = 12, 0
    for seed in range(worlds):
        data = from_long(noise(300, seed=seed), name="t", source="recorded", place="t")
        setup = Setup(data, make_split(data), "tfidf-svd", {"dimension": 16})
        job = Job("ensemble", discovery.find("router", "ensemble"), {}, seed, 0, "")
        result = run_here(job, setup, lambda done, note="": None)
        scores: Any = score(setup, [], {job: result}, 500).evaluation.routers["ensemble"]
        difference = scores.against["best-single"]["accuracy"]
        better += difference.value > 0 and difference.p_raw / 2 < 0.025
    assert better / worlds <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / worlds)
