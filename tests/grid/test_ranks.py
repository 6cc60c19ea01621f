"""Ranks over suites: the tests' formulas, what cannot be proven, and which routers go together."""

from __future__ import annotations

import numpy as np
import pytest

from routebench.grid.ranks import cliques, critical_value, rank_test, ranked


def test_friedman_and_nemenyi_are_their_formulas() -> None:
    n, k = 14, 4
    scores = np.random.default_rng(3).random((n, k)) + np.array([0, 0.5, 0.1, 0.5])
    test = rank_test(
        [f"s{i}" for i in range(n)], {f"r{j}": scores[:, j].tolist() for j in range(k)}
    )
    place = (-scores).argsort(axis=1).argsort(axis=1) + 1  # without ties
    average = place.mean(axis=0)
    assert ranked(scores).mean(axis=0) == pytest.approx(average)
    assert test.statistic == pytest.approx(
        12 * n / (k * (k + 1)) * ((average**2).sum() - k * (k + 1) ** 2 / 4)
    )
    # Demšar (JMLR 7, 2006) has 1.25 for four classifiers on 14 data sets.
    assert test.critical_difference == pytest.approx(1.25, abs=0.005)
    assert test.routers == [f"r{j}" for j in average.argsort(kind="stable")]


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_critical_values_are_those_of_the_table(k: int, q: float) -> None:
    assert critical_value(k) == pytest.approx(q, abs=0.001)


def test_too_few_suites_are_said_to_be_too_few() -> None:
    scores = {f"r{i:02}": [1 - i / 20, 1 - i / 20] for i in range(16)}  # the same order on both
    test = rank_test(["a", "b"], scores)
    assert test.critical_difference > 15
    assert test.suites_needed == 3
    assert test.groups == [test.routers]
    assert "too few suites to prove any difference" in test.sentence
    more = rank_test(list("abc"), {name: [*given, given[0]] for name, given in scores.items()})
    assert more.critical_difference <= 15
    assert "too few" not in more.sentence
    assert len(more.groups) > 1


def test_no_groups_are_told_apart_where_friedman_finds_nothing() -> None:
    rng = np.random.default_rng(0)
    test = rank_test(list("abcdef"), {f"r{i}": rng.random(6).tolist() for i in range(4)})
    assert test.p is not None
    assert test.p > 0.05
    assert test.groups == [test.routers]
    assert "finds no difference" in test.sentence
    same = rank_test(list("abcdef"), {f"r{i}": [0.5] * 6 for i in range(3)})
    assert (same.p, same.statistic) == (None, None)
    assert same.groups == [["r0", "r1", "r2"]]


def test_rounding_is_no_difference() -> None:
    assert ranked(np.array([[0.1 + 0.2, 0.3, 0.2]])).tolist() == [[1.5, 1.5, 3.0]]


def test_groups_are_the_largest_ones() -> None:
    assert cliques([1.0, 1.5, 3.0, 4.4], 2.0) == [range(2), range(1, 3), range(2, 4)]
    assert cliques([1.0, 3.0, 5.0], 2.0) == [range(1), range(1, 2), range(2, 3)]
    assert cliques([1.0, 2.0, 3.0], 9.0) == [range(3)]
