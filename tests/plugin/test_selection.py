from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from routebench.plugin.selection import Chooser, best, utility
from routebench.records import Objective, Outcomes, Pool, Queries, State, Table

NAN = np.nan


@pytest.mark.parametrize(
    ("quality", "cost", "choice"),
    [
        ([0.1, 0.9, 0.5], None, 1),
        ([0.9, 0.5, 0.9], None, 0),  # a tie without prices: the name
        ([0.9, 0.5, 0.9], [3, 1, 2], 2),  # a tie: the cheaper
        ([0.9, 0.9, 0.9], [2, 1, 1], 1),  # a tie in quality and cost: the name
        ([0.9, 0.9, 0.1], [NAN, 5, 1], 1),  # an unknown cost is no bargain
        ([0.9, 0.9, 0.1], [NAN, NAN, 1], 0),
        ([NAN, -2.0, NAN], None, 1),  # any number is better than none
        ([0.5, 0.6, 0.6], [1, 9, 2], 2),  # cost decides ties only
        ([NAN, NAN, NAN], [3, 2, 1], 2),
    ],
)
def test_best(quality: list[float], cost: Any, choice: int) -> None:
    costs = None if cost is None else np.array(cost, dtype=float)
    found = best(np.array([quality, quality]), costs)
    assert found.tolist() == [choice, choice]
    assert found.dtype == np.int64


def test_utility_by_hand() -> None:
    quality = np.array([[0.8, 0.9, 0.5]])
    cost = np.array([1.0, 5.0, 3.0])  # normalised: 0, 1, .5
    np.testing.assert_allclose(utility(quality, cost, Objective(1, 0.2)), [[0.8, 0.7, 0.4]])
    np.testing.assert_allclose(utility(quality, cost, Objective(0.5, 0.2)), [[0.4, 0.25, 0.15]])
    np.testing.assert_array_equal(utility(quality, cost, Objective()), quality)
    np.testing.assert_array_equal(utility(quality, None, Objective(1, 9)), quality)
    same = utility(quality, np.full(3, 2.0), Objective(1, 9))
    np.testing.assert_array_equal(same, quality)


def test_a_model_of_unknown_cost_is_not_chosen_where_cost_counts() -> None:
    chooser = Chooser(Objective(1, 0.1), np.array([1.0, NAN, 2.0]))
    assert chooser.choose(np.array([[0.5, 1.0, 0.55]])).tolist() == [0]
    assert Chooser(Objective(), chooser.cost).choose(np.array([[0.5, 1.0, 0.5]])).tolist() == [1]


def test_the_objective_makes_the_cheap_model_win() -> None:
    quality, cost = np.array([[0.6, 0.8]]), np.array([0.1, 2.0])
    choices = [int(Chooser(Objective(1, w), cost).choose(quality)[0]) for w in (0, 0.19, 0.21, 1)]
    assert choices == [1, 1, 0, 0]


def _table(score: Any, cost: Any) -> Table:
    scores = np.array(score, dtype=float)
    state = np.where(np.isnan(scores), State.ABSENT, State.OK).astype(np.int8)
    costs = None if cost is None else np.array(cost, dtype=float)
    n, m = scores.shape
    texts = np.array([f"q{i}" for i in range(n)], dtype=object)
    pool = Pool(tuple("abc"[:m]))
    return Table(Queries(texts), Outcomes(scores, state, costs), pool)


def test_value_is_what_the_choices_really_bring() -> None:
    table = _table([[1, 0], [0, 1], [1, NAN]], [[1, 3], [1, 3], [1, NAN]])
    predicted = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    # Chosen: a, a, b; the third cell is missing and counts for nothing.
    assert Chooser.learn(table, Objective()).value(predicted, table) == 0.5
    assert Chooser.learn(table, Objective()).value(1 - predicted, table) == pytest.approx(2 / 3)
    with_cost = Chooser.learn(table, Objective(1, 0.5))
    assert with_cost.value(np.array([[0, 9.0]] * 3), table) == pytest.approx(
        (0 - 0.5 + 1 - 0.5) / 2
    )
    nothing = _table([[NAN, 1]], None)
    assert Chooser.learn(nothing, Objective()).value(np.array([[1.0, 0]]), nothing) == -np.inf


@pytest.mark.parametrize("cost", [None, [1.0, 2.0, 0.5], [1.0, NAN, 0.5]])
def test_json_round_trip(cost: Any) -> None:
    known = None if cost is None else np.array(cost)
    chooser = Chooser(Objective(0.7, 0.3), known)
    again = Chooser.from_json(json.loads(json.dumps(chooser.to_json(), allow_nan=False)))
    assert again.objective == chooser.objective
    if known is None:
        assert again.cost is None
    else:
        np.testing.assert_array_equal(again.cost, known)
