"""Means of per-query columns over resamples."""

from __future__ import annotations

import numpy as np

from routebench.metrics.per_query import PerQuery, resample


def entrant(score: list[float], choice: list[int]) -> PerQuery:
    usage = [np.array(choice) == model for model in range(2)]
    return PerQuery({"score": np.array(score)}, usage)


def test_entrants_with_equal_columns_have_the_same_means() -> None:
    first, other = [1.0, 0.0, 0.25, 1.0], [0.0, 0.0, 0.25, 1.0]
    choice = [0, 1, 1, 0]
    made = resample(
        [entrant(first, choice), entrant(other, choice), entrant(first, choice)],
        np.arange(4),
        resamples=50,
        seed=0,
    )
    assert made[0] is made[2]
    assert made[0] is not made[1]
    alone = resample([entrant(other, choice)], np.arange(4), resamples=50, seed=0)[0]
    np.testing.assert_array_equal(made[1].samples["score"], alone.samples["score"])
    np.testing.assert_array_equal(made[1].usage_samples, alone.usage_samples)
    assert made[1].point["score"] == np.mean(other)


def test_equal_scores_of_other_choices_are_told_apart() -> None:
    score = [1.0, 0.0, 0.25, 1.0]
    made = resample(
        [entrant(score, [0, 1, 1, 0]), entrant(score, [0, 0, 1, 1])],
        np.arange(4),
        resamples=50,
        seed=0,
    )
    np.testing.assert_array_equal(made[0].samples["score"], made[1].samples["score"])
    assert (made[0].usage_samples != made[1].usage_samples).any()
