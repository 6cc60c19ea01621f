"""Off-policy estimates against cases worked by hand and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from routebench.traffic import estimators

CHOSEN = np.array([0, 0, 1, 1])
TARGET = np.array([0, 1, 1, 1])
PROPENSITY = np.array([0.8, 0.8, 0.2, 0.25])
REWARD = np.array([1.0, 0.0, 1.0, 0.0])
EACH = np.arange(4)


def test_four_events_by_hand() -> None:
    weight = estimators.weights(CHOSEN, TARGET, PROPENSITY)
    np.testing.assert_allclose(weight, [1.25, 0.0, 5.0, 4.0])
    own, aimed = np.array([0.5, 0.5, 0.25, 0.25]), np.array([0.5, 0.25, 0.25, 0.25])
    made = estimators.estimate(REWARD, weight, own, aimed, EACH, resamples=50)
    assert made.logged.value == 0.5
    assert made.snips.value == pytest.approx(6.25 / 10.25)
    residual = 1.25 * 0.5 + 5.0 * 0.75 - 4.0 * 0.25
    assert made.policy.value == pytest.approx(0.3125 + residual / 10.25)
    assert made.difference.value == pytest.approx(made.policy.value - 0.5)
    assert [clip for clip, _ in made.clipped] == [2.0]
    cut = 1.25 * 0.5 + 2.0 * 0.75 - 2.0 * 0.25
    assert made.clipped[0][1].value == pytest.approx(0.3125 + cut / 5.25)


def test_support_by_hand() -> None:
    weight = estimators.weights(CHOSEN, TARGET, PROPENSITY)
    reached = np.array([True, False, True, True])
    made = estimators.support(CHOSEN, TARGET, PROPENSITY, reached, weight)
    assert (made.matched, made.rare) == (3, 2)
    assert made.effective == pytest.approx(10.25**2 / (1.25**2 + 25 + 16))
    assert made.effective_rare == pytest.approx(81 / 41)
    assert made.largest_share == pytest.approx(5 / 10.25)
    assert made.unsupported == 0.25


def test_predictions_are_of_other_sessions() -> None:
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(200), 2)
    chosen, stratum = rng.integers(0, 2, 400), rng.integers(0, 3, 400)
    outcome = rng.random(400)
    own, aimed = estimators.predicted(outcome, chosen, stratum, session, 2, 1 - chosen)
    changed = outcome.copy()
    changed[:2] = 100.0  # the first session's own outcomes
    again, other = estimators.predicted(changed, chosen, stratum, session, 2, 1 - chosen)
    np.testing.assert_allclose(own[:2], again[:2])
    np.testing.assert_allclose(aimed[:2], other[:2])
    assert np.abs(own[2:] - again[2:]).max() > 0.1


def test_a_prediction_by_hand() -> None:
    # Every session in another fold than the last one's: constants are predicted as they are.
    outcome, chosen = np.full(50, 0.25), np.zeros(50, np.int64)
    own, aimed = estimators.predicted(
        outcome, chosen, np.zeros(50, np.int64), np.arange(50), 2, np.full(50, -1)
    )
    np.testing.assert_allclose(own, 0.25)
    np.testing.assert_allclose(aimed, 0.25)


def test_the_interval_is_that_of_a_clustered_mean() -> None:
    rng = np.random.default_rng(1)
    session = np.repeat(np.arange(500), 4)
    outcome = np.repeat(rng.normal(size=500), 4)
    same = np.ones(2000)
    made = estimators.estimate(outcome, same, 0 * same, 0 * same, session)
    error = outcome[::4].std(ddof=1) / np.sqrt(500)
    width = made.logged.high - made.logged.low
    assert width == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_blocks_have_the_same_interval() -> None:
    rng = np.random.default_rng(2)
    outcome, session = rng.random(30_000), np.arange(30_000)
    block = estimators.blocks_of(session, most=1_000)
    assert np.bincount(block).tolist() == [30] * 1_000
    drawn = estimators.summed(block, n=np.ones(30_000), y=outcome).resampled()
    made = estimators.interval(drawn["y"] / drawn["n"])
    error = outcome.std() / np.sqrt(30_000)
    assert made.value == pytest.approx(outcome.mean())
    assert made.high - made.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_few_effective_events_widen_the_interval() -> None:
    sample = np.concatenate([[0.0], np.random.default_rng(3).normal(size=20_000)])
    wide, usual = estimators.interval(sample, 10.0), estimators.interval(sample)
    # t with 9 degrees of freedom, times the square root of 10 / 9
    assert wide.high == pytest.approx(2.262 * np.sqrt(10 / 9), abs=0.1)
    assert usual.high == pytest.approx(1.96, abs=0.05)


def test_bounds_by_hand() -> None:
    lower, upper = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0])
    made = estimators.bounds(lower, upper, EACH, resamples=200)
    assert (made.lowest, made.highest) == (0.5, 0.75)
    assert made.low <= 0.5
    assert made.high >= 0.75


def test_intervals_of_skewed_outcomes_lean_to_the_tail() -> None:
    rng, held, below = np.random.default_rng(3), {True: 0, False: 0}, {True: 0, False: 0}
    truth = float(np.exp(0.5 * 1.2**2))
    for _ in range(200):
        cost = rng.lognormal(0, 1.2, 150)
        chosen = rng.random(150) < 0.5
        weight = np.where(chosen, 2.0, 0.0)
        zero = np.zeros(150)
        for skewed in (True, False):
            made = estimators.estimate(
                cost, weight, zero, zero, np.arange(150), (), 400, skewed
            ).policy
            held[skewed] += made.low <= truth <= made.high
            below[skewed] += made.high < truth
    assert held[True] >= 180 > held[False]
    assert below[True] < below[False]


def test_the_support_of_a_cost_is_that_of_its_dear_requests() -> None:
    weight = np.repeat([10.0, 0.0], 500)
    cheap = np.ones(1000)
    assert estimators.cost_support(cheap, weight, cheap) == pytest.approx(500)
    dear = np.where(np.arange(1000) % 100 == 0, 1e4, 1.0)  # of 500 requests five carry the cost
    assert estimators.cost_support(dear, weight, dear) == pytest.approx(5, rel=0.2)
    noisy = np.where(np.arange(1000) % 2 == 0, 0.5, 1.5)  # a quarter of variance about the mean
    assert estimators.cost_support(noisy, weight, cheap) == pytest.approx(500 / 1.25)
    assert estimators.cost_support(cheap, np.full(1000, 1.2), cheap) == np.inf
