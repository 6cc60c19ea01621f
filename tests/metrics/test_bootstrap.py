from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom
from threadpoolctl import threadpool_limits

from routebench.metrics.bootstrap import Draw, Packed, bootstrap_means


@pytest.mark.parametrize("groups", [1, 2, 5, 16, 17, 200, 3001, 140_000])
def test_every_resample_draws_as_many_clusters_as_there_are(groups: int) -> None:
    counts = Draw(groups).counts(40, np.random.default_rng(0))
    assert counts.shape == (40, groups)
    assert (counts.sum(axis=1, dtype=np.int64) == groups).all()


@pytest.mark.parametrize("groups", [3, 16, 20, 1000])
def test_counts_are_multinomial(groups: int) -> None:
    rows = 3_000_000 // groups
    counts = Draw(groups).counts(rows, np.random.default_rng(1))
    total = counts.size
    for k in range(9):
        chance = binom.pmf(k, groups, 1 / groups)
        error = np.sqrt(chance * (1 - chance) / total)
        assert (counts == k).mean() == pytest.approx(chance, abs=5 * error + 1e-12), k
    # Every cluster alike, and two of them compete for the same draws: covariance -1/G.
    assert counts.mean(axis=0) == pytest.approx(1, abs=5 / np.sqrt(rows))
    first, second = counts[:, 0] - 1.0, counts[:, 1] - 1.0
    assert (first * second).mean() == pytest.approx(-1 / groups, abs=5 / np.sqrt(rows))


def test_counts_above_six_come_as_often_as_they_should() -> None:
    counts = Draw(1000).counts(20_000, np.random.default_rng(2))
    expected = binom.sf(6, 1000, 1 / 1000) * counts.size
    assert (counts > 6).sum() == pytest.approx(expected, abs=5 * np.sqrt(expected))


def test_standard_error_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    right, cost = rng.random(2000) < 0.3, rng.lognormal(size=2000)
    samples = bootstrap_means([right, cost])
    for k, column in enumerate((right, cost)):
        assert samples[:, k].mean() == pytest.approx(column.mean(), rel=0.005)
        assert samples[:, k].std() == pytest.approx(column.std() / np.sqrt(2000), rel=0.03)
    correlation = np.corrcoef(right, cost)[0, 1]
    assert np.corrcoef(*samples.T)[0, 1] == pytest.approx(correlation, abs=0.05)


def test_packed_columns_come_back_exact() -> None:
    rng = np.random.default_rng(3)
    columns = [rng.random(5000) < p for p in np.linspace(0.01, 0.99, 11)]
    columns += [rng.integers(0, 40, 5000), -(rng.random(5000) < 0.5).astype(np.float64)]
    together = bootstrap_means(columns, resamples=300)
    np.testing.assert_array_equal(together, np.round(together * 5000) / 5000)
    for k, column in enumerate(columns):
        alone = bootstrap_means([column.astype(np.float64) + 0.25], resamples=300)[:, 0] - 0.25
        np.testing.assert_allclose(together[:, k], alone, atol=1e-12)


def test_sums_are_exact_in_whatever_order_they_are_added() -> None:
    rng = np.random.default_rng(11)
    vectors = [rng.random(999) < 0.5, rng.lognormal(-9, 3, 999), -rng.random(999), np.ones(999) / 3]
    vectors += [1e-310 * rng.random(999), np.where(np.arange(999) == 5, np.nan, 1.0)]
    counts = Draw(999).counts(20, rng)
    sums = Packed.of(vectors, 999).sums([counts])
    for k, vector in enumerate(vectors[:4]):
        for row, drawn in enumerate(counts):
            terms = zip(drawn.tolist(), map(Fraction, vector.tolist()), strict=True)
            assert sums[row, k] == pytest.approx(float(sum(c * v for c, v in terms)), rel=2e-16)
    np.testing.assert_allclose(sums[:, 4], 0, atol=1e-300)  # and no NaN
    np.testing.assert_array_equal(np.isnan(sums[:, 5]), counts[:, 5] >= 0)
    order = rng.permutation(999)
    mixed = Packed.of([vector[order] for vector in vectors], 999)
    np.testing.assert_array_equal(mixed.sums([counts[:7, order], counts[7:, order]]), sums)


def test_columns_that_sum_to_one_do_so_in_every_resample() -> None:
    choice = np.random.default_rng(4).integers(0, 5, 3000)
    samples = bootstrap_means([choice == model for model in range(5)], resamples=500)
    np.testing.assert_allclose(samples.sum(axis=1), 1, atol=1e-12)


def test_calls_are_paired_by_seed_and_stream() -> None:
    values = np.random.default_rng(5).random(700)
    first = bootstrap_means([values], resamples=200, seed=7)
    paired = bootstrap_means([1 - values, values], resamples=200, seed=7)
    np.testing.assert_allclose(paired.sum(axis=1), 1)
    np.testing.assert_allclose(paired[:, 1], first[:, 0])
    for seed, stream in ((8, 0), (7, 1)):
        other = bootstrap_means([values], resamples=200, seed=seed, stream=stream)
        assert np.abs(other - first).min() > 0


def test_equal_columns_get_equal_means_to_the_last_bit() -> None:
    values = np.random.default_rng(6).random(999)
    samples = bootstrap_means([values, 2 * values, values.copy()], resamples=100)
    np.testing.assert_array_equal(samples[:, 0], samples[:, 2])


def test_rows_drawn_together_widen_the_interval() -> None:
    values = np.random.default_rng(7).random(400)
    once = bootstrap_means([values])
    doubled, clusters = np.repeat(values, 2), np.repeat(np.arange(400), 2)
    np.testing.assert_allclose(bootstrap_means([doubled], clusters), once)
    ignored = bootstrap_means([doubled])
    assert once.std() / ignored.std() == pytest.approx(np.sqrt(2), rel=0.03)


def test_unequal_clusters_are_divided_by_what_was_drawn() -> None:
    clusters = np.repeat([5, 9, 2, 7], [1, 10, 3, 6])
    values = (clusters == 9) * 1.0
    samples = bootstrap_means([np.full(20, 0.7), values], clusters, resamples=2000)
    np.testing.assert_allclose(samples[:, 0], 0.7)
    assert set(samples[:, 1][:50]) <= {
        10 * k / (10 * k + rest) for k in range(4) for rest in range(1, 25)
    } | {1.0}
    assert samples[:, 1].max() == 1


def test_three_seeds_are_resampled_and_two_averaged() -> None:
    skill = np.array([0.0, 3.0, 9.0])
    three = bootstrap_means([np.repeat(skill[:, None], 50, axis=1)])[:, 0]
    assert three.std() == pytest.approx(skill.std() / np.sqrt(3), rel=0.03)
    assert set(np.round(three, 9)) == {
        round((a + b + c) / 3, 9) for a in skill for b in skill for c in skill
    }
    two = bootstrap_means([np.repeat(skill[:2, None], 50, axis=1)], resamples=100)
    np.testing.assert_array_equal(two, 1.5)


def test_routers_share_the_seeds_of_a_resample() -> None:
    skill = np.array([0.1, 0.2, 0.4])[:, None] + np.zeros(30)
    samples = bootstrap_means([skill, skill + 1, np.full(30, 0.5)], resamples=500)
    np.testing.assert_allclose(samples[:, 1] - samples[:, 0], 1)
    np.testing.assert_allclose(samples[:, 2], 0.5)


def test_seeds_and_queries_are_crossed() -> None:
    rng = np.random.default_rng(8)
    values = rng.random(300) + rng.normal(0, 0.02, (5, 1))
    samples = bootstrap_means([values])[:, 0]
    queries = values.mean(axis=0).var() / 300
    seeds = values.mean(axis=1).var() / 5
    assert samples.var() == pytest.approx(queries + seeds, rel=0.06)


def test_threads_change_nothing() -> None:
    columns = list(np.random.default_rng(9).random((6, 20_000)))
    with threadpool_limits(1):
        one = bootstrap_means(columns, resamples=200)
    with threadpool_limits(2):
        two = bootstrap_means(columns, resamples=200)
    np.testing.assert_array_equal(one, two)


KERNEL = """
import sys
import numpy as np
from routebench.metrics.bootstrap import bootstrap_means
columns = np.random.default_rng(12).lognormal(size=(5, 3000))
sys.stdout.buffer.write(bootstrap_means(list(columns), resamples=200).tobytes())
"""


def test_blas_kernels_change_nothing() -> None:
    """OpenBLAS takes the kernel from this variable; any other BLAS passes it over."""
    made = {
        subprocess.run(
            [sys.executable, "-c", KERNEL],
            env=os.environ | {"OPENBLAS_CORETYPE": kernel},
            capture_output=True,
            check=True,
        ).stdout
        for kernel in ("Prescott", "Nehalem", "Haswell")
    }
    assert len(made) == 1


def test_memory_stays_bounded() -> None:
    columns = list(np.random.default_rng(10).random((4, 100_000)))
    bootstrap_means(columns[:1], resamples=1)
    tracemalloc.start()
    bootstrap_means(columns, resamples=400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # the counts of all resamples alone would be 40 MB of bytes


def test_nan_stays_in_its_column() -> None:
    values = np.array([0.5, np.nan, 0.25])
    samples = bootstrap_means([values, np.array([1.0, 0, 1]), np.ones(3)], resamples=50)
    assert np.isnan(samples[:, 0]).all()
    assert np.isfinite(samples[:, 1:]).all()


def test_nothing_to_resample() -> None:
    with pytest.raises(ValueError, match="nothing to resample"):
        bootstrap_means([np.array([])])
    with pytest.raises(ValueError, match="2 cluster ids for 3 rows"):
        bootstrap_means([np.ones(3)], np.array([0, 1]))
