"""Labels, margins and thresholds of the hybrid routers, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import small_table

from routebench_routers.hybrid.labels import (
    Samples,
    labels,
    margin,
    samples_of,
    share_good_enough,
    spread,
    threshold_for,
)
from routebench_routers.hybrid.router import (
    Hybrid,
)

NAN = np.nan


def one_sample(small: Any, large: Any) -> Samples:
    values = [np.array(scores, dtype=float)[:, None] for scores in (small, large)]
    return Samples(np.arange(len(values[0])), *values)


def test_labels_of_single_samples_by_hand() -> None:
    samples = one_sample([1, 0, 1, 0.4], [1, 1, 0, 0.5])
    assert labels("deterministic", samples, 0.1, 0).tolist() == [1, 0, 1, 0]
    expected = [0.5, 1 / (1 + np.exp(10)), 1 / (1 + np.exp(-10)), 1 / (1 + np.exp(1))]
    np.testing.assert_allclose(labels("probabilistic", samples, 0.1, 0), expected)
    np.testing.assert_allclose(labels("probabilistic", samples, 0.2, 0)[3], 1 / (1 + np.exp(0.5)))
    assert labels("transformed", samples, 0.1, 0.1).tolist() == [1, 0, 1, 1]


def test_labels_of_several_samples_by_hand() -> None:
    small = np.array([[0.2, 0.6], [0.5, NAN], [0.3, NAN]])
    large = np.array([[0.4, 0.6], [0.1, 0.9], [0.4, NAN]])
    samples = Samples(np.arange(3), small, large)
    # .2 beats none, .6 both; .5 beats .1 only; one sample each: the gap is -.1.
    np.testing.assert_allclose(labels("probabilistic", samples, 0.1, 0), [0.5, 0.5, 1 / (1 + np.e)])
    assert labels("deterministic", samples, 0.1, 0).tolist() == [0, 1, 0]
    np.testing.assert_allclose(share_good_enough(samples, 0.2), [0.75, 0.5, 1])
    np.testing.assert_allclose(share_good_enough(samples, 0.4), [1, 1, 1])


def test_samples_of_a_table() -> None:
    table = small_table([[0.5, 1, 0], [1, NAN, 0], [0, 1, 1]])
    values = np.full((3, 3, 2), NAN)
    values[0] = [[0, 1], [1, 1], [0, 0]]
    values[2, 0, 0], values[2, 2] = 0, [1, 1]
    samples = samples_of(replace(table, outcomes=replace(table.outcomes, samples=values)), 0, 1)
    assert samples.rows.tolist() == [0, 2], "a missing cell leaves a query out"
    np.testing.assert_array_equal(samples.small, [[0, 1], [0, NAN]])
    np.testing.assert_array_equal(samples.large, [[1, 1], [1, NAN]], "a bare score is one sample")
    np.testing.assert_array_equal(samples.gap, [-0.5, -1])
    assert samples_of(table, 0, 2).small.tolist() == [[0.5], [1], [0]]


def test_spread_by_hand() -> None:
    values = np.random.default_rng(0).random(30)
    assert spread(values) == pytest.approx(np.abs(values[:, None] - values).mean())
    for share in (0.0, 0.3, 1.0):
        hard = (np.arange(10) < 10 * share).astype(float)
        assert spread(hard) == pytest.approx(2 * share * (1 - share))


def test_margin_by_hand() -> None:
    # The large one leads by 0, .1, .2, …, .9: half of the labels are 1 from .4 on.
    assert margin(one_sample([0.0] * 10, np.arange(10) / 10)) == pytest.approx(0.405, abs=0.006)
    # Hard scores: any margin below 1 is the same, and 0 is the least of equals.
    assert margin(one_sample([1, 0, 0], [1, 1, 1])) == 0
    assert margin(one_sample([1, 1], [0, 1])) == 0
    # Pr[q_S ≥ q_L − t] at t = 0 is 0 and 1/2; from .2 on 1/2 and 1; from .5 on 1 and 1.
    both = Samples(
        np.arange(2), np.array([[0.3, 0.0], [0.5, 0.5]]), np.array([[0.5, 0.5], [0.5, 0.6]])
    )
    np.testing.assert_allclose(share_good_enough(both, 0.0), [0, 0.5])
    assert margin(both) == pytest.approx(0.1)


def test_threshold_by_hand() -> None:
    samples = one_sample([0, 1, 0, 1, 1], [1, 1, 1, 1, 0])
    predicted = np.array([0.1, 0.3, 0.4, 0.8, 0.9])

    def found(**values: Any) -> float:
        return threshold_for(Hybrid.Options(**values), predicted, samples)

    # By default validation may lose 1% of the large model's quality: here nothing.
    assert found() == found(max_drop=1) == pytest.approx(0.2)
    assert found(threshold=0.5) == 0.5
    assert found(threshold=0.5, max_drop=25) == 0.0, "a preset's threshold gives way"
    assert found(threshold=0.25) == 0.25
    # Always the large: 4 right. From .35 on small: −1 +1; from .2: the same; from 0: −2 +1.
    assert found(max_drop=0) == pytest.approx(0.2)
    assert found(max_drop=25) == 0.0
    assert found(call_share=0.4) == pytest.approx(0.35)
    assert found(call_share=0.5) == pytest.approx(0.35), "of equally near ones the fewer calls"
    assert found(call_share=0) == 0.0
    assert found(call_share=1) > 0.9
    assert (
        threshold_for(Hybrid.Options(max_drop=1), predicted[:0], samples.take(np.arange(0))) == 0.5
    )
    # From 0 on the small one gains, by luck; the large one is better just above.
    lucky = one_sample([1, 0, 1], [0, 1, 1])
    three = np.array([0.1, 0.3, 0.8])
    assert threshold_for(Hybrid.Options(max_drop=0), three, lucky) == pytest.approx(0.55)
    never = one_sample([0] * 5, [1] * 5)
    assert threshold_for(Hybrid.Options(max_drop=0), predicted, never) > 0.9
