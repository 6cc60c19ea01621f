"""Picks: closed forms, a budget that is kept, planted groups found, and noise not claimed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

from routebench.active.ensemble import LinearEnsemble, features
from routebench.active.picks import expected_usd, pick
from routebench.records import Floats

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "active_learning.py"


def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("active_learning", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["active_learning"] = made
    spec.loader.exec_module(made)
    return made


def unit(n: int, seed: int = 0) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((n, 8))
    made: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def test_the_ensemble_is_ridge_regression_and_expects_regret_where_little_is_known() -> None:
    x = features(unit(60))
    score = (np.random.default_rng(1).random((60, 3)) < [0.9, 0.5, 0.1]).astype(float)
    made = LinearEnsemble.learn(x, score)
    assert_allclose(made.mean, np.linalg.solve(x.T @ x + np.eye(9), x.T @ score))
    rng = np.random.default_rng(2)
    few = LinearEnsemble.learn(x[:12], score[:12]).expected_regret(x, rng).mean()
    assert 0 < made.expected_regret(x, rng).mean() < few / 2


def test_the_cheaper_of_two_equal_queries_is_picked_and_the_budget_holds() -> None:
    x, score = features(unit(30)), np.random.default_rng(3).random((30, 2))
    twins = features(np.repeat(unit(1, seed=9), 2, axis=0))
    rng = np.random.default_rng(0)
    assert pick(x, score, twins, np.array([2.0, 1.0]), 1.5, rng).tolist() == [1]
    pool, usd = features(unit(200, seed=4)), np.random.default_rng(5).random(200) + 0.1
    at = pick(x, score, pool, usd, 12.0, rng)
    assert len(set(at.tolist())) == len(at)
    assert 11 < usd[at].sum() <= 12
    assert pick(x, score, pool, usd, 0.05, rng).size == 0


def test_costs_follow_a_line_through_the_known_ones() -> None:
    length = np.array([10.0, 20.0, 30.0])
    found = expected_usd(length, 1 + 2 * length, np.array([15.0, 40.0, -99.0]))
    assert_allclose(found, [31, 81, np.quantile([21, 41, 61], 0.1)])
    assert_allclose(expected_usd(np.ones(3), np.full(3, 4.0), np.array([7.0])), 4)


def test_planted_groups_are_found_and_noise_is_not_claimed() -> None:
    made = benchmark()
    made.STEPS = 4
    rows = made.curves(made.planted(), seeds=4)["linear"]
    assert rows[-1]["low"] > 0.5  # percentage points, at the same dollars
    assert made.sentence(rows).startswith("helped: +")
    for rows in made.curves(made.noise(), seeds=4).values():
        assert not made.sentence(rows).startswith("helped")
