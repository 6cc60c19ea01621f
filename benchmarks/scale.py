"""Measure how a run grows with the number of queries: seconds and memory of each stage.

python benchmarks/scale.py --queries 10000 100000 400000

Ten models, texts of some twelve words with planted signal, a split by hash. Prints a line a stage
and size, and the exponent b of seconds ~ queries^b between each size and the next: 1 is linear.
Each size runs in a process of its own, one job at a time on one thread. Stages of the run are in
CPU seconds, fit and route as the board has them; the first fit that encodes waits for the encoder.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench import config
from routebench.pipeline import RunListener, run

ROUTERS = ("best-single", "knn", "linear", "mf", "prompt-length")
MODELS, TOPICS, WORDS = 10, 200, 20_000


def write_table(path: Path, n: int) -> None:
    """Write outcomes: a query's topic words say which models are good at it."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(WORDS)])
    topic = rng.integers(TOPICS, size=n)
    common = words[rng.zipf(1.3, size=(n, 9)) % WORDS]
    telling = np.array([f"topic{i}" for i in range(TOPICS * 5)])
    own = telling[topic[:, None] * 5 + rng.integers(5, size=(n, 3))]
    texts = [" ".join([*a, *b, str(i)]) for i, (a, b) in enumerate(zip(common, own, strict=True))]
    skill = rng.beta(2, 2, size=(TOPICS, MODELS))[topic]
    score = (rng.random((n, MODELS)) < skill).astype(np.float64)
    names = np.array([f"model-{m}" for m in range(MODELS)])
    each = np.repeat(np.arange(n), MODELS)
    cost = np.tile(np.geomspace(1e-5, 1e-3, MODELS), n)
    ids = pa.DictionaryArray.from_arrays(pa.array(each), pa.array([f"q{i}" for i in range(n)]))
    query = pa.DictionaryArray.from_arrays(pa.array(each), pa.array(texts))
    model = pa.DictionaryArray.from_arrays(np.tile(np.arange(MODELS), n), pa.array(names))
    columns = {"query_id": ids, "query": query, "model": model}
    columns |= {"score": pa.array(score.ravel()), "cost_usd": pa.array(cost)}
    pq.write_table(pa.table(columns), path)


class Stages(RunListener):
    """Keeps the CPU seconds of this process by stage, and its peak memory by the stage's end."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, float]] = {}
        self._name, self._start = "", 0.0

    def stage(self, text: str) -> None:
        self.end()
        self._name = text.partition(" ")[0].rstrip(":")
        self._start = time.process_time()

    def end(self) -> None:
        """Close the stage that is open."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if self._name:
            self.rows[self._name] = (time.process_time() - self._start, peak)


def measure(folder: str, n: int) -> None:
    """Make a table and run; print CPU seconds and peak MiB by stage as JSON."""
    table = Path(folder, "outcomes.parquet")
    write_table(table, n)
    listener, start = Stages(), time.perf_counter()
    chosen = config.make(
        {
            "suite": f"table:{table}",
            "router": ROUTERS,
            "split": "hash",
            "jobs": 1,
            "out": str(Path(folder, "run")),
        }
    )
    done = run(chosen, listener)
    listener.end()
    wall = time.perf_counter() - start
    stages = {f"run: {name}": row for name, row in listener.rows.items()}
    for router, timing in done.board.timing["routers"].items():
        peak = timing["peak_rss_bytes"] / 2**20
        stages[f"{router}: fit"] = (timing["fit_seconds"], peak)
        stages[f"{router}: route"] = (timing["route_seconds"], peak)
    stages["all, wall-clock"] = (wall, 0.0)
    Path(folder, "stages.json").write_text(json.dumps(stages))


def main() -> None:
    """Measure every size, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, nargs="+", default=[10_000, 100_000])
    sizes = parser.parse_args().queries
    known: list[dict[str, tuple[float, float]]] = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            process = multiprocessing.get_context("spawn").Process(target=measure, args=(folder, n))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(process.exitcode)
            known.append(json.loads(Path(folder, "stages.json").read_text()))
    print(f"{'':24}" + "".join(f"{n:>12,} queries" for n in sizes) + "   exponents")
    for stage in known[-1]:
        cells, exponents = [], []
        for place, stages in enumerate(known):
            seconds, peak = stages.get(stage, (math.nan, 0.0))
            cells.append(f"{seconds:9.2f} s {peak:5.0f} MiB")
            before = known[place - 1].get(stage, (math.nan, 0.0))[0] if place else math.nan
            if place and seconds > 0 and before > 0:
                exponent = math.log(seconds / before) / math.log(sizes[place] / sizes[place - 1])
                exponents.append(f"{exponent:.2f}")
        print(f"{stage:24}" + " ".join(cells) + "   " + ", ".join(exponents))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
