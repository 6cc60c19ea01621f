"""Agreement of two judges, against scikit-learn and against what is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from routebench.judge.agreement import RIGHT, STATES, _kappas, agreement, by_model, kappa


def test_a_table_worked_out_by_hand() -> None:
    # 50 answers: 20 both right, 15 both wrong, 5 and 10 apart. po = .7, pe = .5, kappa = .4.
    first = np.repeat([0, 0, 1, 1], [20, 5, 10, 15])
    second = np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    found = agreement(first, second, RIGHT, np.arange(50))
    assert found.n == 50
    assert found.table == ((20, 5), (10, 15))
    assert found.agreement.value == pytest.approx(0.7)
    assert found.kappa.value == pytest.approx(0.4)
    assert found.undefined == 0


def test_rows_are_the_first_judge() -> None:
    found = agreement(np.array([0, 0, 2]), np.array([1, 1, 2]), STATES, np.arange(3))
    assert found.table == ((0, 2, 0), (0, 0, 0), (0, 0, 1))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60))
@settings(max_examples=200, deadline=None)
def test_kappa_of_tables_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs).T
    table = np.zeros((1, 3, 3))
    for one, other in pairs:
        table[0, one, other] += 1
    ours, shares = _kappas(table)[0], _kappas(table / len(pairs))[0]
    if len(set(first) | set(second)) == 1:
        assert np.isnan(ours)
        assert np.isnan(shares)
        assert kappa(first, second) is None
    else:
        assert ours == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
        assert shares == pytest.approx(ours, abs=1e-9)


def test_one_grade_only_has_no_kappa() -> None:
    found = agreement(np.zeros(9, int), np.zeros(9, int), STATES, np.arange(9))
    assert found.agreement.value == 1
    assert found.kappa.value is None
    assert found.kappa.low is None
    assert found.undefined == 1


def test_resamples_without_a_kappa_are_counted() -> None:
    first, second = np.zeros(20, int), np.zeros(20, int)
    second[0] = 1
    found = agreement(first, second, RIGHT, np.arange(20))
    assert found.kappa.value == pytest.approx(0)
    assert found.undefined == pytest.approx((1 - 1 / 20) ** 20, abs=0.02)


def test_the_interval_covers_the_truth() -> None:
    """Grades drawn with a known kappa: 95% of intervals hold it, about."""
    rng = np.random.default_rng(0)
    truth, held, trials = 0.6, 0, 100
    for _ in range(trials):
        first = rng.integers(2, size=250)
        again = rng.integers(2, size=250)
        second = np.where(rng.random(250) < truth, first, again)
        found = agreement(first, second, RIGHT, np.arange(250), resamples=500).kappa
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert 0.88 <= held / trials <= 0.99


def test_answers_to_one_question_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(2, size=60), rng.integers(2, size=60)
    alone = agreement(one, other, RIGHT, np.arange(60))
    copied = agreement(np.repeat(one, 5), np.repeat(other, 5), RIGHT, np.repeat(np.arange(60), 5))
    blind = agreement(np.repeat(one, 5), np.repeat(other, 5), RIGHT, np.arange(300))

    def width(found: object) -> float:
        return found.kappa.high - found.kappa.low  # type: ignore[attr-defined, no-any-return]

    assert copied.kappa.value == pytest.approx(alone.kappa.value)
    assert width(copied) == pytest.approx(width(alone), rel=1e-6)
    assert width(blind) < 0.6 * width(copied)


def test_the_same_grades_give_the_same_interval() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.integers(3, size=90), rng.integers(3, size=90)
    first = agreement(one, other, STATES, np.arange(90))
    assert first == agreement(one, other, STATES, np.arange(90))
    assert first != agreement(one, other, STATES, np.arange(90), seed=1)


def test_wrong_lengths_are_refused() -> None:
    none = np.zeros(0, int)
    for n in (none, np.zeros(3, int)):
        with pytest.raises(ValueError, match="grades of"):
            agreement(n, none, STATES, none)


def graded(n: int = 400, seed: int = 3) -> tuple[np.ndarray, ...]:
    """Three models; the second judge calls a fifth more answers of model c right."""
    rng = np.random.default_rng(seed)
    models = np.tile(np.array(["a", "b", "c"], dtype=object), n)
    first = rng.integers(2, size=3 * n)
    second = first.copy()
    lifted = (models == "c") & (first == 1) & (rng.random(3 * n) < 0.4)
    second[lifted] = 0
    return models, first, second, np.repeat(np.arange(n), 3)


def test_a_judge_that_favours_a_model_is_found() -> None:
    a, b, c = by_model(*graded())
    assert [one.model for one in (a, b, c)] == ["a", "b", "c"]
    assert a.n == 400
    assert a.kappa == pytest.approx(1)
    assert c.second - c.first == pytest.approx(0.2, abs=0.05)
    assert c.favoured
    assert c.favour.value == pytest.approx((c.second - c.first) * 2 / 3)
    assert a.favour.value == pytest.approx(-(c.second - c.first) / 3)
    assert sum(one.favour.value or 0 for one in (a, b, c)) == pytest.approx(0)


def test_a_judge_that_is_strict_with_all_favours_none() -> None:
    rng = np.random.default_rng(4)
    models, first, _, questions = graded()
    second = np.where((first == 0) & (rng.random(len(first)) < 0.3), 1, first)
    found = by_model(models, first, second, questions)
    assert not any(one.favoured for one in found)
    assert all(one.second < one.first for one in found)


def test_false_alarms_are_rare() -> None:
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        models = np.tile(np.array(["a", "b", "c"], dtype=object), 100)
        first, second = rng.integers(3, size=300), rng.integers(3, size=300)
        found = by_model(models, first, second, np.repeat(np.arange(100), 3), resamples=400)
        alarms += any(one.favoured for one in found)
    assert alarms <= 6


def test_one_model_is_never_favoured() -> None:
    found = by_model(["a"] * 5, np.array([0, 1, 0, 1, 2]), np.zeros(5, int), np.arange(5))
    assert found[0].favour.value == pytest.approx(0)
    assert not found[0].favoured
