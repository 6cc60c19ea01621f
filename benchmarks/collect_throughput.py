"""Measure how near `routebench collect` comes to what a server allows, and how soon.

python benchmarks/collect_throughput.py [--calls 5000] [--json FILE]

The server is the tests' own, in this process; the command runs in another one. Exits 1 where a
figure is outside its bounds.

- faults: a rate of 60 requests/s and a tenth of a second per answer; of what is within the rate
  10% end as 429, 5% as 500, 2% never, 1% as broken JSON, 3% as an error inside a 200, 2% as half an
  answer, 2% as an empty one that nobody counted; of the prompts 1% are refused and 2% filtered, 3%
  are answered with usage of 0, 3% with usage that excludes itself, 3% with reasoning apart, 2% with
  reasoning only. Each cell of the store is compared with what the server sent for it.
- burst: 10 requests at once, then 100/s.
- lifted: 10 requests/s, after half a minute 100/s.
- plain: no limit and no fault: what the command itself can do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers import Server, facts
from stores import kinds_of_calls

FAULTS = {
    "429": 0.1,
    "500": 0.05,
    "hang": 0.02,
    "malformed": 0.01,
    "refused": 0.01,
    "error200": 0.03,
    "stump": 0.02,
    "silent": 0.02,
    "safety": 0.02,
    "zero": 0.03,
    "contradictory": 0.03,
    "reasoned": 0.03,
    "hollow": 0.02,
}
PRICES = "[m]\ninput_usd_per_mtok = 1.0\noutput_usd_per_mtok = 10.0\n"


def collect(server: Server, folder: Path, calls: int, *words: str) -> dict[str, Any]:
    """Run the command to its end; its own JSON, with seconds."""
    (folder / "prices.toml").write_text(PRICES)
    store = folder / "store.sqlite"
    samples = -(-calls // 2500)
    given = ["--limit", str(calls // samples), "--samples", str(samples), "--store", str(store)]
    given += ["--prices", str(folder / "prices.toml"), "--attempts", "12", "--timeout", "3"]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "routebench", "collect", "--suite", "simpleqa", "--models",
         "openai:m", "--json", *given, *words],
        env=os.environ | {"OPENAI_BASE_URL": server.url + "/v1", "OPENAI_API_KEY": "none"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout) | {"seconds": time.perf_counter() - began}


def per_second(server: Server, outcomes: Callable[[str], bool]) -> list[int]:
    """Requests of each second since the first."""
    first = server.log[0].at
    seconds = Counter(int(e.at - first) for e in server.log if outcomes(e.outcome))
    return [seconds[n] for n in range(max(seconds) + 1)]


def admitted(server: Server) -> float:
    """Requests per second that were within the rate, from the first to the last one."""
    times = [entry.at for entry in server.log if entry.outcome != "limited"]
    return len(times) / (times[-1] - times[0])


def through_faults(folder: Path, calls: int) -> dict[str, Any]:
    rate = 60.0
    answer = facts()
    with Server(answer, faults=FAULTS, rate=rate, burst=20, latency=0.1) as server:
        done = collect(server, folder, calls)
        seen = server.counts()
        sent = Counter((entry.prompt, entry.outcome) for entry in server.billed())
        stored = kinds_of_calls(folder / "store.sqlite", answer)
        return {
            "states": done["models"][0]["states"],
            "paid": len(server.billed()),
            "cells_in_a_wrong_state": (stored - sent).total() + (sent - stored).total(),
            "outcomes": dict(seen),
            "admitted_per_s": admitted(server),
            "share": admitted(server) / rate,
            "good": admitted(server) >= 0.8 * rate
            and len(server.billed()) == done["models"][0]["states"].get("answered")
            and stored == sent,
        }


def of_a_burst(folder: Path, calls: int) -> dict[str, Any]:
    with Server(facts(), rate=100, burst=10, latency=0.1) as server:
        collect(server, folder, min(calls, 2500))
        seconds = per_second(server, lambda outcome: outcome == "answered")
        refused = per_second(server, lambda outcome: outcome == "limited")
    steady = seconds[10:20]
    mean = sum(steady) / max(len(steady), 1)
    return {
        "answered_by_second": seconds,
        "refused": sum(refused),
        "per_s_from_10_to_20_s": mean,
        "good": mean >= 75,
    }


def of_a_lifted_limit(folder: Path, calls: int) -> dict[str, Any]:
    with Server(facts(), rate=10, burst=10, latency=0.1) as server:
        lifted: list[float] = []

        def lift() -> None:
            while not server.log:
                time.sleep(0.01)
            time.sleep(30)
            server.limit(100, 100)
            lifted.append(time.monotonic() - server._start)

        threading.Thread(target=lift, daemon=True).start()
        collect(server, folder, min(calls, 2000))
        times = [entry.at - lifted[0] for entry in server.log if entry.outcome == "answered"]
    reached = next(
        (s for s in range(1, 60) if sum(s - 2 <= at < s for at in times) / 2 >= 80), None
    )
    return {"seconds_to_80_per_s": reached, "good": reached is not None and reached <= 10}


def plain(folder: Path, calls: int) -> dict[str, Any]:
    with Server(facts(), latency=0.2) as server:
        done = collect(server, folder, calls)
        span = server.log[-1].at - server.log[0].at
    return {"calls_per_s": calls / span, "seconds_with_start": done["seconds"], "good": True}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--only", choices=["faults", "burst", "lifted", "plain"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    all_ = {
        "faults": through_faults,
        "burst": of_a_burst,
        "lifted": of_a_lifted_limit,
        "plain": plain,
    }
    found = {}
    for name, measure in all_.items():
        if given.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                found[name] = measure(Path(folder), given.calls)
            print(name, json.dumps(found[name]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(each["good"] for each in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
