"""Measure what a plan finds, with how many cells, and how often it is wrong.

python benchmarks/plan.py TABLE.parquet [--worlds 500] [--margin 0.01] [--waves 12] [--json FILE]

A table of recorded outcomes is the truth. In a world the log is a router by task among the best
models, and the candidate another one; they differ on exactly a given share of all queries, and the
candidate is worse by exactly a given difference, which is set by choosing which of the queries
they differ on. What the log suggests (means by model and task) is that of 1,000 random queries. A
fixed sample and a sequential one buy both cells of differing queries; everything else is as in
`ope --plan` and `ope --answers`. Printed: verdicts, cells bought as a share of both policies' cells
on all queries, false verdicts (PASS where the loss is the margin or more, REGRESSION where there is
none), and the most that an exact binomial test of 5% lets pass; for the fixed sample also how often
its interval holds the truth, for the sequential one how often the interval at every wave does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import binom

from routebench.traffic.evaluate import decide
from routebench.traffic.plans import sequence, stratified
from routebench.traffic.plans.design import design, strata
from routebench.traffic.plans.disagreements import Disagreements, spread_of
from routebench.traffic.result import Number

KNOWN = 1_000
CHUNK = 50
SHARES = (0.3, 0.5, 0.7)


@dataclass
class World:
    """Differing queries, and what both models reach on them."""

    units: Disagreements
    outcome: np.ndarray
    """[D] score of the candidate's model less that of the log's."""


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return scores [n, m] and tasks [n] of the queries that all models answered."""
    names = pq.read_schema(path).names
    group = "task" if "task" in names else "topic"
    rows = pq.read_table(path, columns=["query_id", "model", "score", group]).to_pydict()
    ids, query = np.unique(rows["query_id"], return_inverse=True)
    models, model = np.unique(rows["model"], return_inverse=True)
    score = np.full((len(ids), len(models)), np.nan)
    score[query, model] = rows["score"]
    task = np.zeros(len(ids), np.int64)
    task[query] = np.unique(rows[group], return_inverse=True)[1]
    whole = ~np.isnan(score).any(axis=1)
    return score[whole], task[whole]


def world(
    score: np.ndarray, task: np.ndarray, share: float, delta: float, rng: np.random.Generator
) -> World:
    """Return a world whose policies differ on this share of queries, and by exactly this much."""
    n, m = score.shape
    best = np.argsort(-score.mean(axis=0))[: min(8, m)]
    size = round(share * n)
    while True:
        first, second = (rng.choice(best, task.max() + 1) for _ in range(2))
        base, other = first[task], second[task]
        same = base == other
        other = np.where(same, rng.choice(best, n), other)
        may = np.flatnonzero(base != other)
        gain = score[np.arange(n), other] - score[np.arange(n), base]
        rows = _exact(gain, may, size, int(np.floor(delta * n)), rng) if len(may) >= size else None
        if rows is not None:
            break
    known = rng.choice(n, KNOWN, replace=False)
    table = np.zeros((task.max() + 1, m))
    for t in range(task.max() + 1):
        own = score[known[task[known] == t]]
        table[t] = (own.sum(axis=0) + 10 * score[known].mean(axis=0)) / (len(own) + 10)
    own, aimed = table[task[rows], base[rows]], table[task[rows], other[rows]]
    units = Disagreements(
        events=n, models=tuple(map(str, range(m))), query_id=(), query=(), task=(),
        baseline=base[rows], candidate=other[rows], count=np.ones(size, np.int64),
        gain=aimed - own, spread=spread_of(own, aimed), usd=np.ones((size, 2)),
    )  # fmt: skip
    return World(units, gain[rows])


def _exact(
    gain: np.ndarray, may: np.ndarray, size: int, total: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Return `size` of the queries whose gains add up to the total; None where none were found."""
    mixed = rng.permutation(may)
    rows, rest = mixed[:size], mixed[size:]
    off = gain[rows].sum() - total
    sign = 1 if off > 0 else -1
    out = np.flatnonzero(gain[rows] * sign > 0.5)
    into = np.flatnonzero(gain[rest] == 0)
    k = round(abs(off))
    if k > min(len(out), len(into)):
        return None
    rows = rows.copy()
    rows[rng.permutation(out)[:k]] = rest[rng.permutation(into)[:k]]
    return rows if abs(gain[rows].sum() - total) < 1 else None


def fixed(one: World, margin: float, seed: int) -> tuple[str, int, bool]:
    """Return the verdict of a fixed sample, the queries it buys, and whether it holds the truth."""
    made = design(one.units, margin, seed=seed)
    sizes = np.bincount(made.stratum, minlength=len(made.labels))
    spread = np.array([one.units.spread[made.stratum == h].mean() for h in range(len(sizes))])
    got = stratified.estimate(
        one.outcome[made.order], made.stratum[made.order], sizes, spread, one.units.events
    )
    truth = one.outcome.sum() / one.units.events
    verdict, _ = decide(Number("T3", "", got.value, got.low, got.high), margin)
    return verdict, len(made.order), got.low - 1e-12 <= truth <= got.high + 1e-12


def sequential(
    some: list[World], margin: float, waves: int, rng: np.random.Generator
) -> list[tuple[str, int, bool]]:
    """Return the same of each world, bought in waves and stopped when it is decided."""
    size, events = len(some[0].outcome), some[0].units.events
    numbered = [strata(one.units) for one in some]
    most = max(len(labels) for _, labels in numbered)
    order = np.array([rng.permutation(size) for _ in some])
    stratum = np.array([number[o] for (number, _), o in zip(numbered, order, strict=True)])
    sizes = np.array([np.bincount(number, minlength=most) for number, _ in numbered])
    total = [np.bincount(number, one.units.gain, most)
             for (number, _), one in zip(numbered, some, strict=True)]  # fmt: skip
    spread = np.array([one.units.spread.mean() for one in some])
    draws = sequence.Sequence(
        np.array([one.outcome[o] for one, o in zip(some, order, strict=True)]),
        stratum, sizes, np.array(total) / np.maximum(sizes, 1), float(spread.mean()), 1.0, events,
    )  # fmt: skip
    at = sequence.bets(draws)
    truth = draws.outcome.sum(axis=1) / events
    wealth = {
        name: sequence.log_wealth(draws, at, delta, side, margin)
        for name, delta, side in (("low", -margin, 1), ("high", 0.0, -1),
                                  ("truth low", truth, 1), ("truth high", truth, -1))
    }  # fmt: skip
    ends = np.ceil(size * np.arange(1, waves + 1) / waves).astype(int)
    held = (wealth["truth low"][:, -2] < sequence.ENOUGH) & (
        wealth["truth high"][:, -2] < sequence.ENOUGH
    )
    made = []
    for w in range(len(some)):
        verdict, end = "inconclusive", size
        for end in ends:
            value = stratified.estimate(
                draws.outcome[w, :end], stratum[w, :end], sizes[w], np.full(most, spread[w]), events
            ).value
            over = end == size
            low = -margin + 1e-9 if wealth["low"][w, end - 1] >= sequence.ENOUGH else -np.inf
            high = -1e-9 if wealth["high"][w, end - 1] >= sequence.ENOUGH else np.inf
            low, high = (value, value) if over else (low, high)
            verdict, _ = decide(Number("T3", "", float(value), low, high), margin)
            if verdict != "inconclusive":
                break
        made.append((verdict, int(end), bool(held[w])))
    return made


def measured(
    score: np.ndarray, task: np.ndarray, share: float, delta: float, given: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return a row for the fixed and one for the sequential plan."""
    margin, n = given.margin, len(score)
    rng = np.random.default_rng([round(share * 100), round(-delta * 1e4)])
    found: dict[str, list[tuple[str, int, bool]]] = {"fixed": [], "sequential": []}
    for start in range(0, given.worlds, CHUNK):
        count = min(CHUNK, given.worlds - start)
        some = [world(score, task, share, delta, rng) for _ in range(count)]
        found["fixed"] += [fixed(one, margin, start + i) for i, one in enumerate(some)]
        found["sequential"] += sequential(some, margin, given.waves, rng)
    rows = []
    for name, each in found.items():
        verdicts = Counter(verdict for verdict, _, _ in each)
        bought = np.array([queries for _, queries, _ in each]) / n
        false = verdicts["pass"] * (delta <= -margin) + verdicts["regression"] * (delta >= 0)
        rows.append({
            "differ": share, "true": delta, "plan": name, "verdicts": dict(verdicts),
            "cells": round(float(bought.mean()), 3),
            "cells_q90": round(float(np.quantile(bought, 0.9)), 3),
            "cells_most": round(float(bought.max()), 3),
            "false": false, "held": round(float(np.mean([ok for _, _, ok in each])), 3),
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Print a line for each share, difference and kind of plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--worlds", type=int, default=500)
    parser.add_argument("--margin", type=float, default=0.01)
    parser.add_argument("--waves", type=int, default=12)
    parser.add_argument("--share", type=float, action="append")
    parser.add_argument("--delta", type=float, action="append")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    begun = time.process_time()
    score, task = load(given.table)
    deltas = given.delta or (-2 * given.margin, -given.margin, 0.0)
    rows = []
    for share in given.share or SHARES:
        for delta in deltas:
            rows += measured(score, task, share, delta, given)
    most = int(binom.ppf(0.95, given.worlds, 0.05))
    print(
        f"{given.worlds} worlds each of {len(score):,} queries: an exact binomial test of 5% lets"
        f" {most} false verdicts pass; {time.process_time() - begun:.0f} CPU seconds"
    )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
