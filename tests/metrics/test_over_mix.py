"""What matching is worth against the same shares dealt at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from routebench.metrics.headroom import HOLES, ONE_MODEL, over_mix
from routebench.records import Outcomes, State


def outcomes(score: Any) -> Outcomes:
    values = np.array(score, dtype=np.float64)
    state = np.where(np.isnan(values), State.FAILED, State.OK).astype(np.int8)
    return Outcomes(values, state)


def dealt(score: Any, choice: Any, deals: int, seed: int = 0) -> Any:
    """The accuracy of a choice, and of so many random orders of it."""
    rng, rows = np.random.default_rng(seed), np.arange(len(choice))
    return score[rows, choice].mean(), np.array(
        [score[rows, rng.permutation(choice)].mean() for _ in range(deals)]
    )


def test_by_hand() -> None:
    # Accuracy 1; half of the queries each to models of mean .5 and .75: a mix has .625.
    found = over_mix(
        outcomes([[1, 0], [1, 1], [0, 1], [0, 1]]), np.array([[0, 0, 1, 1]]), np.arange(4)
    )
    assert found.value == pytest.approx(0.375)
    # Own score above its model's mean: .5 .5 .25 .25; the mix above its own: -.125 .375 -.125 -.125
    influence = np.array([0.5, 0.5, 0.25, 0.25]) - [-0.125, 0.375, -0.125, -0.125] - 0.375
    error = np.sqrt((influence**2).sum() / 16 * 4 / 3)
    assert found.high == pytest.approx(0.375 + 3.1824463 * error)
    assert found.low == pytest.approx(0.375 - 3.1824463 * error)


def test_the_same_shares_dealt_at_random_have_the_accuracy_of_the_mix() -> None:
    rng = np.random.default_rng(1)
    easy = rng.random((400, 1))
    score = (rng.random((400, 3)) < 0.5 * easy + [0.1, 0.2, 0.4]).astype(float)
    choice = np.where(rng.random(400) < 0.5, score.argmax(axis=1), rng.integers(0, 3, 400))
    accuracy, deals = dealt(score, choice, 4000)
    found = over_mix(outcomes(score), choice[None], np.arange(400))
    assert found.value == pytest.approx(accuracy - deals.mean(), abs=4 * deals.std() / 63)
    assert found.low is not None
    assert found.low > 0
    # A deal is worth nothing, and the interval says so about as often as it promises.
    held = 0
    for seed in range(400):
        order = np.random.default_rng(seed).permutation(choice)
        one = over_mix(outcomes(score), order[None], np.arange(400))
        assert one.low is not None
        assert one.high is not None
        held += one.low <= 0 <= one.high
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize("copies", [1, 2])
def test_the_interval_covers_the_truth_in_95_of_100_samples(copies: int) -> None:
    # Model 1 is right on hard queries, 0 on easy ones; the router sees the difference at .75.
    held, worlds, n = 0, 600, 300
    for seed in range(worlds):
        rng = np.random.default_rng([5, seed])
        hard = np.repeat(rng.random(n) < 0.4, copies)
        score = np.column_stack([rng.random(n * copies) < np.where(hard, 0.3, 0.8),
                                 rng.random(n * copies) < np.where(hard, 0.7, 0.5)])  # fmt: skip
        seen = np.repeat(rng.random(n) < 0.75, copies)
        choice = np.where(seen, hard, ~hard).astype(np.int64)
        one = over_mix(outcomes(score.astype(float)), choice[None], np.repeat(np.arange(n), copies))
        # P(1 | hard) = .75: accuracy .6·(.75·.8+.25·.5) + .4·(.75·.7+.25·.3); shares .55 and .45.
        truth = (0.6 * 0.725 + 0.4 * 0.6) - (0.55 * 0.6 + 0.45 * 0.58)
        assert one.low is not None
        assert one.high is not None
        held += one.low <= truth <= one.high
    assert 0.925 <= held / worlds <= 0.975


def test_seeds_are_averaged_and_their_spread_counts() -> None:
    rng = np.random.default_rng(3)
    score = rng.integers(0, 2, (200, 3)).astype(float)
    choice = rng.integers(0, 3, (4, 200))
    choice[0] = score.argmax(axis=1)
    each = [over_mix(outcomes(score), one[None], np.arange(200)).value for one in choice]
    found = over_mix(outcomes(score), choice, np.arange(200))
    assert found.value == pytest.approx(np.mean(each))  # type: ignore[arg-type]
    assert found.high is not None
    assert found.high - found.value > 1.96 * np.std(each, ddof=1) / 2  # type: ignore[operator, arg-type]


def test_a_router_of_one_model_claims_nothing() -> None:
    found = over_mix(outcomes([[1, 0], [0, 1]] * 5), np.zeros((3, 10), np.int64), np.arange(10))
    assert (found.value, found.low, found.high, found.reason) == (0, None, None, ONE_MODEL)


def test_queries_without_an_answer_of_a_chosen_model_are_left_out() -> None:
    score = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [np.nan, 1]])
    found = over_mix(outcomes(score), np.array([[0, 0, 1, 1, 1]]), np.arange(5))
    assert found.value == pytest.approx(0.375)
    score[:3, 0] = np.nan
    lost = over_mix(outcomes(score), np.array([[1, 1, 1, 0, 1]]), np.arange(5))
    assert (lost.value, lost.reason) == (None, HOLES)
    unused = np.column_stack([score[:, 1], 1 - score[:, 1], np.full(5, np.nan)])
    assert over_mix(outcomes(unused), np.array([[0, 1, 0, 1, 0]]), np.arange(5)).value is not None
