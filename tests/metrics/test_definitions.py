"""The metrics against hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest

from routebench.metrics.definitions import (
    accuracy_given_attempted,
    attempted,
    cost_per_1k,
    f_score,
    gain_at,
    gap_recovered,
    savings,
    top_model_share,
    total_cost,
    usage,
    usage_entropy,
)


def test_three_state_known_answers() -> None:
    assert attempted(0.3, 0.5) == pytest.approx(0.8)
    assert accuracy_given_attempted(0.3, 0.5) == pytest.approx(0.375)
    assert f_score(0.3, 0.5) == pytest.approx(2 * 0.3 / 1.8)


def test_f_score_is_the_harmonic_mean() -> None:
    c, i = 0.42, 0.17
    given = c / (c + i)
    assert f_score(c, i) == pytest.approx(2 * c * given / (c + given))


def test_nothing_attempted_is_undefined_but_its_f_score_is_zero() -> None:
    assert np.isnan(accuracy_given_attempted(0.0, 0.0))
    assert f_score(0.0, 0.0) == 0


@pytest.mark.parametrize(
    ("accuracy", "expected"), [(0.5, 0.0), (0.8, 1.0), (0.575, 0.25), (0.2, -1)]
)
def test_gap_recovered(accuracy: float, expected: float) -> None:
    assert gap_recovered(accuracy, 0.5, 0.8) == pytest.approx(expected)


def test_no_gap_is_undefined_in_that_resample_only() -> None:
    found = gap_recovered(np.array([0.5, 0.6]), np.array([0.5, 0.5]), np.array([0.5, 0.7]))
    np.testing.assert_allclose(found, [np.nan, 0.5])


def test_gain_is_the_mean_of_ratios_not_the_ratio_of_means() -> None:
    # 2.0 and 0.5 average to 1.25; the ratio of the means is .9 / .9.
    assert gain_at([0.6, 0.3], [0.3, 0.6]) == pytest.approx(0.25)


def test_gain_serves_resamples_and_is_undefined_where_a_task_is_never_answered() -> None:
    accuracy = np.array([[0.5, 0.5], [0.5, 0.5]])
    reference = np.array([[0.5, 0.25], [0.5, 0.0]])
    np.testing.assert_allclose(gain_at(accuracy, reference), [0.5, np.nan])


def test_cost_is_per_thousand_queries() -> None:
    assert cost_per_1k(0.0007) == pytest.approx(0.7)
    np.testing.assert_allclose(cost_per_1k(np.array([0.001, 0.002])), [1, 2])


def test_total_includes_the_routers_own() -> None:
    assert total_cost(0.0007, 0.0001) == pytest.approx(0.0008)


def test_savings() -> None:
    assert savings(0.3, 1.2) == pytest.approx(0.75)
    assert savings(2.4, 1.2) == pytest.approx(-1)
    assert savings(0.0, 1.2) == 1


def test_savings_against_a_free_model_are_undefined_never_infinite() -> None:
    np.testing.assert_allclose(
        savings(np.array([0.0, 1.0, 1.0]), [0.0, 0.0, 4.0]), [np.nan, np.nan, 0.75]
    )


def test_usage_counts_seeds_and_models_never_chosen() -> None:
    choice = np.array([[0, 0, 2, 2], [0, 2, 2, 2]])
    np.testing.assert_allclose(usage(choice, 4), [0.375, 0, 0.625, 0])


@pytest.mark.parametrize(
    ("shares", "bits"),
    [([1, 0, 0], 0.0), ([0.5, 0.5, 0], 1.0), ([0.25] * 4, 2.0), ([0.5, 0.25, 0.25], 1.5)],
)
def test_entropy_in_bits(shares: list[float], bits: float) -> None:
    assert usage_entropy(shares) == pytest.approx(bits)


def test_entropy_of_one_model_is_not_minus_zero() -> None:
    assert not np.signbit(usage_entropy([1.0, 0.0]))


def test_resamples_are_rows() -> None:
    shares = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert usage_entropy(shares).shape == (2,)
    np.testing.assert_allclose(top_model_share(shares), [0.5, 0.9])
