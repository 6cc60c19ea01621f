"""Measure what an executor costs a job: `python benchmarks/executors.py --jobs 40`.

The jobs are of the router `best-single` on 200 queries, which has next to nothing to do: what they
take is what running a job takes. For each executor a first run of two jobs starts its processes,
and is not counted; Ray's cluster is one of this machine. CPU seconds are those of this process and
of all that it has started; for Ray, those of the cluster too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench import config
from routebench.pipeline import RunListener, run

MODELS = 4


def write_table(path: Path, n: int) -> None:
    """Write outcomes that nothing predicts."""
    rng = np.random.default_rng(0)
    ids, models = np.repeat(np.arange(n), MODELS), np.tile(np.arange(MODELS), n)
    columns = {
        "query_id": [f"q{i}" for i in ids],
        "query": [f"question {i} of {i * 7919}" for i in ids],
        "model": [f"model-{m}" for m in models],
        "score": (rng.random(n * MODELS) < 0.5).astype(float),
    }
    pq.write_table(pa.table(columns), path)


class Jobs(RunListener):
    """Keeps when the jobs began and ended."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.cpu: list[float] = []

    def planned(self, *_: Any) -> None:
        self._note()

    def ended(self, *_: Any) -> None:
        self._note()

    def _note(self) -> None:
        self.times.append(time.monotonic())
        self.cpu.append(_cpu_seconds())


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and all below it, ended ones too."""
    total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
    known = {os.getpid()}
    rows = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                values = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            rows.append((int(place.name), int(values[1]), sum(map(int, values[11:15]))))
    grown = True
    while grown:
        before = len(known)
        known |= {pid for pid, parent, _ in rows if parent in known}
        grown = len(known) > before
    total = sum(used for pid, _, used in rows if pid in known)
    return total / ticks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--at-a-time", type=int, default=2)
    parser.add_argument("--executors", nargs="+", default=["local", "ray"])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "outcomes.parquet")
        write_table(data, 200)
        for name in chosen.executors:
            if name.partition(":")[0] == "ray":
                import ray

                ray.init(num_cpus=chosen.at_a_time, log_to_driver=False, logging_level="ERROR")
            for count in (2, chosen.jobs):
                watched = Jobs()
                routers = [f"best-single@n{number}" for number in range(count)]
                options = {
                    "suite": f"table:{data}",
                    "router": routers,
                    "perturb": 0,
                    "out": str(Path(folder, f"{name}-{count}")),
                    "executor": name,
                    "jobs": chosen.at_a_time,
                }
                run(config.make(options), watched)
            seconds = (watched.times[-1] - watched.times[0]) / count
            cpu = (watched.cpu[-1] - watched.cpu[0]) / count
            print(
                f"{name:<6} {count} jobs: {seconds:6.3f} s and {cpu:6.3f} CPU s a job", flush=True
            )


if __name__ == "__main__":
    main()
