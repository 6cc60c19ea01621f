"""Bandits against their formulas, written out the slow way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import small_table

from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.records import Queries
from routebench_routers.online.epsilon_greedy import EpsilonGreedy
from routebench_routers.online.linear_bandit import LinearBandit
from routebench_routers.online.pilot import Pilot
from routebench_routers.online.preferences import learn_space, unit
from routebench_routers.online.thompson import Thompson

TEXTS = ["red", "blue"] * 20
SCORES = np.full((40, 2), np.nan)


def cold(cls: Any, trade_off: float = 0.0, models: int = 2, **options: Any) -> Any:
    """Return a router that was fitted to texts without outcomes."""
    router = cls(cls.Options(**options))
    table = small_table(np.full((40, models), np.nan), TEXTS)
    encoder = FittedOnUse("tfidf-svd", {"dimension": 4}, TEXTS)
    context = Context(0, encoder, Path(), trade_offs=(trade_off,))
    router.fit(table, table, context)
    return router


def tell(router: Any, choice: list[int], score: list[float], cost: float = np.nan) -> None:
    n = len(choice)
    router.update(ask(n), np.array(choice), np.array(score, dtype=float), np.full(n, cost))


def ask(n: int = 1) -> Queries:
    return Queries(np.array([f"red {i}" for i in range(n)], dtype=object))


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_a_linear_bandit_is_a_discounted_ridge_regression(discount: float) -> None:
    rng = np.random.default_rng(0)
    x, choice, r = rng.normal(size=(30, 5)), rng.integers(3, size=30), rng.normal(size=30)
    start = rng.normal(size=(3, 5))
    together = LinearBandit.new(start.copy(), 2.0, discount)
    together.learn(x[:20], choice[:20], r[:20])
    together.learn(x[20:], choice[20:], r[20:])
    singly = LinearBandit.new(start.copy(), 2.0, discount)
    for i in range(30):
        singly.learn(x[i : i + 1], choice[i : i + 1], r[i : i + 1])
    weight = discount ** np.arange(30)[::-1]
    for model in range(3):
        own = choice == model
        gram = (x[own] * weight[own, None]).T @ x[own] + 2.0 * np.eye(5)
        theta = np.linalg.solve(gram, (x[own] * weight[own, None]).T @ r[own] + 2.0 * start[model])
        for bandit in (together, singly):
            np.testing.assert_allclose(bandit.theta()[model], theta, atol=1e-9)
            width = np.sqrt(x[0] @ np.linalg.inv(gram) @ x[0])
            np.testing.assert_allclose(bandit.width(x[:1])[0, model], width, atol=1e-9)


@pytest.mark.parametrize("trade_off", [0.0, 20.0])
def test_thompson_draws_by_the_probability_of_being_best(trade_off: float) -> None:
    router = cold(Thompson, trade_off, models=3)
    tell(router, [0] * 10, [1.0] * 7 + [0.0] * 3, 0.01)
    tell(router, [1] * 4, [1.0, 0.0, 0.5, 1.0], 0.001)
    rng = np.random.default_rng(0)
    theta = rng.beta([8, 3.5, 1], [4, 2.5, 1], size=(200_000, 3))
    worth = theta - trade_off * np.array([0.01, 0.001, 0.0])
    expected = np.bincount(worth.argmax(axis=1), minlength=3) / len(worth)
    np.testing.assert_allclose(router.route(ask()).probability[0], expected, atol=0.005)
    made = router.route(ask(4000))
    drawn = np.bincount(made.choice, minlength=3) / 4000
    np.testing.assert_allclose(drawn, expected, atol=0.03)


def test_epsilon_greedy_by_hand() -> None:
    router = cold(EpsilonGreedy, epsilon=0.2, decay=2.0)
    tell(router, [0, 0, 1], [0.0, 1.0, 0.0])
    made = router.route(ask(2000))
    np.testing.assert_allclose(made.quality[0], [2 / 3, 1 / 2])
    epsilon = 0.2 * 2 / 3
    np.testing.assert_allclose(made.probability[0], [1 - epsilon / 2, epsilon / 2])
    assert (made.choice == 1).mean() == pytest.approx(epsilon / 2, abs=0.02)


def test_pilot_keeps_to_its_budget() -> None:
    """Model 0 is better and a hundred times as dear: it is asked until the money is spent."""
    router = cold(Pilot, budget=1.0)
    tell(router, [0, 1] * 5, [0.9, 0.5] * 5, 0.0)
    router.usd[:] = [0.5, 0.005]
    router.spent = 0.0
    assert router.route(ask()).choice[0] == 0
    router.spent = 1.0
    assert router.route(ask()).choice[0] == 1


def test_triplets_bring_queries_of_one_model_together() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=200)
    vectors = rng.normal(size=(200, 6))
    vectors[:, 5] += 3.0 * kind - 1.5
    score = np.eye(2)[kind]
    start = np.eye(6)[:, :3]
    made = learn_space(vectors, score, start, rng, 100, 0.2)

    def gap(space: Any) -> float:
        near = unit(vectors @ space) @ unit(vectors @ space).T
        same = kind[:, None] == kind
        return float(near[same].mean() - near[~same].mean())

    assert gap(made) > gap(start) + 0.1
