"""Measure how often a pilot's intervals hold the true headroom, and how far its values are off.

python benchmarks/pilot_coverage.py [TABLE.parquet …] [--worlds 1000] [--queries 30,100,300]

A table's queries that all models have answered are the truth; pilots are drawn from it with
replacement. Two made-up worlds of 200,000 queries beside them: all models equally good, where the
choice of the best one hurts most, and two models, one of them better in nothing. Beside the value
stand the plug-in, and what a half chooses and the other half measures (mean of 20 halvings).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from routebench.metrics.headroom import oracle_choice
from routebench.pilot.estimate import headroom_of
from routebench.records import Outcomes, Pool, Queries, State, SuiteData


def main() -> None:
    """Print a line per world and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="*", type=Path)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--queries", default="30,100,300")
    asked = parser.parse_args()
    worlds = {str(path.parent.name): of_table(path) for path in asked.table} | made_up()
    print(
        "world, queries: gap held (below, above), saving held; bias in pp: plug-in, halves, value"
    )
    for name, (score, cost) in worlds.items():
        for n in map(int, asked.queries.split(",")):
            print(f"{name}, {n}: {line(score, cost, n, asked.worlds)}", flush=True)


def of_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and costs [n, m] of a table; a model costs twice the one before it."""
    rows = pq.read_table(path, columns=["query_id", "model", "score"])
    query, model = (
        rows[name].combine_chunks().dictionary_encode() for name in ("query_id", "model")
    )
    score = np.full((len(query.dictionary), len(model.dictionary)), np.nan)
    score[query.indices, model.indices] = rows["score"].to_numpy()
    score = np.clip(score[~np.isnan(score).any(axis=1)], 0, 1)
    order = score.mean(axis=0).argsort()
    length = np.random.default_rng(5).lognormal(0, 0.7, len(score))[:, None]
    return score[:, order], length * 2.0 ** np.arange(len(order))


def made_up() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the worlds whose numbers are known."""
    rng = np.random.default_rng(1)
    equal = (rng.random((200_000, 10)) < 0.5).astype(float)
    worse = (rng.random((200_000, 1)) < 0.6).astype(float)
    nothing = np.hstack([worse * (rng.random((200_000, 1)) < 0.8), worse])
    return {
        "equal": (equal, np.ones_like(equal)),
        "better in nothing": (nothing, np.ones_like(nothing) * [1.0, 5.0]),
    }


def data_of(score: np.ndarray, cost: np.ndarray) -> SuiteData:
    """Return scores and costs as a suite."""
    n, m = score.shape
    names = np.array([str(i) for i in range(n)], dtype=object)
    state = np.full((n, m), int(State.OK), dtype=np.int8)
    outcomes = Outcomes(score, state, cost)
    pool = Pool(tuple(f"m{i}" for i in range(m)))
    return SuiteData("world", "recorded", Queries(names), names, names, names, outcomes, pool)


def line(score: np.ndarray, cost: np.ndarray, n: int, worlds: int) -> str:
    """Return coverage and bias over so many pilots."""
    whole = data_of(score, cost).outcomes
    spent = cost[np.arange(len(score)), oracle_choice(whole)].mean()
    best = int(score.mean(axis=0).argmax())
    gap, saving = score.max(axis=1).mean() - score[:, best].mean(), 1 - spent / cost[:, best].mean()
    rng, held, below, above, saved = np.random.default_rng(2), 0, 0, 0, 0
    off: list[tuple[float, float, float]] = []
    for _ in range(worlds):
        at = rng.integers(0, len(score), n)
        found = headroom_of(data_of(score[at], cost[at]), 0.01)
        below += gap < found.gap.low
        above += gap > found.gap.high
        held += found.gap.low <= gap <= found.gap.high
        assert found.saving is not None
        saved += found.saving.low - 1e-9 <= saving <= found.saving.high + 1e-9
        off.append((found.plug_in - gap, halves(score[at], rng) - gap, found.gap.value - gap))
    bias = ", ".join(f"{100 * value:+.2f}" for value in np.mean(off, axis=0))
    shares = [count / worlds for count in (held, below, above, saved)]
    return f"{shares[0]:.3f} ({shares[1]:.3f}, {shares[2]:.3f}), {shares[3]:.3f}; {bias}"


def halves(score: np.ndarray, rng: np.random.Generator) -> float:
    """Return the gap above the best model of one half, measured on the other."""
    above = score.max(axis=1)[:, None] - score
    found = []
    for _ in range(20):
        order = rng.permutation(len(score))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        found.append(above[other, above[one].mean(axis=0).argmin()].mean())
    return float(np.mean(found))


if __name__ == "__main__":
    main()
