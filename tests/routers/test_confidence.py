from __future__ import annotations

import numpy as np
from conftest import small_table

from routebench.metrics import calibration
from routebench.routers.confidence import Confidence


def test_the_highest_of_noisy_estimates_is_brought_down_to_what_holds() -> None:
    rng = np.random.default_rng(0)
    truth = np.full((4000, 6), 0.6)
    noisy = np.clip(truth + rng.normal(0, 0.15, truth.shape), 0.01, 0.99)
    choice = noisy.argmax(axis=1)
    known, new = np.arange(2000), np.arange(2000, 4000)
    score = (rng.random(truth.shape) < truth) * 1.0
    learned = Confidence.learn(noisy[known], choice[known], small_table(score[known]))
    ones = np.ones((1, len(new)))
    right = score[new, choice[new]]
    raw = calibration.ece(noisy[new].max(axis=1), right, ones)[0]
    made = calibration.ece(learned(noisy[new], choice[new]), right, ones)[0]
    assert raw > 0.15
    assert made < 0.05


def test_what_is_right_already_stays() -> None:
    rng = np.random.default_rng(1)
    expected = rng.uniform(0.05, 0.95, (5000, 1)) * [1, 0]
    score = (rng.random(expected.shape) < expected) * 1.0
    choice = np.zeros(5000, dtype=np.int64)
    learned = Confidence.learn(expected, choice, small_table(score))
    assert np.abs(learned(expected, choice) - expected[:, 0]).max() < 0.04


def test_too_little_changes_nothing() -> None:
    expected = np.array([[0.2, 0.9], [1.5, 0.1]])
    choice = np.array([1, 0])
    for score in ([[0, 1], [1, 0]], [[np.nan, np.nan], [1, 1]]):
        learned = Confidence.learn(expected, choice, small_table(score))
        assert learned == Confidence()
        assert learned(expected, choice).tolist() == [0.9, 1.0]
    all_right = Confidence.learn(np.ones((50, 2)), np.zeros(50, int), small_table(np.ones((50, 2))))
    assert all_right == Confidence()


def test_scores_between_0_and_1_count_as_both() -> None:
    expected = np.tile([[0.9, 0.1]], (200, 1))
    choice = np.zeros(200, dtype=np.int64)
    learned = Confidence.learn(expected, choice, small_table(np.full((200, 2), 0.3)))
    assert np.allclose(learned(expected, choice), 0.3, atol=0.01)
