from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from routebench.metrics.points.point import DEFAULT, Point
from routebench.metrics.points.sweep import ValidationFold, decide, sweep
from routebench.records import Outcomes, State

COST = np.array([1.0, 3.0, 10.0])


def fold(score: Any, best_single: int = 2, most_expensive: int = 2) -> ValidationFold:
    """Three models at 1, 3 and 10 USD on every query."""
    values = np.array(score, dtype=np.float64)
    state = np.where(np.isnan(values), State.FAILED, State.OK).astype(np.int8)
    costs = np.broadcast_to(COST, values.shape).copy()
    return ValidationFold(Outcomes(values, state, costs), COST, best_single, most_expensive)


def test_the_cheapest_point_that_is_as_accurate_as_the_best_single_model() -> None:
    # The cheap one is as good on half of the queries, and the router knows which.
    truth = np.array([[1, 0, 1], [0, 0, 1]] * 250)
    found = sweep(fold(truth), truth.astype(float), truth.astype(float))
    choice, slope = found.points["same-accuracy"]
    assert choice.tolist() == [0, 2] * 250
    assert slope is not None
    assert 0 <= slope < 1 / 9, "from 1/9 on, ten dollars are worth more than an answer"


def test_test_scores_choose_nothing() -> None:
    truth = np.array([[1, 0, 1], [0, 0, 1]] * 250)
    one = sweep(fold(truth), truth.astype(float), truth.astype(float))
    # Other expectations on test: the same λ, whatever they lead to.
    other = sweep(fold(truth), truth.astype(float), np.flip(truth, axis=1).astype(float))
    assert np.array_equal(one.lambdas, other.lambdas)
    for point in DEFAULT:
        assert one.points[point.name][1] == other.points[point.name][1]


def test_where_no_point_is_good_enough_the_best_single_model_stands_in() -> None:
    truth = np.array([[0, 0, 1]] * 10)
    wrong = np.array([[0.9, 0.5, 0.1]] * 10)
    found = sweep(fold(truth), wrong, wrong)
    for name in ("same-accuracy", "within-1pp"):
        choice, slope = found.points[name]
        assert slope is None, name
        assert set(choice) == {2}


def test_a_point_dearer_than_the_best_single_model_itself_saves_nothing() -> None:
    # The router likes the dear model, which is no better than the cheap best single one.
    truth = np.ones((10, 3))
    likes = np.array([[0.1, 0.2, 0.9]] * 10)
    dear_only = np.where(np.arange(3) == 2, likes, np.nan)
    choice, slope = sweep(fold(truth, best_single=0), dear_only, dear_only).points["same-accuracy"]
    assert slope is None
    assert set(choice) == {0}


def test_at_most_a_share_of_the_cost_as_accurate_as_can_be() -> None:
    rng = np.random.default_rng(0)
    need = rng.random(200)
    truth = np.column_stack([rng.random(200) > need, np.zeros(200), np.ones(200)]).astype(float)
    expected = np.column_stack([1 - need, np.zeros(200), np.ones(200)])
    asked = [Point.parse("savings=40%"), Point.parse("cost=4000"), Point.parse("cost=0.5")]
    found = sweep(fold(truth), expected, expected, asked).points
    for name, most in (("savings=40%", 6), ("cost=4000", 4)):
        choice = found[name][0]
        assert 0.9 * most < COST[choice].mean() <= most
        assert need[choice == 2].min() > need[choice == 0].max(), "the most needed ones"
    assert set(found["cost=0.5"][0]) == {0}, "out of reach: the cheapest there is"


def test_a_frozen_trade_off_decides_as_on_test() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, (300, 3)).astype(float)
    expected = np.round(rng.random((300, 3)) + truth, 1)  # with ties
    fresh = np.round(rng.random((1000, 3)), 1)
    found = sweep(fold(truth), expected, fresh, [*DEFAULT, Point.parse("savings=40%")])
    assert found.points["savings=40%"][1] is not None
    for name, (choice, lam) in found.points.items():
        if lam is None:
            assert set(choice) == {found.fixed[name]}
        else:
            assert np.array_equal(decide(fresh, COST, lam), choice)


def test_validation_queries_without_an_answer_are_passed_over() -> None:
    truth = np.array([[1, 0, 1], [0, 0, 1]] * 250, dtype=np.float64)
    holes = truth.copy()
    holes[0, 0] = np.nan
    whole = sweep(fold(truth[2:]), truth[2:], truth)
    passed = sweep(fold(holes), truth, truth)
    assert passed.points["same-accuracy"][0].tolist() == whole.points["same-accuracy"][0].tolist()
    none = sweep(fold(np.full((5, 3), np.nan)), truth[:5], truth)
    assert none.points["same-accuracy"][1] is None
    assert none.fixed["same-accuracy"] == 2


def test_a_router_of_two_models_can_be_run_at_any_threshold() -> None:
    # It would send nothing to the dear model by itself, but knows the order of need.
    rng = np.random.default_rng(2)
    need = rng.random(60)
    truth = np.column_stack([rng.random(60) > need, np.zeros(60), np.ones(60)]).astype(float)
    p = 0.5 + (1 - need) / 2
    quality = np.column_stack([p, np.full(60, np.nan), 1 - p])
    found = sweep(fold(truth), quality, quality)
    assert set(found.choice[0]) == {2}
    assert set(found.choice[-1]) == {0}
    assert (np.diff(COST[found.choice].mean(axis=1)) < 0).all()
    choice, slope = sweep(fold(truth), quality, quality, [Point.parse("drop=20pp")]).points[
        "drop=20pp"
    ]
    assert slope is not None
    assert slope < 0
    reached = truth[np.arange(60), choice].mean()
    assert 0.8 <= reached < 1
    assert 0 < (choice == 0).sum() < 60


def test_equal_expectations_or_costs_leave_nothing_to_sweep() -> None:
    flat = np.column_stack([np.full(8, 0.5), np.full(8, np.nan), np.full(8, 0.5)])
    truth = np.ones((8, 3))
    found = sweep(fold(truth), flat, flat)
    assert [set(row) for row in found.choice] == [{2}, {0}]
    same = replace(fold(truth), cost=np.ones(3))
    assert len(sweep(same, flat, flat).lambdas) == 1


@pytest.mark.parametrize("considered", [(0, 1, 2)])
def test_the_grid_runs_from_quality_alone_to_the_cheapest(considered: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    quality = np.full((50, 3), np.nan)
    quality[:, considered] = rng.random((50, len(considered)))
    found = sweep(fold(rng.integers(0, 2, (50, 3))), quality, quality)
    assert found.choice.shape == (len(found.lambdas), 50)
    assert np.array_equal(found.choice[0], np.nanargmax(quality, axis=1))
    assert set(found.choice[-1]) == {0}
    spent = COST[found.choice].mean(axis=1)
    assert (np.diff(spent) <= 1e-12).all(), "a higher λ never spends more"


def test_rounding_does_not_choose_between_a_trade_off_and_the_model_it_comes_to() -> None:
    # All go to the best single model at λ = 0: the same cost, summed in another order.
    for seed in range(50):
        rng = np.random.default_rng(seed)
        score = np.column_stack([np.zeros(57), rng.random(57) < 0.7]).astype(float)
        cost = rng.lognormal(size=(57, 2)) * 1e-3 + [0, 0.01]
        outcomes = Outcomes(score, np.zeros((57, 2), dtype=np.int8), cost)
        likes = np.tile([0.1, 0.9], (57, 1))
        known = ValidationFold(outcomes, cost.mean(axis=0), 1, 1)
        asked = Point.parse("drop=5pp")  # so few queries leave that much in doubt
        assert sweep(known, likes, likes, [asked]).points[asked.name][1] is not None
