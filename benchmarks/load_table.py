"""Time reading and checking an outcomes table, and finding duplicate queries.

    python benchmarks/load_table.py [--queries 20000] [--models 50] [--texts 100000]

The baseline is `pyarrow.parquet.read_table` on the same file, which checks and aligns nothing.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench.data.duplicates import near_pairs
from routebench_suites.table import TableSuite


def outcomes_table(queries: int, models: int, seed: int = 0) -> pa.Table:
    """A full long-form table with scores, tokens and tasks; 1,000,000 rows by default."""
    rng = np.random.default_rng(seed)
    words = vocabulary(random.Random(seed), 5_000)
    query = np.repeat(np.arange(queries), models)
    texts = [" ".join(rng.choice(words, 16)) + f" {q}?" for q in range(queries)]
    columns: dict[str, Any] = {
        "query_id": pa.array([f"q-{q:06}" for q in range(queries)]).take(query),
        "query": pa.array(texts).take(query),
        "task": pa.array([f"task-{q % 12}" for q in range(queries)]).take(query),
        "model": pa.array([f"vendor/model-{m:02}" for m in range(models)]).take(
            np.tile(np.arange(models), queries)
        ),
        "score": rng.integers(0, 2, len(query)).astype(np.float64),
        "input_tokens": rng.integers(20, 400, len(query)),
        "output_tokens": rng.integers(1, 900, len(query)),
    }
    return pa.table(columns)


def vocabulary(rng: random.Random, size: int) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(rng.choices(letters, k=rng.randint(3, 8))) for _ in range(size)]


def plain_texts(count: int, words: int, seed: int = 0) -> list[str]:
    """Lower-case texts of about 100 characters without numbers: all in one block."""
    rng = random.Random(seed)
    known = vocabulary(rng, words)
    return [" ".join(rng.choices(known, k=16))[:100] for _ in range(count)]


def templated_texts(count: int, seed: int = 0) -> list[str]:
    """One long question with one varying word: nearly all pairs are nearly near."""
    rng = random.Random(seed)
    return [
        "what is the name of the largest city in the district of the old kingdom that was ruled"
        f" by the {word}?"
        for word in vocabulary(rng, count)
    ]


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """The best of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--texts", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outcomes.parquet"
        pq.write_table(outcomes_table(options.queries, options.models), path)
        suite = TableSuite(TableSuite.Options(data=path))
        load = seconds(suite.load)
        baseline = seconds(lambda: pq.read_table(path))
    print(f"{options.queries:,} queries x {options.models} models, Parquet")
    print(f"  read, check and align     {load:6.2f} s")
    print(f"  pyarrow.parquet alone     {baseline:6.2f} s   ratio {load / baseline:.1f}")
    corpora = {
        "5,000 words": plain_texts(options.texts, 5_000),
        "20 words": plain_texts(options.texts, 20),
        "one template": templated_texts(options.texts),
    }
    print(f"duplicates among {options.texts:,} lower-case texts in one block")
    for name, texts in corpora.items():
        took = seconds(lambda texts=texts: near_pairs(texts), repeats=1)  # type: ignore[misc]
        print(f"  {name:<25} {took:6.2f} s")


if __name__ == "__main__":
    main()
