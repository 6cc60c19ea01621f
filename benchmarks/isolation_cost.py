"""Measure what the layers of isolation cost a job: `python benchmarks/isolation_cost.py`.

Each job is the smallest there is (a plugin that is asked for its options), in a warm process and in
a fresh one; the baseline is the same process with the layers taken out one by one, in the same
run and by turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

from routebench.isolation.messages import Access, DescribeReply, DescribeRequest
from routebench.isolation.subprocesses import Workers
from routebench.plugin import discovery

WITHOUT = {
    "all layers": "",
    "no namespaces": "import routebench.isolation.namespaces as m; m.enter = lambda *_: False",
    "no seccomp": "import routebench.isolation.syscalls as m; m.restrict = lambda *_: False",
    "no Landlock": "import routebench.isolation.landlock as m; m.restrict = lambda *_: False",
}


def milliseconds(workers: Workers, folder: Path, times: int) -> list[float]:
    """Return what each of some jobs took from request to report."""
    info = discovery.find("router", "best-single")
    request = DescribeRequest("best-single", info, {}, "embedded")
    taken = []
    for number in range(times):
        start = time.perf_counter()
        report = workers.run(request, folder / f"job-{time.monotonic_ns()}-{number}", Access())
        taken.append(1000 * (time.perf_counter() - start))
        assert isinstance(report.reply, DescribeReply), report
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as code_of:
        for warm in (True, False):
            found: dict[str, list[float]] = {}
            for name, code in WITHOUT.items():
                place = Path(scratch) / "run" / name.replace(" ", "-") / str(warm)
                place.mkdir(parents=True)
                own = Path(code_of) / name.replace(" ", "-") / str(warm)
                own.mkdir(parents=True)
                (own / "sitecustomize.py").write_text(code)
                with (
                    patch.dict("os.environ", {"PYTHONPATH": str(own)}),
                    closing(Workers(place, warm)) as workers,
                ):
                    milliseconds(workers, place, 2)
                    found[name] = milliseconds(workers, place, times)
            base = statistics.median(found["all layers"])
            print("warm process" if warm else "fresh process")
            for name, taken in found.items():
                middle = statistics.median(taken)
                print(f"  {name:14s} {middle:7.1f} ms  ({middle - base:+.1f})")


if __name__ == "__main__":
    main()
