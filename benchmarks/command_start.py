"""Time `routebench --help` against importing its two smallest libraries.

Prints the fastest of several runs of both, and their ratio. The bound is 1.5.
"""

from __future__ import annotations

import subprocess
import sys
import time

RUNS = 15


def fastest(*command: str) -> float:
    """Seconds of the fastest run; other work on the machine only ever adds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    baseline = fastest(sys.executable, "-c", "import click, pluggy")
    print(f'python -c "import click, pluggy"  {1000 * baseline:6.0f} ms  (baseline)')
    for words in (["--help"], ["run", "--help"], ["plugins"]):
        seconds = fastest(sys.executable, "-m", "routebench", *words)
        name = "routebench " + " ".join(words)
        print(f"{name:<34}{1000 * seconds:6.0f} ms  {seconds / baseline:.2f} ×")


if __name__ == "__main__":
    main()
