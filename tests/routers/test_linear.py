from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted, recovered, small_table

from routebench.data.long_table import from_long
from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.records import Objective, Queries, Table
from routebench.testing.tables import synthetic_tables
from routebench_routers import linear
from routebench_routers.linear import Linear

NAN = np.nan
TEXTS = ["red", "blue"] * 20
SCORES = np.array([[1.0, 0.0], [0.0, 1.0]] * 20)


def fitted(train: Table, weights: Any = (1.0, 0.0), **options: Any) -> Linear:
    router = Linear(Linear.Options(**options))
    encoder = FittedOnUse("tfidf-svd", {"dimension": 8}, list(train.queries.text))
    router.fit(train, train, Context(0, encoder, Path(), objective=Objective(*weights)))
    return router


def ask(router: Linear, *texts: str) -> Any:
    return router.route(Queries(np.array(texts, dtype=object)))


def test_ridge_by_hand() -> None:
    """One word per text, each an axis of its own; centred, both weigh ±½ · 20 / (20 + penalty)."""
    router = fitted(small_table(SCORES, TEXTS), penalty=20.0)
    decisions = ask(router, "red", "blue", "green")
    # n/2 texts per word: the difference of the words has n/2 = 20 on its side of the equation.
    high = 0.5 + 0.5 * 20 / (20 + 20)
    np.testing.assert_allclose(
        decisions.quality[:2], [[high, 1 - high], [1 - high, high]], atol=1e-4
    )
    assert decisions.choice[:2].tolist() == [0, 1]
    np.testing.assert_allclose(decisions.quality[2].sum(), 1, atol=1e-4)


def test_confidence_is_the_chosen_quality_within_bounds() -> None:
    scores = np.where(SCORES > 0, 2.0, -1.0)
    decisions = ask(fitted(small_table(scores, TEXTS), penalty=1e-3), "red", "green")
    assert decisions.quality[0].max() > 1.5
    np.testing.assert_array_equal(decisions.confidence, [1, decisions.quality[1].max()])


def test_a_weak_penalty_reaches_the_data_and_a_strong_one_the_mean() -> None:
    near = ask(fitted(small_table(SCORES, TEXTS), penalty=1e-6), "red").quality
    far = ask(fitted(small_table(SCORES, TEXTS), penalty=1e9), "red").quality
    np.testing.assert_allclose(near, [[1, 0]], atol=1e-3)
    np.testing.assert_allclose(far, [[0.5, 0.5]], atol=1e-3)


def test_models_with_holes_learn_from_their_own_rows() -> None:
    scores = np.hstack([SCORES, np.full((40, 2), NAN)])
    scores[::2, 2] = 0.8  # c: seen on red texts only
    decisions = ask(fitted(small_table(scores, TEXTS), penalty=1e-6), "red", "blue")
    np.testing.assert_allclose(decisions.quality[0], [1, 0, 0.8, 0], atol=1e-3)
    assert decisions.choice.tolist() == [0, 1]
    assert np.isfinite(decisions.quality).all()


def test_cost_in_the_objective_makes_the_cheap_model_win() -> None:
    scores = np.tile([0.6, 0.8], (40, 1))
    table = small_table(scores, TEXTS, cost=[1, 3])
    choices = [ask(fitted(table, (1, w)), "red").choice.tolist() for w in (0, 0.19, 0.21)]
    assert choices == [[1], [1], [0]]


@pytest.mark.parametrize("features", ["tfidf", "encoder"])
def test_the_planted_rule_is_found(features: str) -> None:
    data = from_long(planted(600), name="t", source="recorded", place="t")
    assert recovered("linear", data, features=features) > 0.8


@pytest.mark.parametrize("features", ["tfidf", "encoder"])
def test_a_loaded_router_decides_alike(tmp_path: Path, features: str) -> None:
    router = fitted(small_table(SCORES, TEXTS, cost=[1, 2]), (1, 0.1), features=features)
    router.save(tmp_path)
    again = Linear(Linear.Options(features=features))
    again.load(tmp_path)
    texts = ("red and more", "blue", "neither", "")
    np.testing.assert_array_equal(ask(again, *texts).choice, ask(router, *texts).choice)
    np.testing.assert_allclose(ask(again, *texts).quality, ask(router, *texts).quality, atol=1e-9)
    assert ask(again, "red", "blue").choice.tolist() == [0, 1]


def test_the_penalty_of_a_large_table_is_tuned_on_a_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is kept is then fitted to all training queries."""
    fits: list[tuple[int, float]] = []
    ridge = linear.fit_ridge

    def watched(features: Any, train: Table, penalty: float) -> Any:
        fits.append((len(train), penalty))
        assert features.shape[0] == len(train)
        return ridge(features, train, penalty)

    monkeypatch.setattr(linear, "fit_ridge", watched)
    train = synthetic_tables(300).train
    router = fitted(train, tuning_queries=60)
    *tuned, (rows, kept) = fits
    assert tuned == [(60, penalty) for penalty in linear.PENALTIES]
    assert rows == 300
    alone = fitted(train, penalty=kept)
    np.testing.assert_array_equal(alone.coefficients, router.coefficients)
