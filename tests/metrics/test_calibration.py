from __future__ import annotations

import numpy as np
import pytest

from routebench.metrics.bootstrap import Draw
from routebench.metrics.calibration import RiskCoverage, brier, ece
from routebench.records import Floats, Ints


def ones(n: int) -> Floats:
    return np.ones((1, n))


def world(seed: int, n: int = 60) -> tuple[Floats, Floats, Ints]:
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, 25, n) / 24 if seed % 2 else rng.random(n)
    score = rng.integers(0, 3, n) / 2
    return confidence, score, Draw(n).counts(10, rng).astype(np.int64)


def test_brier_by_hand() -> None:
    confidence, score = np.array([0.5, 1.0, 0.2]), np.array([1.0, 1.0, 0.5])
    assert brier(confidence, score, ones(3)) == pytest.approx((0.25 + 0.09) / 3)
    weighted = brier(confidence, score, np.array([[2, 0, 1], [0, 0, 0]], np.uint8))
    np.testing.assert_allclose(weighted, [(0.5 + 0.09) / 3, np.nan])


def test_ece_by_hand() -> None:
    confidence, score = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
    assert ece(confidence, score, ones(4), bins=2) == pytest.approx((0.35 + 0.15) / 2)
    assert ece(confidence, score, ones(4), bins=1) == pytest.approx(0.25)
    assert ece(confidence, score, ones(4)) == pytest.approx((0.1 + 0.8 + 0.2 + 0.1) / 4)
    assert np.isnan(ece(confidence, score, np.zeros((1, 4)))).all()


def test_ece_does_not_split_equal_confidences() -> None:
    confidence, score = np.full(100, 0.7), (np.arange(100) < 70).astype(np.float64)
    assert ece(confidence, score, ones(100)) == pytest.approx(0, abs=1e-12)
    confidence[:3] = [0.1, 0.2, 0.9]
    # One bin of .9 and all of .7, one of .2 and .1.
    assert ece(confidence, score, ones(100), bins=2) == pytest.approx((0.8 + 1.7) / 100)


@pytest.mark.parametrize("n", [15, 100, 152])
def test_ece_bins_are_of_equal_mass(n: int) -> None:
    # Errors of one sign in every bin do not cancel; across an edge they would.
    confidence = np.arange(n) / n
    for bins in (2, 15):
        sizes = [len(part) for part in np.split(np.arange(n), bins)] if n % bins == 0 else None
        of = bins * (2 * np.arange(n)[::-1] + 1) // (2 * n)
        found = np.bincount(of)
        assert found.max() - found.min() <= 1
        assert sizes is None or sorted(found) == sizes
        sign = np.where(of % 2, 0.25, -0.25)
        assert ece(confidence, confidence + sign, ones(n), bins) == pytest.approx(0.25)


def test_ece_bins_stay_in_resamples() -> None:
    confidence, score, counts = world(1)
    found = ece(confidence, score, counts)
    values, place = np.unique(confidence, return_inverse=True)
    below = np.searchsorted(np.sort(-confidence), -values)
    middle = below + np.bincount(place) / 2
    bins = np.floor(15 * middle / len(confidence)).astype(int)[place]
    for b, drawn in enumerate(counts):
        off = [abs((drawn * (confidence - score))[bins == k].sum()) for k in range(15)]
        assert found[b] == pytest.approx(sum(off) / drawn.sum())


def test_calibrated_forecasts() -> None:
    """With k to a bin the gap is near normal of variance mean p(1 − p) / k: its mean is known."""
    rng = np.random.default_rng(0)
    gaps, errors, expected = [], [], []
    for _ in range(60):
        p = rng.random(1500)
        right = (rng.random(1500) < p).astype(float)
        gaps.append(ece(p, right, ones(1500))[0])
        errors.append(brier(p, right, ones(1500))[0])
        spread = np.sqrt((np.sort(p) * (1 - np.sort(p))).reshape(15, 100).mean(axis=1) / 100)
        expected.append(np.sqrt(2 / np.pi) * spread.mean())
    assert np.mean(gaps) == pytest.approx(np.mean(expected), rel=0.06)
    assert np.mean(errors) == pytest.approx(1 / 6, rel=0.02)


def test_brier_of_the_true_chance() -> None:
    right = np.random.default_rng(1).random(200_000) < 0.3
    assert brier(np.full(200_000, 0.3), right.astype(np.float64), ones(200_000)) == pytest.approx(
        0.21, abs=2e-3
    )


def test_risk_coverage_by_hand() -> None:
    curve = RiskCoverage.of(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1.0, 0.0, 1.0, 0.5]))
    coverage, risk = curve.points()
    np.testing.assert_allclose(coverage, [0.25, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 3, 1.5 / 4])
    # Of the two at .5 either may come first: half an error among two, one among three.
    assert curve.area(ones(4)) == pytest.approx((0 + 0.5 / 2 + 1 / 3 + 1.5 / 4) / 4)
    coverage, risk = curve.points(np.array([0, 0, 3, 1]))
    np.testing.assert_allclose((coverage, risk), [[0.75, 1], [0, 0.125]])
    assert np.isnan(curve.area(np.zeros((1, 4)))).all()


def test_constant_confidence_has_the_overall_risk() -> None:
    _, score, counts = world(2)
    curve = RiskCoverage.of(np.full(60, 0.4), score)
    np.testing.assert_allclose(curve.area(counts), 1 - counts @ score / 60)


@pytest.mark.parametrize(("n", "wrong"), [(10, 3), (100, 1), (500, 500), (40, 0)])
def test_perfect_order_has_a_closed_form(n: int, wrong: int) -> None:
    score = (np.arange(n) >= wrong).astype(float)
    harmonic = sum(1 / i for i in range(n - wrong + 1, n + 1))
    expected = wrong / n - (n - wrong) / n * harmonic
    assert RiskCoverage.of(np.arange(n) / n, score).area(ones(n)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_area_is_the_mean_over_the_orders_of_ties(seed: int) -> None:
    confidence, score, counts = world(seed, 25)
    area = RiskCoverage.of(confidence, score).area(counts)
    rng = np.random.default_rng(0)
    for b, drawn in enumerate(counts[:3]):
        c, loss = np.repeat(confidence, drawn), 1 - np.repeat(score, drawn)
        mixed = rng.permuted(np.tile(np.arange(len(c)), (4000, 1)), axis=1)
        order = np.take_along_axis(mixed, np.argsort(-c[mixed], axis=1, kind="stable"), axis=1)
        risks = np.cumsum(loss[order], axis=1) / np.arange(1, len(c) + 1)
        means = risks.mean(axis=1)
        assert area[b] == pytest.approx(means.mean(), abs=5 * means.std() / np.sqrt(4000) + 1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_repeated_rows_in_any_order(seed: int) -> None:
    confidence, score, counts = world(seed)
    curve = RiskCoverage.of(confidence, score)
    area, squares = curve.area(counts), brier(confidence, score, counts)
    rng = np.random.default_rng(seed)
    for b, drawn in enumerate(counts):
        rows = rng.permutation(np.repeat(np.arange(60), drawn))
        again = RiskCoverage.of(confidence[rows], score[rows])
        assert again.area(ones(60)) == pytest.approx(area[b])
        np.testing.assert_allclose(again.points(), curve.points(drawn))
        assert brier(confidence[rows], score[rows], ones(60)) == pytest.approx(squares[b])
    mixed = rng.permutation(60)
    shuffled = ece(confidence[mixed], score[mixed], counts[:, mixed])
    np.testing.assert_allclose(shuffled, ece(confidence, score, counts))


def test_calibration_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ece(np.array([np.nan, 0.5]), np.zeros(2), ones(2))
    with pytest.raises(ValueError, match="one set of queries"):
        RiskCoverage.of(np.zeros(3), np.zeros(2))


def test_no_queries_are_undefined() -> None:
    nothing, counts = np.zeros(0), np.ones((2, 0))
    for found in (
        brier(nothing, nothing, counts),
        ece(nothing, nothing, counts),
        RiskCoverage.of(nothing, nothing).area(counts),
    ):
        assert np.isnan(found).all()
        assert found.shape == (2,)


def test_area_of_counts_that_are_not_whole() -> None:
    confidence, score, counts = world(3)
    curve = RiskCoverage.of(confidence, score)
    np.testing.assert_allclose(curve.area(counts + 1e-9), curve.area(counts), atol=1e-6)
