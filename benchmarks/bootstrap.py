"""Time the bootstrap of a large board: 12 routers, 5 models, 100,000 queries.

python benchmarks/bootstrap.py            one thread, B = 10,000, target 30 s within 2 GiB
python benchmarks/bootstrap.py --quick    a tenth of the queries and resamples
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from routebench.metrics.bootstrap import bootstrap_means
from routebench.metrics.statistics import interval

ROUTERS, MODELS = 12, 5


def columns(queries: int) -> list[npt.NDArray[np.float64]]:
    """Score and cost of best-single and of every router, and every router's usage."""
    rng = np.random.default_rng(0)
    score = (rng.random((queries, MODELS)) < np.linspace(0.3, 0.6, MODELS)).astype(np.float64)
    cost = rng.lognormal(size=(queries, MODELS)) * np.linspace(1e-4, 1e-3, MODELS)
    found = [score[:, -1], cost[:, -1]]
    for _ in range(ROUTERS):
        choice = rng.integers(0, MODELS, queries)
        found += [score[np.arange(queries), choice], cost[np.arange(queries), choice]]
        found += [(choice == model).astype(np.float64) for model in range(MODELS)]
    return [np.ascontiguousarray(column) for column in found]


def all_intervals(values: list[npt.NDArray[np.float64]], resamples: int) -> int:
    """Intervals of every column and of every router's differences from best-single."""
    means = bootstrap_means(values, resamples=resamples)
    found = [interval(samples) for samples in means.T]
    for router in range(ROUTERS):
        at = 2 + router * (2 + MODELS)
        found += [interval(means[:, at + k] - means[:, k]) for k in (0, 1)]
    return len(found)


def naive(values: list[npt.NDArray[np.float64]], resamples: int) -> float:
    """Seconds per resample of `values[rng.integers(...)].mean(axis=0)`."""
    rng = np.random.default_rng(0)
    table = np.stack(values, axis=1)
    start = time.perf_counter()
    for _ in range(resamples):
        table[rng.integers(0, len(table), len(table))].mean(axis=0)
    return (time.perf_counter() - start) / resamples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    queries, resamples, few = (10_000, 1_000, 20) if quick else (100_000, 10_000, 20)
    values = columns(queries)
    with threadpool_limits(1):
        start = time.perf_counter()
        intervals = all_intervals(values, resamples)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
        slow = naive(values, few) * resamples
    print(f"{ROUTERS} routers x {queries:,} queries, B = {resamples:,}: {intervals} intervals")
    print(f"seconds             {seconds:10.2f}   (target 30)")
    print(f"peak RSS, GiB       {peak:10.2f}   (target 2)")
    print(f"naive, seconds      {slow:10.0f}   (row indexing; {few} resamples, scaled)")
    print(f"times faster        {slow / seconds:10.0f}")
    return 0 if seconds <= 30 and peak <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
