"""The statistics of the gate, against known answers and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from routebench.comparison.verdict import Verdict, jensen_shannon, queries_needed, verdict, verdicts
from routebench.metrics.effects import (
    Differences,
    Effect,
    flips,
    lower_bound,
    same,
    typical_size,
    weighed,
)
from routebench.metrics.statistics import mcnemar


def signs(losses: int, gains: int, n: int) -> Differences:
    difference = np.zeros(n)
    difference[:losses], difference[losses : losses + gains] = -1, 1
    return Differences(difference, -1, 1)


@pytest.mark.parametrize(("losses", "gains"), [(10, 2), (5, 5), (1, 0), (30, 12)])
def test_p_is_the_exact_one_sided_mcnemar(losses: int, gains: int) -> None:
    p = flips(losses, gains, 500).p
    assert p == pytest.approx(binom.sf(losses - 1, losses + gains, 0.5))
    if losses > gains:
        assert p == pytest.approx(mcnemar(losses, gains) / 2)


@pytest.mark.parametrize("losses", [0, 1, 7])
def test_a_bound_on_losses_alone_is_clopper_pearsons(losses: int) -> None:
    n = 400
    assert lower_bound(losses, 0, n) == pytest.approx(-beta.ppf(0.975, losses + 1, n - losses))


def test_a_bound_where_every_query_flips() -> None:
    assert lower_bound(3, 0, 3) == -1
    assert -1 < lower_bound(3, 5, 8) < 0.25


@pytest.mark.parametrize(("losses", "gains", "n"), [(0, 0, 300), (13, 13, 1300), (52, 13, 1300)])
def test_weights_agree_with_the_exact_effect(losses: int, gains: int, n: int) -> None:
    exact = flips(losses, gains, n)
    drawn = weighed([signs(losses, gains, n)], np.arange(n))[0]
    assert drawn.value == pytest.approx(exact.value)
    assert drawn.low == pytest.approx(exact.low, abs=6e-4)
    assert drawn.high == pytest.approx(exact.high, abs=6e-4)
    assert drawn.p == pytest.approx(exact.p, abs=0.02)
    assert drawn.mde == pytest.approx(exact.mde, rel=0.05)


def test_columns_are_the_same_alone_and_together() -> None:
    one, other = signs(9, 3, 200), signs(2, 5, 200)
    clusters = np.arange(200)
    assert weighed([one, other], clusters)[1] == weighed([other], clusters)[0]
    assert weighed([], clusters) == []


def test_rows_of_a_cluster_are_one_query() -> None:
    alone = weighed([signs(30, 10, 300)], np.arange(300))[0]
    ten = np.repeat(signs(30, 10, 300).difference, 10)
    clustered = weighed([Differences(ten, -1, 1)], np.repeat(np.arange(300), 10))[0]
    assert clustered.low == pytest.approx(alone.low, abs=1e-9)
    assert clustered.value == pytest.approx(alone.value)


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    difference = np.sign(rng.normal(size=(5, 400))) * (rng.random((5, 400)) < 0.1)
    level = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])[:, None]
    shifted = Differences(difference + level, -1, 1)
    mean = Differences((difference + level).mean(axis=0), -1, 1)
    by_seed, averaged = weighed([shifted, mean], np.arange(400))
    assert by_seed.high - by_seed.low > 2 * (averaged.high - averaged.low)


def test_a_relative_difference_is_divided_by_its_base() -> None:
    base = np.full(300, 4.0)
    found = weighed(
        [Differences(np.where(np.arange(300) < 30, -2.0, 0), -2, 2, base)], np.arange(300)
    )
    assert found[0].value == pytest.approx(-0.05)
    nothing = weighed([Differences(np.full(300, -1.0), -2, 2, np.zeros(300))], np.arange(300))[0]
    assert math.isnan(nothing.value)
    assert verdict(nothing, 0.02, 1.0) is Verdict.INCONCLUSIVE


def effect(value: float, low: float, p: float) -> Effect:
    return Effect(value, low, 0.1, p, 0.02)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (effect(0.0, -0.009, 1.0), Verdict.PASS),
        (effect(-0.005, -0.0099, 0.001), Verdict.PASS),  # certain, and smaller than the margin
        (effect(0.0, -0.01, 1.0), Verdict.INCONCLUSIVE),  # a loss of the margin is not excluded
        (effect(-0.02, -0.05, 0.04), Verdict.REGRESSION),
        (effect(-0.01, -0.05, 0.04), Verdict.REGRESSION),
        (effect(-0.02, -0.05, 0.05), Verdict.INCONCLUSIVE),
        (effect(-0.009, -0.05, 0.001), Verdict.INCONCLUSIVE),
        (same(), Verdict.PASS),
    ],
)
def test_verdicts(found: Effect, told: Verdict) -> None:
    assert verdict(found, 0.01, found.p) is told


def test_identical_decisions_pass_whatever_the_margin() -> None:
    assert verdict(same(), 0.0, 1.0) is Verdict.PASS


def test_a_family_is_adjusted_by_holm() -> None:
    sure, close = effect(-0.02, -0.05, 0.001), effect(-0.02, -0.05, 0.03)
    told, adjusted = verdicts([close, sure, close], [0.01] * 3)
    assert told == [Verdict.INCONCLUSIVE, Verdict.REGRESSION, Verdict.INCONCLUSIVE]
    assert adjusted.tolist() == pytest.approx([0.06, 0.003, 0.06])
    undefined = Effect(math.nan, math.nan, math.nan, math.nan, math.nan)
    assert verdicts([undefined, sure], [0.01] * 2)[1].tolist() == pytest.approx([1.0, 0.002])


def test_more_queries_are_needed_the_nearer_the_margin() -> None:
    none, near = flips(32, 32, 1300), flips(38, 26, 1300)
    few, many = (queries_needed(one, 0.01, 1300, 1) for one in (none, near))
    assert few is not None
    assert many is not None
    assert 1300 < few < many
    losing = flips(60, 40, 1300)
    alone, of_many = (queries_needed(losing, 0.01, 1300, k) for k in (1, 36))
    assert alone is not None
    assert of_many is not None
    assert 1300 < alone < of_many
    assert queries_needed(Effect(-0.01 + 1e-9, -0.1, 0.1, 0.4, 0.02), 0.01, 1300, 1) is None


def simulated(discordance: float, drop: float, runs: int = 800) -> dict[Verdict, float]:
    rng = np.random.default_rng(3)
    shares = [(discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance]
    told = [
        verdicts([flips(int(losses), int(gains), 1300)], [0.01])[0][0]
        for losses, gains, _ in rng.multinomial(1300, shares, runs)
    ]
    return {one: told.count(one) / runs for one in Verdict}


@pytest.mark.parametrize("discordance", [0.02, 0.05])
def test_without_a_change_a_regression_is_rare(discordance: float) -> None:
    assert simulated(discordance, 0.0)[Verdict.REGRESSION] <= 0.05 + 0.015


@pytest.mark.parametrize("discordance", [0.02, 0.05])
def test_a_loss_of_the_margin_hardly_ever_passes(discordance: float) -> None:
    assert simulated(discordance, 0.01)[Verdict.PASS] <= 0.025 + 0.011


def test_a_loss_of_three_points_is_found() -> None:
    assert simulated(0.05, 0.03)[Verdict.REGRESSION] >= 0.95


def test_the_divergence_of_models_used() -> None:
    even, one, other = np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert jensen_shannon(even, even) == 0
    assert jensen_shannon(one, other) == pytest.approx(1)
    assert jensen_shannon(even, one) == pytest.approx(0.3113, abs=1e-4)


def test_the_typical_size_of_steps_is_that_of_the_large_ones() -> None:
    assert typical_size(np.array([2.0, 2.0, 0.0])) == pytest.approx(2)
    assert typical_size(np.array([-1.0, -9.0])) == pytest.approx(8.2)
    assert typical_size(np.zeros(3)) == 0
