"""Import, doctor and ope of a million events on one machine, as processes: seconds, peak memory.

python benchmarks/log_scale.py [--events 1000000] [--folder DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

START = 1_772_323_200.0  # 2026-03-01
MONTH = 31 * 86_400.0


def scale(n: int, folder: Path) -> list[dict[str, Any]]:
    """Return seconds and peak memory of each command on so many events."""
    log, rewards, out = folder / "serve.jsonl", folder / "rewards.csv", folder / "events.parquet"
    _served(n, log, rewards)
    command = [sys.executable, "-m", "routebench"]
    steps = {
        "import": ["logs", "import", log, "--rewards", rewards, "--out", out],
        "doctor": ["logs", "doctor", out],
        "ope": ["ope", out, "--model", "gpt-4o-mini"],
    }
    rows = []
    for name, words in steps.items():
        begun = time.perf_counter()
        child = subprocess.Popen([*command, *map(str, words)], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        rows.append(
            {
                "step": name,
                "exit": os.waitstatus_to_exitcode(status),
                "seconds": round(time.perf_counter() - begun, 1),
                "cpu": round(used.ru_utime + used.ru_stime, 1),
                "peak_mib": round(used.ru_maxrss / 1024),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    sizes = {path.name: round(path.stat().st_size / 2**20) for path in (log, rewards, out)}
    print(json.dumps({"events": n, "mib": sizes}))
    return rows


def _served(n: int, log: Path, rewards: Path) -> None:
    from datetime import UTC, datetime

    rng = np.random.default_rng(0)
    models, worth = ["gpt-4o", "gpt-4o-mini", "claude-3-5-haiku-20241022"], [0.8, 0.7, 0.65]
    chances = [0.8, 0.1, 0.1]
    with log.open("w") as lines, rewards.open("w") as given:
        given.write("event,reward\n")
        for i in range(n):
            if i % 10_000 == 0:
                chosen = rng.choice(3, 10_000, p=chances)
                tokens = rng.lognormal(6, 0.8, (10_000, 2)).astype(int) + 1
                right = rng.random(10_000)
            a, (before, after) = int(chosen[i % 10_000]), map(int, tokens[i % 10_000])
            at = datetime.fromtimestamp(START + MONTH * i / n, UTC).isoformat("T", "milliseconds")
            text = f"Request {i}: " + "what is said of it here, and why? " * 8
            event = {
                "version": 1, "event": f"{i:032x}", "time": at, "policy_version": "0123456789ab",
                "requested": "routebench", "point": None, "session": f"s{i // 4}", "stream": False,
                "candidates": models, "probabilities": chances, "chosen": models[a],
                "propensity": chances[a], "greedy": models[0], "explored": a > 0,
                "quality": dict(zip(models, worth, strict=True)), "confidence": None,
                "policy": None, "reason": "", "answered_by": models[a], "fallbacks": [],
                "calls": [{"model": models[a], "usd": 0.001, "seconds": 0.8, "error": None}],
                "tokens": {"prompt_tokens": before, "completion_tokens": after},
                "cost_usd": (before + 4 * after) * (3, 0.2, 1)[a] / 1e6, "latency_s": 0.9,
                "first_s": None, "route_s": 0.002, "status": 200, "error": None,
                "messages": [{"role": "user", "content": text}], "answer": "An answer. " * 20,
            }  # fmt: skip
            lines.write(json.dumps(event, separators=(",", ":")) + "\n")
            given.write(f"{i:032x},{int(right[i % 10_000] < worth[a])}\n")


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        rows = scale(given.events, Path(folder))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
