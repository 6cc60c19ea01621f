"""Measure what `routebench serve` adds to a model's own time, under load and failures too.

python benchmarks/serve.py [--router mf] [--requests 10000] [--soak 60] [--json FILE]

A server of chat completions that takes 50 ms is asked directly and through the router, in turns, so
that other work on the machine slows both. It, the router and the client are processes of their own.
Exits 1 where a figure is outside its bounds.

- overhead: 5 requests at a time; by how much the 99th percentile through the router is above the
  direct one, less what the router itself says it took. Bound: 5 ms.
- load: 50 at a time; no error; requests and CPU seconds per second, also of direct ones.
- killed: one of two servers is gone for 5 s; every request is answered, by a model of the other.
- soak: memory of the process while 10 at a time go on; no more than 3% above where it was after a
  third of the time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

SERVER = Path(__file__).parents[1] / "tests" / "chat_server.py"
LATENCY = 0.05
MODELS = ("sim-flash", "sim-lore", "sim-mini", "sim-nano", "sim-pro", "sim-think")
AWAY = ("sim-lore", "sim-pro", "sim-mini")
"""Models of the second server, which dies."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Measured:
    """Requests that have ended."""

    seconds: list[float] = field(default_factory=list)
    route: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wall: float = 0.0
    fallbacks: int = 0

    def p(self, share: float) -> float:
        """Milliseconds."""
        return float(1000 * np.percentile(self.seconds, 100 * share))


async def ask(url: str, model: str, n: int, at_once: int, into: Measured) -> None:
    """Ask n times, over one connection for each of those that ask at once."""
    place, left, began = urlsplit(url), iter(range(n)), time.perf_counter()

    async def one_after_the_other() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        for number in left:
            content = f"Who received the award number {number} of the academy in 2010?"
            messages = [{"role": "user", "content": content}]
            body = json.dumps({"model": model, "messages": messages}).encode()
            head = (
                f"POST {place.path}/chat/completions HTTP/1.1\r\nHost: {place.netloc}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            start = time.perf_counter()
            writer.write(head.encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            await reader.readexactly(int(headers["content-length"]))
            into.seconds.append(time.perf_counter() - start)
            into.statuses[int(lines[0].split()[1])] += 1
            into.route.append(float(headers.get("x-routebench-route-ms", 0)) / 1000)
            into.fallbacks += "x-routebench-fallbacks" in headers
        writer.close()

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    into.wall += time.perf_counter() - began


def started(*words: str, env: dict[str, str] | None = None) -> tuple[subprocess.Popen[str], str]:
    """Start a server; its process and address."""
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | (env or {}),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return process, "http://" + line.split("http://")[1].split()[0]
        print(line, end="")
    raise SystemExit("a server has not started")


def cpu(process: subprocess.Popen[str]) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(process: subprocess.Popen[str]) -> float:
    """MiB in memory."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE / 2**20


def prices(folder: Path) -> Path:
    place = folder / "prices.toml"
    lines = "input_usd_per_mtok = 1.0\noutput_usd_per_mtok = 4.0\n"
    place.write_text("".join(f'["{model}"]\n{lines}' for model in MODELS))
    return place


def overhead(
    direct: str, through: str, requests: int, process: subprocess.Popen[str]
) -> dict[str, Any]:
    plain, routed, before = Measured(), Measured(), cpu(process)
    for _ in range(10):
        for url, model, into in ((direct, "m", plain), (through, "routebench", routed)):
            asyncio.run(ask(url, model, requests // 10, 5, into))
    spent = cpu(process) - before
    route = 1000 * float(np.percentile(routed.route, 99))
    return {
        "direct_p50_ms": plain.p(0.5),
        "direct_p99_ms": plain.p(0.99),
        "routed_p50_ms": routed.p(0.5),
        "routed_p99_ms": routed.p(0.99),
        "router_p99_ms": route,
        "overhead_p50_ms": routed.p(0.5) - plain.p(0.5),
        "overhead_p99_ms": routed.p(0.99) - plain.p(0.99) - route,
        "ratio_p99": routed.p(0.99) / plain.p(0.99),
        "cpu_ms_per_request": 1000 * spent / len(routed.seconds),
        "load_average": os.getloadavg()[0],
        "good": routed.p(0.99) - plain.p(0.99) - route <= 5 and set(routed.statuses) == {200},
    }


def load(
    direct: str, through: str, requests: int, process: subprocess.Popen[str]
) -> dict[str, Any]:
    plain, routed = Measured(), Measured()
    asyncio.run(ask(direct, "m", max(requests // 5, 50), 50, plain))
    before = cpu(process)
    asyncio.run(ask(through, "routebench", requests, 50, routed))
    spent = cpu(process) - before
    return {
        "requests": requests,
        "errors": requests - routed.statuses[200],
        "direct_per_s": len(plain.seconds) / plain.wall,
        "routed_per_s": requests / routed.wall,
        "ratio": (requests / routed.wall) / (len(plain.seconds) / plain.wall),
        "cpu_ms_per_request": 1000 * spent / requests,
        "p50_ms": routed.p(0.5),
        "p99_ms": routed.p(0.99),
        "good": routed.statuses == Counter({200: requests}),
    }


async def _while_killed(through: str, second: subprocess.Popen[str], port: int) -> dict[str, Any]:
    measured, restarted = Measured(), None

    async def kill() -> subprocess.Popen[str]:
        await asyncio.sleep(2)
        second.kill()
        await asyncio.sleep(5)
        return started(str(SERVER), str(LATENCY), str(port))[0]

    killing = asyncio.create_task(kill())
    while not killing.done():
        await ask(through, "routebench", 50, 5, measured)
    restarted = await killing
    before = measured.fallbacks
    await ask(through, "routebench", 200, 5, measured)
    restarted.kill()
    total = sum(measured.statuses.values())
    return {
        "requests": total,
        "statuses": dict(measured.statuses),
        "fell_back": before,
        "fell_back_afterwards": measured.fallbacks - before,
        "slowest_ms": measured.p(1),
        "good": measured.statuses == Counter({200: total})
        and before > 0
        and measured.fallbacks == before
        and measured.p(1) < 5000,
    }


def soak(through: str, seconds: float, process: subprocess.Popen[str]) -> dict[str, Any]:
    measured, sizes, end = Measured(), [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        asyncio.run(ask(through, "routebench", 500, 10, measured))
        sizes.append(rss(process))
    after_a_third, last = sizes[len(sizes) // 3], sizes[-1]
    return {
        "requests": len(measured.seconds),
        "rss_mib": [round(size, 1) for size in sizes[:: max(1, len(sizes) // 12)]],
        "growth": last / after_a_third - 1,
        "good": last <= 1.03 * after_a_third and set(measured.statuses) == {200},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--router", default="mf")
    parser.add_argument("--run", type=Path, help="a finished run of simpleqa with that router")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--soak", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        run = given.run or folder / "run"
        if given.run is None:
            words = ["run", "--suite", "simpleqa", "--router", f"{given.router},best-single"]
            more = ["--perturb", "0", "--quiet", "--out", str(run)]
            subprocess.run([sys.executable, "-m", "routebench", *words, *more], check=True)
        found = measure(run, given.router, folder, given.requests, given.soak)
    found["load_average"] = os.getloadavg()[0]
    found["cores"] = os.cpu_count()
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))
    return 0 if all(part["good"] for part in found.values() if isinstance(part, dict)) else 1


def measure(run: Path, router: str, folder: Path, requests: int, soaking: float) -> dict[str, Any]:
    first, direct = started(str(SERVER), str(LATENCY))
    second, other = started(str(SERVER), str(LATENCY))
    words = ["-m", "routebench", "serve", str(run), router, "--port", "0", "--provider", "openai"]
    words += ["--set", f"openai.base_url={direct}", "--prices", str(prices(folder))]
    words += ["--log", str(folder / "requests.jsonl")]
    base = other.removesuffix("/v1")
    words += ["--set", f"gemini.base_url={base}"]
    for model in AWAY:
        words += ["--provider", f"{model}=gemini:{model}"]
    process, through = started(*words, env={"GEMINI_API_KEY": "a-key-of-no-account-0"})
    try:
        asyncio.run(ask(through, "routebench", 100, 5, Measured()))  # connections are made once
        found: dict[str, Any] = {"load_average_before": os.getloadavg()[0]}
        found["overhead"] = overhead(direct, through, min(requests, 2000), process)
        found["load"] = load(direct, through, requests, process)
        if soaking:
            found["soak"] = soak(through, soaking, process)
        port = urlsplit(other).port
        assert port is not None
        found["killed"] = asyncio.run(_while_killed(through, second, port))
        process.terminate()
        found["exit_code"] = process.wait(30)
        return found
    finally:
        for each in (process, first, second):
            each.kill()


if __name__ == "__main__":
    sys.exit(main())
