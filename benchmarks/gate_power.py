"""Measure the gate's verdicts on simulated pairs of runs whose truth is known.

python benchmarks/gate_power.py           the tables of docs/gate.md, about four minutes
python benchmarks/gate_power.py --speed   the gate on two boards of 8,400 queries × 12 routers

Bounds, checked at the end: without a true change at most 5% REGRESSION (one metric, or any of a
family of 36); a true loss of 3 pp at discordance .05 is REGRESSION in at least 80%; a true loss
of just the margin passes in at most 2.5% (plus what chance adds to a simulation).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench.comparison.verdict import Verdict, verdicts
from routebench.metrics.effects import (
    Differences,
    Effect,
    flips,
    typical_size,
    weighed,
)

N = 1300
DISCORDANCES = (0.02, 0.05, 0.1, 0.2)
DROPS = (0.0, 0.01, 0.02, 0.03)
RISES = (0.0, 0.02, 0.1)
MARGIN, COST_MARGIN = 0.01, 0.02
FAMILY = 36


def binary(rng: np.random.Generator, discordance: float, drop: float) -> Effect:
    """0/1 scores of one seed: so many queries get worse, so many better."""
    worse, better = (discordance + drop) / 2, (discordance - drop) / 2
    losses, gains, _ = rng.multinomial(N, [worse, better, 1 - discordance])
    return flips(int(losses), int(gains), N)


def cost(rng: np.random.Generator, changed: float, rise: float) -> Effect:
    """Two models, one ten times the other's price, log-normal costs; half of queries each."""
    cheap = rng.lognormal(sigma=1.0, size=N)
    dear = 10 * rng.lognormal(sigma=1.0, size=N)
    was_dear = rng.random(N) < 0.5
    excess = rise * 5.5 / 9  # of moves up over moves down, for this rise in expected cost
    up, down = changed + excess, changed - excess  # among the cheap half, and the dear one
    moves = rng.random(N) < np.where(was_dear, down, up)
    old = np.where(was_dear, dear, cheap)
    new = np.where(was_dear ^ moves, dear, cheap)
    worst = -typical_size(np.maximum(cheap, dear) - old)
    best = typical_size(old - np.minimum(cheap, dear))
    column = Differences(old - new, worst, best, old)
    return weighed([column], np.arange(N), resamples=2000, seed=int(rng.integers(2**31)))[0]


def table(runs: int, family_runs: int) -> Iterator[tuple[float, float, Counter[str], Counter[str]]]:
    """By discordance and drop: verdicts alone, and of one in a family whose others are unchanged.

    `false` counts families in which an unchanged member is called a regression.
    """
    for discordance in DISCORDANCES:
        for drop in DROPS:
            if drop > discordance:
                continue
            rng = np.random.default_rng([7, round(1000 * discordance), round(1000 * drop)])
            alone: Counter[str] = Counter()
            for _ in range(runs):
                told, _ = verdicts([binary(rng, discordance, drop)], [MARGIN])
                alone[told[0]] += 1
            together: Counter[str] = Counter()
            for _ in range(family_runs):
                others = [binary(rng, discordance, 0.0) for _ in range(FAMILY - 1)]
                effects = [binary(rng, discordance, drop), *others]
                told, _ = verdicts(effects, [MARGIN] * FAMILY)
                together[told[0]] += 1
                together["false"] += Verdict.REGRESSION in (told if drop == 0 else told[1:])
            yield discordance, drop, alone, together


def shares(counts: Counter[str]) -> list[float]:
    total = sum(counts[v] for v in Verdict)
    return [counts[v] / total for v in (Verdict.PASS, Verdict.REGRESSION, Verdict.INCONCLUSIVE)]


def power(runs: int, family_runs: int, cost_runs: int) -> bool:
    print(f"Accuracy, n = {N:,}, margin {100 * MARGIN:.0f} pp; family of {FAMILY}: one with the")
    print(f"true change, {FAMILY - 1} without. {runs:,} and {family_runs:,} simulations.\n")
    print("| discordance | true change | PASS | REGRESSION | INCONCLUSIVE | in family: PASS "
          "| REGRESSION | INCONCLUSIVE | any false REGRESSION |")  # fmt: skip
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    kept = True
    for discordance, drop, alone, together in table(runs, family_runs):
        one, many = shares(alone), shares(together)
        false = together["false"] / family_runs
        cells = " | ".join(f"{share:.1%}" for share in (*one, *many, false))
        change = f"−{100 * drop:.0f} pp" if drop else "none"
        print(f"| {discordance:g} | {change} | {cells} |", flush=True)
        kept &= false <= 0.05 + slack(0.05, family_runs)
        if drop == 0:
            kept &= one[1] <= 0.05 + slack(0.05, runs)
        if drop == MARGIN:
            kept &= one[0] <= 0.025 + slack(0.025, runs)
            kept &= many[0] <= 0.025 + slack(0.025, family_runs)
        if drop == 0.03 and discordance == 0.05:
            kept &= one[1] >= 0.8 and many[1] >= 0.8
    print(f"\nTotal cost, n = {N:,}, margin {100 * COST_MARGIN:.0f}%, {cost_runs:,} simulations.\n")
    print("| decisions changed | true change | PASS | REGRESSION | INCONCLUSIVE |")
    print("|--:|--:|--:|--:|--:|")
    for changed in DISCORDANCES:
        for rise in RISES:
            if rise * 5.5 / 9 > changed:
                continue
            rng = np.random.default_rng([8, round(1000 * changed), round(1000 * rise)])
            counts: Counter[str] = Counter()
            for _ in range(cost_runs):
                told, _ = verdicts([cost(rng, changed, rise)], [COST_MARGIN])
                counts[told[0]] += 1
            found = shares(counts)
            change = f"+{100 * rise:.0f}%" if rise else "none"
            print(
                f"| {changed:g} | {change} | {' | '.join(f'{s:.1%}' for s in found)} |", flush=True
            )
            kept &= rise != 0 or found[1] <= 0.05 + slack(0.05, cost_runs)
            kept &= rise != COST_MARGIN or found[0] <= 0.025 + slack(0.025, cost_runs)
    print("\nall bounds kept" if kept else "\na bound is broken")
    return kept


def slack(share: float, runs: int) -> float:
    """Three standard errors of a simulated share."""
    return 3 * math.sqrt(share * (1 - share) / runs)


def speed(queries: int = 8400, routers: int = 12) -> bool:
    """Gate two boards whose routers differ in a twentieth of their decisions."""
    with tempfile.TemporaryDirectory() as place:
        old, new = Path(place) / "old", Path(place) / "new"
        outcomes = Path(place) / "outcomes.parquet"
        pq.write_table(_outcomes(queries), outcomes)
        names = ",".join(f"random@r{i}" for i in range(routers))
        words = ["run", "--suite", f"table:{outcomes}", "--router", names, "--perturb", "0"]
        call = [sys.executable, "-m", "routebench"]
        for folder in (old, new):
            subprocess.run([*call, *words, "--quiet", "--out", folder], check=True,
                           stdout=subprocess.DEVNULL)  # fmt: skip
        _change(new, 0.05)
        start = time.perf_counter()
        done = subprocess.run([*call, "gate", old, new], check=False, stdout=subprocess.PIPE)
        seconds = time.perf_counter() - start
    print(done.stdout.decode().splitlines()[0])
    print(f"two boards of {queries:,} queries × {routers} routers: {seconds:.2f} s (bound 5 s)")
    return seconds <= 5 and done.returncode in (0, 1, 4)


def _outcomes(queries: int, models: int = 6) -> pa.Table:
    rng = np.random.default_rng(0)
    total = round(queries / 0.84)  # a little training is enough for what does not learn
    split = np.where(np.arange(total) < queries, "test", "train")
    ids = np.array([f"q{i}" for i in range(total)])
    # Texts without a common word: nothing here is a near duplicate.
    texts = [" ".join(hashlib.sha256(f"{i} {k}".encode()).hexdigest() for k in range(2))
             for i in range(total)]  # fmt: skip
    cells = total * models
    return pa.table(
        {
            "query_id": np.repeat(ids, models),
            "query": np.repeat(np.array(texts, dtype=object), models),
            "split": np.repeat(split, models),
            "model": np.tile([f"model-{k}" for k in range(models)], total),
            "score": (rng.random(cells) < 0.5).astype(float),
            "cost_usd": rng.lognormal(-7, 1, cells),
        }
    )


def _change(folder: Path, share: float) -> None:
    """Decide a share of the queries at random."""
    path, rng = folder / "decisions.parquet", np.random.default_rng(1)
    table = pq.read_table(path)
    choice = np.array(table["choice"].to_pylist(), dtype=object)
    moved = rng.random(len(choice)) < share
    choice[moved] = rng.permutation(choice[moved])
    at = table.column_names.index("choice")
    pq.write_table(table.set_column(at, "choice", pa.array(choice, pa.string())), path)
    board = json.loads((folder / "leaderboard.json").read_text())
    board["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "leaderboard.json").write_text(json.dumps(board))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", action="store_true", help="measure the command instead")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--family-runs", type=int, default=2_000)
    parser.add_argument("--cost-runs", type=int, default=1_000)
    given = parser.parse_args()
    kept = speed() if given.speed else power(given.runs, given.family_runs, given.cost_runs)
    sys.exit(not kept)


if __name__ == "__main__":
    main()
