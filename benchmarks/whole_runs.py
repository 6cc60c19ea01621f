"""Whole runs of two installed versions, one after the other: seconds, memory, and equal decisions.

python benchmarks/whole_runs.py OLD/bin/routebench NEW/bin/routebench --repeats 3 -- \
    --suite simpleqa --router best-single,knn,linear,mf

Prints wall-clock and CPU seconds (of all processes) and the new version's share of the old one's,
and whether both decided the same for every query.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq


def measured(command: str, options: list[str], out: Path) -> tuple[float, float]:
    """Return the wall-clock and CPU seconds of a run into `out`."""
    words = [command, "run", *options, "--quiet", "--fresh", "--out", str(out)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used


def main() -> None:
    """Measure, and print one line a version and one of ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", help="the older version's routebench")
    parser.add_argument("new", help="the newer version's routebench")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("options", nargs="+", help="options of `routebench run`, after --")
    given = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {"old": [], "new": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.repeats):
            for name in times:
                out = Path(folder, name)
                times[name].append(measured(getattr(given, name), given.options, out))
        tables = [pq.read_table(Path(folder, name, "decisions.parquet")) for name in times]
    middle = {
        name: [statistics.median(values) for values in zip(*each, strict=True)]
        for name, each in times.items()
    }
    print(f"{os.cpu_count()} cores, median of {given.repeats}: {' '.join(given.options)}")
    for name, (wall, used) in middle.items():
        print(f"{name}: {wall:7.1f} s wall, {used:7.1f} s CPU")
    shares = [new / old for old, new in zip(middle["old"], middle["new"], strict=True)]
    print(f"new / old: {shares[0]:.2f} wall, {shares[1]:.2f} CPU")
    print("decisions:", "equal" if tables[0].equals(tables[1]) else "differ")


if __name__ == "__main__":
    main()
