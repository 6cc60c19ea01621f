"""Measure how `knn` scales with the number of queries, and time one query in `knn` and `mf`.

    git worktree add ../before COMMIT
    python benchmarks/knn_scale.py [--queries 10000 100000] [--baseline ../before]

Queries are drawn words of twenty topics, each with a best model among ten; 60% train, 20% are
validation and 20% test, on the encoder `tfidf-svd`. `fit` counts the encoder's own fit, which is
also given apart. Single queries are timed as in a job, after a fit on 5,000 and a reload from disk.
Each row is a process of its own on one thread: seconds of CPU, and the process's peak memory.

With --baseline, a checkout of an earlier commit is measured right after, by the same file; ratios
are its figures over ours, and choices of both are compared query by query.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MODELS, WORDS, TOPICS, LENGTH, SINGLE = 10, 60_000, 20, 14, 5000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--baseline", type=Path, metavar="CHECKOUT")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only[0], int(options.only[1]))))
        return
    here = Path(__file__).parents[1]
    sides = {"": here} | ({"baseline": options.baseline} if options.baseline else {})
    print(f"{'':18}queries   fit s  encoder s  route s  peak MiB  p50 ms  p95 ms")
    fits: dict[str, list[float]] = {side: [] for side in sides}
    for name, queries in [*(("knn", n) for n in options.queries), ("knn", 0), ("mf", 0)]:
        rows = {side: measured(checkout, name, queries) for side, checkout in sides.items()}
        for side, row in rows.items():
            show(f"{name} {side}", row)
            if queries:
                fits[side].append(row["fit"] - row["encoder"])
        if options.baseline:
            ratios(*rows.values())
    for side, seconds in fits.items():
        steps = pairwise(zip(options.queries, seconds, strict=True))
        for (n, few), (more, many) in steps:
            exponent = math.log(many / few) / math.log(more / n)
            which = f"{side or 'knn'} from {n:,} to {more:,} queries"
            print(f"{which}: fit without encoder grows with exponent {exponent:.2f}")


def measured(checkout: Path, name: str, queries: int) -> dict[str, Any]:
    folders = [checkout.resolve() / folder for folder in (".", "plugins", "suites")]
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    alone["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    words = [sys.executable, __file__, "--only", name, str(queries)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | alone)
    if done.returncode:
        raise SystemExit(f"{checkout}, {name}, {queries}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def show(name: str, row: dict[str, Any]) -> None:
    p50, p95 = row["single"]
    print(
        f"{name:16}{row['queries']:9,}{row['fit']:8.2f}{row['encoder']:11.2f}{row['route']:9.2f}"
        f"{row['peak']:10.0f}{p50:8.2f}{p95:8.2f}",
        flush=True,
    )


def ratios(ours: dict[str, Any], before: dict[str, Any]) -> None:
    own, other = (row["fit"] - row["encoder"] for row in (ours, before))
    same = np.mean(np.array(ours["choice"]) == before["choice"])
    chosen = f"the same choice on {same:.2%}, scores {before['score']:.4f} and {ours['score']:.4f}"
    if "k" in ours:
        chosen += f", k {before['k']} and {ours['k']}"
    parts = [f"fit {before['fit'] / ours['fit']:.1f}", f"without encoder {other / own:.1f}"]
    parts += [f"{key} {before[key] / ours[key]:.1f}" for key in ("route", "peak")]
    parts += [f"p50 {before['single'][0] / ours['single'][0]:.1f}"]
    print(f"  baseline / ours: {', '.join(parts)}; {chosen}", flush=True)


def measure(name: str, queries: int) -> dict[str, Any]:
    """Fit on a part, save, load, and route the rest and single queries."""
    from routebench.encode.encoders import FittedOnUse
    from routebench.hookspecs import Context
    from routebench.jobs.harness import CHUNK, Harness
    from routebench_routers.knn import KNN
    from routebench_routers.mf import MF

    rng = np.random.default_rng(0)
    train = table(rng, int(0.6 * queries) or SINGLE)
    validation, test = (table(rng, int(0.2 * queries) or SINGLE // 5) for _ in range(2))
    encoder = FittedOnUse("tfidf-svd", {}, list(train.queries.text))
    cls = {"knn": KNN, "mf": MF}[name]
    with tempfile.TemporaryDirectory() as folder:
        fitting, routing = Harness(cls(cls.Options())), Harness(cls(cls.Options()))
        start = time.process_time()
        encoder.encode(["a word"])
        encoded = time.process_time()
        fitting.fit(train, validation, Context(0, encoder, Path(folder)))
        fitted = time.process_time()
        fitting.router.save(Path(folder) / "state")
        routing.router.load(Path(folder) / "state")
        started = time.process_time()
        decisions = routing.route(test.queries, MODELS)
        routed = time.process_time()
        routing.disagreements(test.queries, decisions, MODELS)
    chunks = -(-len(test) // CHUNK)
    single = 1000 * np.quantile(routing.metering.route_seconds[chunks:], [0.5, 0.95])
    return {
        "queries": queries or SINGLE,
        "fit": fitted - start,
        "encoder": encoded - start,
        "route": routed - started,
        "peak": peak(),
        "single": single.tolist(),
        "choice": decisions.choice.tolist(),
        "score": float(test.outcomes.score[np.arange(len(test)), decisions.choice].mean()),
    } | ({"k": routing.router.k} if name == "knn" else {})


def table(rng: np.random.Generator, n: int) -> Any:
    from routebench.records import Outcomes, Pool, Queries, State, Table

    topic = rng.integers(TOPICS, size=n)
    # Frequencies fall as in a language; a third of the words is of the query's topic.
    words = (20 * rng.pareto(1.05, size=(n, LENGTH))).astype(np.int64) % WORDS
    own = rng.random(words.shape) < 1 / 3
    words = np.where(own, TOPICS * (words // TOPICS) + topic[:, None], words)
    texts = np.array([" ".join(f"w{word}" for word in row) + " ?" for row in words], dtype=object)
    skill = np.random.default_rng(1).uniform(0.2, 0.8, size=(TOPICS, MODELS))
    score = (rng.random((n, MODELS)) < skill[topic]).astype(np.float64)
    cost = np.broadcast_to(np.linspace(1e-4, 1e-3, MODELS), score.shape).copy()
    state = np.full(score.shape, State.OK, dtype=np.int8)
    names = tuple(f"model-{model}" for model in range(MODELS))
    return Table(Queries(texts), Outcomes(score, state, cost), Pool(names))


def peak() -> float:
    """Peak memory of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
