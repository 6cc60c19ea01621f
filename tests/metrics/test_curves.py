from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from routebench.metrics.bootstrap import Draw
from routebench.metrics.curves import (
    PairCurve,
    aiq,
    arena_score,
    iso_point,
    lambda_grid,
    mix_lift,
    qnc,
    sweep,
)
from routebench.plugin.selection import best
from routebench.records import Floats, Ints

SEEDS = range(12)


def world(seed: int) -> tuple[Floats, Floats, Floats, Ints]:
    """Tied needs, scores of two models that may be fractions, and counts of resamples."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    need = rng.integers(0, rng.integers(1, 30), n) / 7
    levels = 1 if seed % 2 else 4
    weak = rng.integers(0, levels + 1, n) / levels
    strong = np.maximum(weak, rng.integers(0, levels + 1, n) / levels)
    strong[rng.random(n) < 0.3] = 0
    return need, weak, strong, Draw(n).counts(20, rng).astype(np.int64)


def slow_points(need: Floats, weak: Floats, strong: Floats) -> list[tuple[float, float]]:
    """Every threshold, one at a time."""
    found = [(0.0, float(weak.mean()))]
    for threshold in sorted(set(need), reverse=True):
        up = need >= threshold
        found.append((float(up.mean()), float(np.where(up, strong, weak).mean())))
    return found


def slow_apgr(need: Floats, weak: Floats, strong: Floats) -> float:
    low, high = weak.mean(), strong.mean()
    if high - low <= 1e-12:
        return float("nan")
    points = slow_points(need, weak, strong)
    pairs = pairwise(points)
    area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairs)
    return float((area - low) / (high - low))


def slow_cpt(p: float, need: Floats, weak: Floats, strong: Floats) -> float:
    low, high = weak.mean(), strong.mean()
    if high - low <= 1e-12:
        return float("nan")
    level = low + p * (high - low)
    points = slow_points(need, weak, strong)
    if points[0][1] >= level - 1e-12:
        return 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if y1 >= level - 1e-12:
            return float(x0 + (x1 - x0) * min(1, (level - y0) / (y1 - y0)))
    return float("nan")


def apgr(curve: PairCurve, counts: Any) -> Floats:
    return curve.measures((), counts)[:, 0]


def cpt(curve: PairCurve, p: float, counts: Any) -> Floats:
    return curve.measures((p,), counts)[:, 1]


def ones(n: int) -> Floats:
    return np.ones((1, n))


@pytest.mark.parametrize("seed", SEEDS)
def test_pair_curve_is_the_slow_one_on_rows_that_are_really_repeated(seed: int) -> None:
    need, weak, strong, counts = world(seed)
    curve = PairCurve.of(need, weak, strong)
    area, half, most = curve.measures((0.5, 0.8), counts).T
    for b, drawn in enumerate(counts):
        rows = [np.repeat(v, drawn) for v in (need, weak, strong)]
        again = PairCurve.of(*rows)
        for fast, slow, repeated in (
            (area[b], slow_apgr(*rows), apgr(again, ones(len(rows[0])))[0]),
            (half[b], slow_cpt(0.5, *rows), cpt(again, 0.5, ones(len(rows[0])))[0]),
            (most[b], slow_cpt(0.8, *rows), cpt(again, 0.8, ones(len(rows[0])))[0]),
        ):
            assert fast == pytest.approx(slow, abs=1e-9, nan_ok=True)
            assert fast == pytest.approx(repeated, abs=1e-9, nan_ok=True)


def test_pair_curve_by_hand() -> None:
    # Quality .25 → .5 (one call) → .25 (a harmful one) → .5 → .75.
    weak, strong = np.array([0.0, 1, 0, 0]), np.array([1.0, 0, 1, 1])
    curve = PairCurve.of(np.array([4.0, 3, 2, 1]), weak, strong)
    area = 0.25 * (0.125 + 0.5 + 0.25 + 0.5 + 0.375)
    assert apgr(curve, ones(4)) == pytest.approx((area - 0.25) / 0.5)
    assert cpt(curve, 0.25, ones(4)) == pytest.approx(0.125)  # the first of three crossings
    assert cpt(curve, 0.5, ones(4)) == pytest.approx(0.25)  # touched at a peak
    assert cpt(curve, 0.75, ones(4)) == pytest.approx(0.875)
    assert cpt(curve, 1.0, ones(4)) == pytest.approx(1)
    assert cpt(curve, 0.0, ones(4)) == 0
    assert np.isnan(cpt(curve, 1.1, ones(4))).all()


def test_constant_need_is_one_half_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    weak, strong = rng.random(999), rng.random(999) + 0.5
    counts = Draw(999).counts(50, rng)
    assert (apgr(PairCurve.of(np.full(999, 0.3), weak, strong), counts) == 0.5).all()


@pytest.mark.parametrize("strong", [[1, 0, 1], [0.1 + 0.2, 0.3, 0.9], [0, 0, 0]])
def test_no_gain_is_undefined(strong: list[float]) -> None:
    curve = PairCurve.of(np.arange(3.0), np.array([0.3, 0.3, 0.9]) if strong[0] < 1 else
                         np.array([1.0, 1, 0]), np.array(strong, float))  # fmt: skip
    assert np.isnan(apgr(curve, ones(3))).all()
    assert np.isnan(cpt(curve, 0.5, ones(3))).all()
    assert np.isnan(apgr(curve, np.zeros((1, 3)))).all()


def test_no_queries_are_undefined() -> None:
    curve = PairCurve.of(*np.zeros((3, 0)))
    assert np.isnan(apgr(curve, np.ones((2, 0)))).all()
    assert np.isnan(cpt(curve, 0.5, np.ones((2, 0)))).all()


def test_pair_curve_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="NaN"):
        PairCurve.of(np.array([0.1, np.nan]), np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="one set of queries"):
        PairCurve.of(np.zeros(3), np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="for 2 queries"):
        apgr(PairCurve.of(np.zeros(2), np.zeros(2), np.ones(2)), np.ones((1, 3)))


def test_order_of_rows_is_irrelevant() -> None:
    need, weak, strong, counts = world(8)
    mixed = np.random.default_rng(1).permutation(len(need))
    one = apgr(PairCurve.of(need, weak, strong), counts)
    two = apgr(PairCurve.of(need[mixed], weak[mixed], strong[mixed]), counts[:, mixed])
    np.testing.assert_allclose(one, two)


@pytest.mark.parametrize(
    ("task", "weak", "strong", "either", "perfect", "length"),
    [
        ("mmlu", 0.6808, 0.8058, 0.8586, 1.2851, 0.586),
        ("gsm8k", 0.6384, 0.8567, 0.9287, 1.1249, 0.601),
    ],
)
def test_routellm_known_answers(
    shared: Path, task: str, weak: float, strong: float, either: float, perfect: float,
    length: float,
) -> None:  # fmt: skip
    table = pq.read_table(shared / "routellm" / "outcomes.parquet", filters=[("task", "=", task)])
    scores: dict[str, dict[str, float]] = {}
    texts: dict[str, str] = {}
    columns = (table[name].to_pylist() for name in ("query_id", "query", "model", "score"))
    for query, text, model, score in zip(*columns, strict=True):
        scores.setdefault(model, {})[query] = score
        texts[query] = text
    s, w = (np.array([scores[m][q] for q in texts]) for m in sorted(scores))
    assert (w.mean(), s.mean()) == pytest.approx((weak, strong), abs=5e-5)
    assert np.maximum(w, s).mean() == pytest.approx(either, abs=5e-5)
    every = ones(len(w))
    assert apgr(PairCurve.of(s - w, w, s), every) == pytest.approx(perfect, abs=5e-5)
    characters = np.array([float(len(text)) for text in texts.values()])
    assert apgr(PairCurve.of(characters, w, s), every) == pytest.approx(length, abs=5e-4)
    assert apgr(PairCurve.of(np.zeros(len(w)), w, s), every)[0] == 0.5


def predictions(seed: int) -> tuple[Floats, Floats]:
    """Few distinct values, so that there are ties, and models and costs that are not known."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 6))
    quality = rng.integers(0, 6, (30, m)) / 5 if seed % 2 else rng.random((30, m))
    cost = rng.integers(1, 6, m) / 1000
    if seed % 3 == 0:
        quality[:, rng.integers(m)] = np.nan
    if seed % 4 == 0 and m > 3:
        cost[rng.integers(m)] = np.nan
    return quality, cost


@pytest.mark.parametrize("seed", SEEDS)
def test_sweep_chooses_as_everywhere_else(seed: int) -> None:
    quality, cost = predictions(seed)
    # Powers of two tie exactly; the grid does not.
    lambdas = np.append(lambda_grid(quality, cost), [1.0, 64, 128, 200, 1e9])
    considered = np.where(np.isnan(cost), np.nan, quality)
    known = np.where(np.isnan(cost), 0, cost)
    found = sweep(quality, cost, lambdas)
    assert found.dtype == np.int64
    for choice, slope in zip(found, lambdas, strict=True):
        np.testing.assert_array_equal(choice, best(considered - slope * known, cost))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_grid_finds_every_operating_point(seed: int) -> None:
    quality, cost = predictions(seed)
    grid = lambda_grid(quality, cost, points=1000)
    assert grid[0] == 0
    assert (np.diff(grid) > 0).all()
    found = {tuple(choice) for choice in sweep(quality, cost, grid)}
    assert len(found) == len(grid)  # nothing twice
    dense = sweep(quality, cost, np.geomspace(1, 4 * max(grid[-1], 1), 3000))
    assert {tuple(choice) for choice in dense} <= found
    last = sweep(quality, cost, grid)[-1]
    usable = ~np.isnan(quality).all(axis=0) & ~np.isnan(cost)
    assert (cost[last] == cost[usable].min()).all()


def test_grid_by_hand() -> None:
    quality, cost = np.array([[0.9, 0.8, 0.2], [0.5, 0.1, 0.6]]), np.array([3.0, 2, 1])
    # Query 0: dear to middle at .1, middle to cheap at .6. Query 1 is at the cheapest already.
    np.testing.assert_allclose(lambda_grid(quality, cost), [0, 0.35, 1.2])
    np.testing.assert_array_equal(
        sweep(quality, cost, lambda_grid(quality, cost)), [[0, 2], [1, 2], [2, 2]]
    )


def test_long_grid_is_thinned_by_quantiles() -> None:
    rng = np.random.default_rng(0)
    quality, cost = rng.random((5000, 4)), np.array([1.0, 2, 5, 9])
    every, few = lambda_grid(quality, cost, points=10**6), lambda_grid(quality, cost, points=16)
    assert len(few) == 16
    assert set(few) <= set(every)
    assert few[-1] == every[-1]
    switched = np.searchsorted(every, few) / len(every)
    np.testing.assert_allclose(np.diff(switched), 1 / 15, atol=0.01)


@pytest.mark.parametrize(
    ("quality", "cost"),
    [
        ([[0.5, 0.9]], [1, 1]),  # alike in cost
        ([[0.9, 0.5]], [1, 2]),  # the cheapest is the best
        ([[0.5, 0.5]], [1, 2]),
        ([[0.5, 0.9]], [1, np.nan]),
        ([[np.nan, 0.9]], [1, 2]),
        ([[0.5]], [1]),
        (np.empty((0, 3)), [1, 2, 3]),
    ],
)
def test_nothing_to_trade(quality: Any, cost: Any) -> None:
    np.testing.assert_array_equal(lambda_grid(np.array(quality, float), np.array(cost, float)), [0])


def test_sweep_and_grid_refuse_what_means_nothing() -> None:
    with pytest.raises(ValueError, match="no model of known cost"):
        sweep(np.array([[0.5, np.nan]]), np.array([np.nan, 1.0]), np.zeros(1))
    with pytest.raises(ValueError, match="1 points"):
        lambda_grid(np.ones((1, 2)), np.ones(2), points=1)


@pytest.mark.parametrize(
    ("floor", "expected"), [(0.5, 3), (0.7, 1), (0.8, 0), (0.3, 3), (0.91, None), (0.6, 2)]
)
def test_iso_point(floor: float, expected: int | None) -> None:
    accuracy = np.array([0.9, 0.7, 0.6, 0.5, 0.5, np.nan])
    assert iso_point(accuracy, np.array([9.0, 4, 4 - 1, 2, 2, 1]), floor) == expected


def test_iso_point_ties() -> None:
    assert iso_point(np.array([0.5, 0.6, 0.6]), np.array([1.0, 1, 1]), 0.5) == 1
    assert iso_point(np.array([0.9, 0.1 + 0.2]), np.array([2.0, 1]), 0.3 + 1e-16) == 1
    assert iso_point(np.array([0.9, 0.8]), np.array([2.0, np.nan]), 0.1) == 0


def slow_aiq(x: Floats, y: Floats, low: float, high: float) -> float:
    """The hull as the best mix of two points at each of many costs, summed."""
    at = low + (high - low) * (np.arange(20_000) + 0.5) / 20_000
    best = np.full(len(at), -np.inf)
    for x0, y0 in zip(x, y, strict=True):
        best[at >= x0] = np.maximum(best[at >= x0], y0)
        for x1, y1 in zip(x, y, strict=True):
            if x0 < x1:
                inside = (at >= x0) & (at <= x1)
                line = y0 + (y1 - y0) * (at[inside] - x0) / (x1 - x0)
                best[inside] = np.maximum(best[inside], line)
    return float(best.mean())


@pytest.mark.parametrize("seed", SEEDS)
def test_aiq_is_the_slow_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, quality = rng.random((3, 2, 7)), rng.random((3, 2, 7))
    low, high = cost[..., 0] + 0, cost[..., 0] + rng.random((3, 2))
    cost[0, 0, 3], cost[0, 0, 4] = cost[0, 0, 2], low[0, 0]  # equal costs
    quality[1, 1, 5] = np.nan
    found = aiq(cost, quality, low, high)
    assert found.shape == (3, 2)
    for at in np.ndindex(3, 2):
        real = ~np.isnan(quality[at])
        expected = slow_aiq(cost[at][real], quality[at][real], float(low[at]), float(high[at]))
        assert found[at] == pytest.approx(expected, abs=2e-4)


def test_aiq_known_answers() -> None:
    assert aiq(np.array([9.0, 10]), np.array([0.8, 0.8]), 9, 10) == pytest.approx(0.8, abs=1e-15)
    cost, quality = np.array([1.0, 2, 3]), np.array([0.4, 0.8, 0.6])
    assert aiq(cost, quality, 1, 3) == pytest.approx((0.6 + 0.8) / 2)  # a rise, then flat
    assert aiq(cost, quality, 1.5, 3) == pytest.approx((0.5 * 0.7 + 0.8) / 1.5)  # cut on the left
    assert aiq(cost, quality, 1, 1.5) == pytest.approx(0.5)  # and on the right
    assert aiq(cost, quality, 1, 9) == pytest.approx((0.6 + 7 * 0.8) / 8)
    assert aiq(cost, np.array([0.4, 0.1, 0.6]), 1, 3) == pytest.approx(0.5)  # below the chord


def test_aiq_undefined() -> None:
    cost, quality = np.array([1.0, 2]), np.array([0.4, 0.8])
    for low, high in ((1, 1), (2, 1), (0.5, 2), (np.nan, 2)):
        assert np.isnan(aiq(cost, quality, low, high)), (low, high)
    assert np.isnan(aiq(cost, np.full(2, np.nan), 1, 2))
    several = aiq(cost, quality, np.array([1.0, 1.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(several, [np.nan, 0.6])


def test_qnc() -> None:
    cost, quality = np.array([[1.0, 2, 4], [1, 2, 4]]), np.array([[0.2, 0.5, 0.6], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(qnc(cost, quality, [0.5, 0.5], [4, 4]), [0.5, np.nan])
    np.testing.assert_allclose(qnc(cost, quality, 0.3 - 0.1, 0), [np.nan, np.nan])
    np.testing.assert_allclose(qnc(cost, quality, 0.1 + 0.2, 8), [0.25, 0.5])  # not 1/8·… between
    assert qnc(np.array([np.nan, 3.0]), np.array([0.9, 0.9]), 0.9, 3) == 1
    rng = np.random.default_rng(0)
    cost, quality = rng.random((50, 6)), rng.random((50, 6))
    for b, found in enumerate(qnc(cost, quality, 0.7, 0.5)):
        reaching = cost[b][quality[b] >= 0.7]
        assert found == pytest.approx(
            reaching.min() / 0.5 if len(reaching) else np.nan, nan_ok=True
        )


def test_arena_score_known_answers() -> None:
    found = arena_score([0.7976, 0.7859, 0.7814], [0.70, 0.48, 0.27])
    np.testing.assert_allclose(found, [0.7621, 0.7585, 0.7628], atol=5e-5)


def test_arena_score_at_the_ends() -> None:
    assert arena_score(1, 0) == arena_score(1, 0.0044) == pytest.approx(1)
    assert arena_score(0.5, 200) == arena_score(0.5, 1e9) == 0
    assert arena_score(0, 1) == 0
    assert np.isnan(arena_score(0, 200))
    assert np.isnan(arena_score(0.5, np.nan))


def test_mix_lift() -> None:
    pair = (0.4, 1.0, 0.8, 3.0)
    found = mix_lift([0.4, 0.8, 0.7, 0.5], [1, 3, 2, 2], *pair)
    np.testing.assert_allclose(found, [0, 0, 0.1, -0.1], atol=1e-15)
    assert np.isnan(mix_lift(0.5, [0.99, 3.01, np.nan], *pair)).all()
    np.testing.assert_allclose(mix_lift(0.5, [1 - 1e-13, 3 + 1e-13], *pair), [0.1, -0.3])
    assert np.isnan(mix_lift(0.5, 1.0, 0.4, 1.0, 0.8, 1.0))
    assert mix_lift(0.7, 2.0, 0.8, 3.0, 0.4, 1.0) == pytest.approx(0.1)  # the weak one is dearer
