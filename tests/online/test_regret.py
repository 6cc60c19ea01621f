"""Regret by hand, and its intervals."""

from __future__ import annotations

import numpy as np
import pytest

from routebench.online import regret

SCORE = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
COST = np.array([[1.0, 3.0]] * 4)


def test_by_hand() -> None:
    """Model 0 is best alone, .75; the choices earn 1, 0, 0, 1; the order is 3, 0, 1, 2."""
    choice = np.array([[0, 0, 1, 1]])
    against = regret.comparators(SCORE, None)
    assert against[regret.BEST_SINGLE].tolist() == [0] * 4
    assert SCORE[np.arange(4), against[regret.ORACLE]].tolist() == [1] * 4
    made = regret.played(choice, [np.array([3, 0, 1, 2])], SCORE, SCORE, COST, against)
    assert made.regret[regret.BEST_SINGLE].value == pytest.approx(0.25)
    assert made.regret[regret.ORACLE].value == pytest.approx(0.5)
    by_query = {point.queries: point for point in made.curve}
    assert sorted(by_query) == [1, 2, 3, 4]
    oracle = [by_query[n].regret[regret.ORACLE].value for n in (1, 2, 3, 4)]
    assert oracle == pytest.approx([0, 0, 1 / 3, 2 / 4])
    spent = [point.cost.value for point in made.curve if point.cost]
    assert spent == pytest.approx([3, 4, 5, 8])
    assert by_query[2].score.value == 1.0
    assert made.late[regret.ORACLE].value == 1.0, "the last fifth of four queries is one: query 2"
    assert np.isnan(by_query[1].score.low), "one seed has no spread"


def test_a_reward_is_score_less_what_the_answer_costs() -> None:
    assert regret.rewards(SCORE, COST, 0.1)[0].tolist() == pytest.approx([0.9, -0.3])
    assert regret.comparators(regret.rewards(SCORE, COST, 0.6), None)[regret.ORACLE][1] == 0


def test_the_best_model_of_each_part() -> None:
    later = np.array([False, False, True, True])
    score = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert regret.comparators(score, later)[regret.BY_PART].tolist() == [0, 0, 1, 1]
    assert regret.BY_PART not in regret.comparators(score, None)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    over_seeds = over_queries = 0
    for _ in range(200):
        one = regret.over_seeds(rng.normal(size=5))
        over_seeds += one.low <= 0 <= one.high
    for _ in range(60):
        values = rng.normal(size=(1, 200)) + rng.normal(size=(3, 200))
        (two,) = regret.resampled([(values, np.ones_like(values, dtype=np.bool_))])
        over_queries += two.low <= 0 <= two.high
    assert over_seeds >= 180
    assert over_queries >= 51
