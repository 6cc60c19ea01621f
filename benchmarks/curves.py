"""Curve and calibration metrics under the bootstrap, against one resample at a time.

python benchmarks/curves.py            100,000 queries, 128 resamples a chunk, one thread
python benchmarks/curves.py --quick    a tenth of the queries

The baselines draw the rows of a resample, sort and sum them, as one would write it first; the
λ sweep's is `selection.best` for each λ and the hull's a loop over resamples.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from routebench.metrics.bootstrap import Draw
from routebench.metrics.calibration import RiskCoverage, brier, ece
from routebench.metrics.curves import PairCurve, aiq, lambda_grid, sweep
from routebench.plugin.selection import best

Floats = npt.NDArray[np.float64]
CHUNK, FEW = 128, 8


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """The best of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def row(name: str, fast: float, slow: float) -> None:
    print(f"{name:34}{fast:9.3f} s{slow:12.3f} s{slow / fast:9.1f} ×")


def naive_apgr(need: Floats, weak: Floats, strong: Floats, drawn: npt.NDArray[Any]) -> float:
    rows = np.repeat(np.arange(len(need)), drawn)
    rows = rows[np.argsort(-need[rows], kind="stable")]
    gained = np.append(0, np.cumsum(strong[rows] - weak[rows])) / len(rows)
    area = (gained[1:] + gained[:-1]).sum() / 2 / len(rows)
    return float(area / gained[-1])


def naive_aurc(confidence: Floats, score: Floats, drawn: npt.NDArray[Any]) -> float:
    rows = np.repeat(np.arange(len(score)), drawn)
    rows = rows[np.argsort(-confidence[rows], kind="stable")]
    return float((np.cumsum(1 - score[rows]) / np.arange(1, len(rows) + 1)).mean())


def naive_ece(confidence: Floats, score: Floats, drawn: npt.NDArray[Any]) -> float:
    rows = np.repeat(np.arange(len(score)), drawn)
    edges = np.quantile(confidence, np.linspace(0, 1, 16)[1:-1])
    bins = np.digitize(confidence[rows], edges)
    off = (confidence - score)[rows]
    return float(sum(abs(off[bins == k].sum()) for k in range(15)) / len(rows))


def naive_aiq(x: Floats, y: Floats) -> float:
    """Monotone chain over one resample's points."""
    hull: list[tuple[float, float]] = []
    for px, py in sorted(zip(x.tolist(), y.tolist(), strict=True)):
        if hull and py <= hull[-1][1]:
            continue
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (py - y0) < (y1 - y0) * (px - x0):
                break
            hull.pop()
        hull.append((px, py))
    ends = [*hull, (float(x.max()), hull[-1][1])]
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(ends))
    return area / float(x.max() - x.min())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    n = 10_000 if parser.parse_args().quick else 100_000
    rng = np.random.default_rng(0)
    need, counts = rng.random(n), Draw(n).counts(CHUNK, rng)
    weak, strong = ((rng.random(n) < p).astype(np.float64) for p in (0.5, 0.7))
    pair, risk = PairCurve.of(need, weak, strong), RiskCoverage.of(need, weak)

    def each(one: Callable[[npt.NDArray[Any]], float]) -> float:
        return seconds(lambda: [one(drawn) for drawn in counts[:FEW]], 2) * CHUNK / FEW

    print(f"{n:,} queries, {CHUNK} resamples{'ours':>18}{'naive':>14}{'faster':>11}")
    sorting = each(lambda drawn: naive_apgr(need, weak, strong, drawn))
    row("APGR", seconds(lambda: pair.measures((), counts)), sorting)
    row("CPT(50%)", seconds(lambda: pair.measures((0.5,), counts)), sorting)
    area = each(lambda drawn: naive_aurc(need, weak, drawn))
    row("risk-coverage area", seconds(lambda: risk.area(counts)), area)
    binned = each(lambda drawn: naive_ece(need, weak, drawn))
    row("ECE", seconds(lambda: ece(need, weak, counts)), binned)
    squares = each(lambda drawn: float(((need - weak)[np.repeat(np.arange(n), drawn)] ** 2).mean()))
    row("Brier", seconds(lambda: brier(need, weak, counts)), squares)

    x, y = rng.random((1000, 66)), np.sqrt(rng.random((1000, 66)))
    y = np.sqrt(x) + 0.02 * y
    hulls = seconds(lambda: [naive_aiq(*p) for p in zip(x, y, strict=True)], 2)
    row("AIQ, 1,000 × 66 points", seconds(lambda: aiq(x, y, x.min(axis=1), x.max(axis=1))), hulls)
    quality, cost = rng.random((n, 10)), np.sort(rng.random(10))
    grid = lambda_grid(quality, cost)
    print(f"λ grid from n × 10 predictions{seconds(lambda: lambda_grid(quality, cost)):13.3f} s")
    rowwise = seconds(lambda: [best(quality - slope * cost, cost) for slope in grid], 1)
    row("λ sweep, 64 × n × 10", seconds(lambda: sweep(quality, cost, grid)), rowwise)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
