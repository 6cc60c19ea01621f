"""Time and memory of reading a personalised data set, each reader in a process of its own.

    python benchmarks/load_personaroute.py FILE.csv[.gz]
    python benchmarks/load_personaroute.py --users 1000 --queries 240

The second writes a file with those users and queries first, ten models and embeddings of 64
numbers. The baseline is `pandas.read_csv`, or the `csv` module with all rows in a list where
pandas is not installed; neither checks or aligns anything.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    "user_id",
    "performance_preference",
    "task_id",
    "query",
    "query_embedding",
    "effect",
    "cost",
    "llm",
    "task_description",
    "task_description_embedding",
    "reward",
)


def ours(path: Path) -> int:
    from routebench_suites.personaroute.files import read_panel

    panel = read_panel(path)
    asked = len(panel.users) * len(panel.text) if panel.asked is None else panel.asked.sum()
    return int(asked) * len(panel.models)


def pandas(path: Path) -> int:
    import pandas

    return len(pandas.read_csv(path))


def plain(path: Path) -> int:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    csv.field_size_limit(1 << 30)
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return len(list(csv.DictReader(file)))


def started(path: Path) -> int:
    """Imports only, for what a process takes before it reads."""
    import routebench_suites.personaroute.files  # noqa: F401

    return 0


READERS: dict[str, Callable[[Path], int]] = {
    "ours": ours,
    "pandas": pandas,
    "csv": plain,
    "imports": started,
}


def measure(reader: str, path: Path) -> tuple[float, float, int]:
    """Seconds, peak MB and rows, in a fresh process."""
    command = [sys.executable, __file__, str(path), "--reader", reader]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, peak, count = out.split()
    return float(seconds), float(peak), int(count)


def write(path: Path, users: int, queries: int) -> None:
    """The simulated panel as one expanded file."""
    from routebench_suites.personaroute.simulated import simulate

    panel = simulate(users, -(-queries // 4))
    rng = np.random.default_rng(0)
    cells = [str(row[None]) for row in rng.standard_normal((len(panel.text), 64))]
    tasks = {name: str(rng.standard_normal((1, 64))) for name in panel.task_description}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for user, weight in zip(panel.users, panel.preference.tolist(), strict=True):
            for q, (text, task) in enumerate(zip(panel.text, panel.task, strict=True)):
                for m, model in enumerate(panel.models):
                    effect, cost = float(panel.effect[q, m]), float(panel.cost[q, m])
                    reward = weight * effect - (1 - weight) * cost
                    description = panel.task_description[task]
                    row = (user, weight, task, text, cells[q], effect, cost, model)
                    writer.writerow((*row, description, tasks[task], reward))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--queries", type=int, default=240)
    parser.add_argument("--reader", choices=READERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        start = time.perf_counter()
        count = READERS[options.reader](options.path)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(seconds, peak, count)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            path = Path(folder) / "simulated.csv"
            write(path, options.users, options.queries)
        baseline = "pandas" if importlib.util.find_spec("pandas") else "csv"
        found = {name: measure(name, path) for name in ("imports", "ours", baseline)}
        size = path.stat().st_size / 1e6
    print(f"{path.name}: {size:,.0f} MB, {found['ours'][2]:,} rows")
    for name, (seconds, peak, _) in found.items():
        print(f"  {name:<8} {seconds:7.2f} s   peak {peak:7,.0f} MB")
    ours_, base = found["ours"], found[baseline]
    print(f"  ratio    {base[0] / ours_[0]:7.1f} x faster, {base[1] / ours_[1]:.1f} x less memory")


if __name__ == "__main__":
    main()
