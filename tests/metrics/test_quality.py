from __future__ import annotations

import numpy as np
import pytest

from routebench.metrics.quality import (
    accuracy_given_attempted,
    attempted,
    f_score,
    gain_at,
    gap_recovered,
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
