from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from routebench.metrics.bootstrap import bootstrap_means
from routebench.metrics.statistics import (
    bootstrap_p,
    clopper_pearson,
    difference,
    holm,
    interval,
    mcnemar,
    mde,
    proportion_interval,
    ranks,
    ratio,
    tied,
)


def test_ratio_over_zero_is_nan_and_silent() -> None:
    np.testing.assert_array_equal(ratio([1, 0, 3], [0, 0, 2]), [np.nan, np.nan, 1.5])
    assert ratio(1, 4).shape == ()


def test_a_difference_that_is_rounding_is_none() -> None:
    assert 0.1 + 0.2 > 0.3
    assert difference(0.1 + 0.2, 0.3) == 0
    # Three seeds in two orders, of which the means are .2 and the next number above.
    np.testing.assert_array_equal(
        difference([(0.1 + 0.2 + 0.3) / 3, 0.2, 0.2], [(0.3 + 0.2 + 0.1) / 3, 0.2, 0.2 - 1e-9]),
        [0, 0, 0.2 - (0.2 - 1e-9)],
    )
    # Two rewards of .5 · .3 − .5 · .3 and of (.1 + .2) / 2 − .15, both of them nothing.
    rewards = 0.5 * 0.3 - 0.5 * 0.3, (0.1 + 0.2) / 2 - 0.15
    assert rewards[1] > rewards[0]
    np.testing.assert_array_equal(difference([rewards[1], 1], [rewards[0], 0]), [0, 1])
    # Costs are small numbers, and no rounding.
    assert difference(3e-13, 2e-13) == 3e-13 - 2e-13
    np.testing.assert_array_equal(difference([np.nan, 1], 0.25), [np.nan, 0.75])
    np.testing.assert_array_equal(difference([np.inf, 1], [0.25, 0]), [np.inf, 1])
    assert difference([], []).shape == (0,)


def test_values_that_differ_by_rounding_sort_as_equal() -> None:
    values = tied(np.array([0.1 + 0.2, -0.3, 0.3, 0.3 + 1e-9, 0.0]))
    assert values[0] == values[2] == -values[1] < values[3]
    np.testing.assert_array_equal(tied(np.zeros(2)), [0, 0])


def test_interval_is_the_middle_95_percent() -> None:
    found = interval(np.arange(1001.0))
    assert (found.low, found.high, found.undefined) == (25, 975, 0)


@pytest.mark.parametrize("n", [1, 2, 3, 40, 999, 1000, 1001])
def test_the_bounds_are_numpys_to_the_last_bit(n: int) -> None:
    samples = np.random.default_rng(n).normal(size=n)
    found = interval(samples)
    assert [found.low, found.high] == np.quantile(samples, [0.025, 0.975]).tolist()


def test_undefined_resamples_are_left_out_and_counted() -> None:
    found = interval(np.concatenate([np.arange(1001.0), np.full(999, np.nan)]))
    assert (found.low, found.high) == (25, 975)
    assert found.undefined == pytest.approx(999 / 2000)
    nothing = interval(np.full(10, np.nan))
    assert np.isnan([nothing.low, nothing.high]).all()
    assert nothing.undefined == 1


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 10), (499, 500)])
def test_clopper_pearson_is_scipys(k: int, n: int) -> None:
    exact = binomtest(k, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(k, n) == pytest.approx((exact.low, exact.high))


def test_all_right_does_not_claim_certainty() -> None:
    found = proportion_interval(np.ones(100), 50)
    assert found.low == pytest.approx(0.025 ** (1 / 50))
    assert found.high == 1
    never = proportion_interval(np.zeros(100), 50)
    assert never.low == 0
    assert never.high == pytest.approx(1 - 0.025 ** (1 / 50))


def test_other_proportions_keep_the_percentiles() -> None:
    samples = np.linspace(0.9, 1.0, 1001)
    assert proportion_interval(samples, 50) == interval(samples)
    assert proportion_interval(np.full(9, 0.5), 50).low == 0.5


@pytest.mark.parametrize(
    "pairs", [(0, 0), (0, 6), (1, 9), (5, 5), (12, 30), (700, 600), (995, 1005), (1003, 998)]
)
def test_mcnemar_is_the_exact_binomial(pairs: tuple[int, int]) -> None:
    expected = binomtest(pairs[0], sum(pairs)).pvalue if sum(pairs) else 1.0
    assert mcnemar(*pairs) == pytest.approx(expected)
    assert mcnemar(*pairs) == mcnemar(*pairs[::-1])


def test_bootstrap_p_is_twice_the_smaller_tail_and_never_zero() -> None:
    assert bootstrap_p(np.array([1.0] * 97 + [-1.0] * 2)) == pytest.approx(2 * 3 / 100)
    assert bootstrap_p(np.ones(999)) == pytest.approx(2 / 1000)
    assert bootstrap_p(-np.ones(999)) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.zeros(999)) == 1


def test_bootstrap_p_holds_its_level() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for world in range(400):
        difference = rng.choice([-1.0, 0.0, 1.0], size=300, p=[0.15, 0.7, 0.15])
        rejected += bootstrap_p(bootstrap_means([difference], resamples=400, seed=world)) < 0.05
    assert 0.02 <= rejected / 400 <= 0.085


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.03, 0.5, 0.01, 0.9]), [0.09, 1, 0.04, 1])
    assert holm([]).shape == (0,)
    assert holm([0.2]) == [0.2]


def test_ranks_share_ties() -> None:
    # b is surely better than c; a lies between and differs surely from neither.
    differences = np.array([[0, -0.1, 0.1], [0.1, 0, 0.2], [-0.1, -0.2, 0]])
    p = np.array([[1, 0.3, 0.3], [0.3, 1, 0.001], [0.3, 0.001, 1]])
    assert ranks(differences, p) == [1, 1, 2]


def test_ranks_count_everyone_who_is_better() -> None:
    accuracy = np.array([0.5, 0.9, 0.7])
    differences = accuracy[:, None] - accuracy
    assert ranks(differences, np.full((3, 3), 1e-6)) == [3, 1, 2]
    assert ranks(differences, np.ones((3, 3))) == [1, 1, 1]


def test_ranks_adjust_over_all_pairs() -> None:
    # .02 alone would count; times three pairs it does not.
    differences = np.array([[0, 1.0, 1], [-1, 0, 1], [-1, -1, 0]])
    assert ranks(differences, np.full((3, 3), 0.02)) == [1, 1, 1]
    assert ranks(differences[:2, :2], np.full((2, 2), 0.02)) == [1, 2]
    assert ranks(np.zeros((1, 1)), np.ones((1, 1))) == [1]


@pytest.mark.parametrize(("n", "points"), [(500, 5.6), (1298, 3.5), (4326, 1.9)])
def test_mde_known_answers(n: int, points: float) -> None:
    assert round(100 * mde(0.2, n), 1) == points


def test_mde_is_detected_in_four_runs_of_five() -> None:
    rng = np.random.default_rng(1)
    n, effect = 1298, mde(0.2, 1298)
    gain, loss = 0.1 + effect / 2, 0.1 - effect / 2
    counts = rng.multinomial(n, [gain, loss, 1 - 0.2], size=1000)
    found = np.mean([mcnemar(int(a), int(b)) < 0.05 for a, b, _ in counts])
    assert 0.75 <= found <= 0.85


def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(2)
    held = np.zeros(3)
    for world in range(300):
        ease = rng.random(400)
        first, second = (0.8 * ease + 0.2 * rng.random(400) < t for t in (0.62, 0.58))
        cost = rng.exponential(0.002, 400)
        means = bootstrap_means([first, second, cost], resamples=400, seed=world)
        samples = (means[:, 0], means[:, 0] - means[:, 1], means[:, 2])
        for k, truth in enumerate((0.65, 0.05, 0.002)):
            found = interval(samples[k])
            held[k] += found.low <= truth <= found.high
    assert (held / 300 >= 0.905).all()
    assert (held / 300 <= 0.985).all()


@pytest.mark.parametrize("n", [1, 2, 3, 39, 40, 41, 1000])
def test_bounds_are_the_quantiles_to_the_last_bit(n: int) -> None:
    rng = np.random.default_rng(n)
    for samples in (rng.normal(size=n), rng.integers(0, 4, n) / 3, np.full(n, 0.1)):
        found = interval(samples)
        assert [found.low, found.high] == np.quantile(samples, (0.025, 0.975)).tolist()
