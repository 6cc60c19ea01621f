"""The real command against a real server with faults: nothing lost, nothing paid twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from libraries import needed
from servers import PLANTED, Server, facts
from stores import kinds_of_calls

from routebench.store.store import AnswerStore

needed("openai")

SERVER = Path(__file__).parents[1] / "servers.py"
FAULTS = {"429": 0.1, "500": 0.05, "hang": 0.02, "malformed": 0.01, "refused": 0.01}
BROKEN = {"error200": 0.03, "stump": 0.02, "silent": 0.02}
ODD = {"safety": 0.02, "zero": 0.03, "contradictory": 0.03, "reasoned": 0.03, "hollow": 0.02}
KEY = "sk-planted-5d0c2f7e"
Collect = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.toml"
    one = "{input_usd_per_mtok = 1.0, output_usd_per_mtok = 10.0}"
    path.write_text(f'"m-1" = {one}\n"m-2" = {one}\n')
    return path


@pytest.fixture
def collect(tmp_path: Path, prices: Path) -> Iterator[Collect]:
    """Start the command on a store; whatever still runs is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(url: str, store: Path, *words: Any, model: str = "openai:m-1") -> Any:
        given = ("--suite", "simpleqa", "--models", model, "--prices", prices, "--store", store)
        environment = os.environ | {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"{url}/v1",
            "GEMINI_API_KEY": KEY,
            "GOOGLE_GEMINI_BASE_URL": url,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "routebench", "collect", *map(str, given), *map(str, words)],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], rc: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=400)
    assert process.returncode == rc, out + err
    assert "Traceback" not in err
    return out, err


def answers(store: Path) -> list[tuple[Any, ...]]:
    """What the table says of every call, but for when and how fast it was made."""
    with AnswerStore(store, write=False) as opened:
        table = opened.table("simpleqa")
    names = sorted(set(table.column_names) - {"latency"})
    return sorted(zip(*(map(repr, table[name].to_pylist()) for name in names), strict=True))


def outcomes(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/log") as response:
        log: list[dict[str, Any]] = json.load(response)
    return log


@pytest.mark.slow
def test_two_thousand_calls_through_faults_and_a_rate_limit(
    collect: Collect, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    shares = [word for name, share in FAULTS.items() for word in ("--fault", f"{name}={share}")]
    limits = ["--rate", "60", "--burst", "20", "--latency", "0.1", "--answers", "facts"]
    server = subprocess.Popen(
        [sys.executable, str(SERVER), *shares, *limits], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        more = ("--limit", 1000, "--samples", 2, "--timeout", 10, "--attempts", 12, "--json")
        out, _ = ended(collect(url, store, *more))
        log = outcomes(url)
    finally:
        server.kill()
        server.communicate()
    done = json.loads(out)
    seen = Counter(entry["outcome"] for entry in log)
    assert done["models"][0]["states"] == {"answered": 2000}
    paid = seen["answered"] + seen["refused"]
    assert paid == 2000
    with AnswerStore(store) as opened:
        assert opened.check() == []
        info = opened.info()
        refused = opened.table("simpleqa")["response"].to_pylist().count("I can't help with that.")
    assert info.states == {"pending": 0, "in_flight": 0, "answered": 2000, "failed": 0}
    assert (info.twice, info.interrupted) == (0, 0)
    assert done["doubtful_attempts"] == seen["hang"] + seen["malformed"]
    assert refused in (0, seen["refused"])
    for name, share in FAULTS.items():
        expected = share * (len(log) - seen["limited"])
        assert abs(seen[name] - expected) < 4 * expected**0.5
    # How much of the rate is used is measured on a clock of its own: test_limits.py.
    assert 0 < seen["limited"] <= 0.2 * paid, seen


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_every_cell_is_what_was_sent(collect: Collect, tmp_path: Path, provider: str) -> None:
    """Errors inside a 200, stumps, empty answers, wrong usage: paid is stored, as what it is."""
    pytest.importorskip({"openai": "openai", "gemini": "google.genai"}[provider])
    store, answer, faults = tmp_path / "store.sqlite", facts(), FAULTS | BROKEN | ODD
    with Server(answer, faults=faults, retry_after=0.1) as server:
        more = ("--limit", 1000, "--timeout", 4, "--attempts", 12, "--json")
        out, _ = ended(collect(server.url, store, *more, model=f"{provider}:m-1"))
        paid = Counter((entry.prompt, entry.outcome) for entry in server.billed())
        seen = server.counts()
    done = json.loads(out)
    assert done["models"][0]["states"] == {"answered": 1000}
    found = kinds_of_calls(store, answer)
    if provider == "gemini":  # a blocked prompt is refused without words
        paid = Counter({(p, "safety" if k == "refused" else k): n for (p, k), n in paid.items()})
    assert found == paid
    assert {kind for _, kind in found} >= set(ODD) | {"answered"}
    assert min(seen[kind] for kind in (*BROKEN, *ODD)) > 0
    wrong = {kind: seen[kind] for kind in ("zero", "contradictory")}
    assert done["models"][0]["miscounted"] == wrong
    assert done["models"][0]["unpriced"] == sum(wrong.values())
    assert done["empty"] == seen["hollow"]
    assert done["doubtful_attempts"] == sum(
        seen[kind] for kind in ("hang", "malformed", "stump", "silent")
    ) + (seen["error200"] if provider == "gemini" else 0)


@pytest.mark.slow
def test_killed_ten_times_it_ends_as_if_nothing_had_been(collect: Collect, tmp_path: Path) -> None:
    store, rng, words = tmp_path / "store.sqlite", random.Random(7), ("--limit", 400, "--quiet")
    with Server(facts(), latency=0.1) as server:
        for number in range(10):
            process = collect(server.url, store, *words, "--concurrency", 12)
            until = len(server.log) + rng.randint(5, 60)
            deadline = time.monotonic() + 300
            while len(server.log) < until and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.1))
            assert process.poll() is None, f"kill {number} came too late"
            process.kill()
            process.wait()
            with AnswerStore(store) as opened:
                assert opened.check() == []
        out, _ = ended(collect(server.url, store, "--limit", 400))
        paid = Counter(entry.prompt for entry in server.billed())
        whole = tmp_path / "whole.sqlite"
        ended(collect(server.url, whole, *words))
    with AnswerStore(store) as opened:
        assert opened.check() == []
        info = opened.info()
    assert info.states["answered"] == 400
    assert sum(paid.values()) - 400 <= info.interrupted <= 10 * 44
    assert len(paid) == 400
    with contextlib.closing(sqlite3.connect(store)) as database:
        interrupted = dict(
            database.execute(
                "SELECT text, interrupted FROM calls JOIN prompts ON prompts.id = prompt"
            )
        )
    for prompt, times in paid.items():
        assert times <= 1 + interrupted[prompt], "paid again, though not under way at a kill"
    assert answers(store) == answers(whole)
    assert "400" in out


@pytest.mark.slow
def test_two_collectors_pay_for_nothing_twice(collect: Collect, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    with Server(facts(), latency=0.2) as server:
        words = ("--limit", 300, "--concurrency", 8, "--budget", 0.1, "--json")
        small = ("--set", "openai.max_tokens=64")
        both = [collect(server.url, store, *words, *small) for _ in range(2)]
        results = [json.loads(ended(process)[0]) for process in both]
        assert max(Counter(entry.prompt for entry in server.billed()).values()) == 1
        assert len(server.billed()) == 300
    with AnswerStore(store) as opened:
        assert opened.info().states["answered"] == 300
        assert opened.spent() == pytest.approx(sum(result["usd"] for result in results))
        assert opened.spent() <= 0.1
    assert all(result["usd"] > 0 for result in results)


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_paid(collect: Collect, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    with Server(facts(), latency=0.5) as server:
        process = collect(server.url, store, "--limit", 500)
        while len(server.log) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = ended(process, rc=130)
        assert "waiting for" in err
        assert "the same command goes on" in out
        with AnswerStore(store) as opened:
            states = opened.counts()
        assert 20 <= states["answered"] == len(server.billed()) < 500
        assert states["in_flight"] == 0
        again = collect(server.url, store, "--limit", 500)
        while len(server.billed()) < 60:
            time.sleep(0.01)
        again.send_signal(signal.SIGINT)
        time.sleep(0.1)
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=400)
        assert again.returncode == -signal.SIGINT


@pytest.mark.slow
def test_a_key_is_never_shown_or_stored(collect: Collect, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    with Server(facts(), key="another", faults={"500": 0.2}) as server:
        out, err = ended(collect(server.url, store, "--limit", 20), rc=1)
        assert "openai:m-1 is not asked any more" in err
        assert "simulated" not in err
        both = collect(
            server.url, store, "--limit", 20, "--json", model="openai:m-1,simulated:sim-pro"
        )
        more, errors = ended(both, rc=1)
    assert json.loads(more)["models"][1]["states"] == {"answered": 20}
    assert json.loads(more)["models"][0]["stopped"]
    said = out + err + more + errors
    assert KEY not in said
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_odd_answers_and_errors_do_not_reach_the_terminal(collect: Collect, tmp_path: Path) -> None:
    store, planted = tmp_path / "store.sqlite", list(PLANTED.values())

    def odd(prompt: str, model: str) -> str:
        return planted[len(prompt) % len(planted)]

    message = {"error": {"message": "no \x1b[2J\x1b]0;owned\x07 [bold]such[/] \u202e thing"}}

    def script(prompt: str, attempt: int) -> Any:
        return (400, message) if len(prompt) % 7 == 0 else None

    with Server(odd, script=script) as server:
        out, err = ended(
            collect(server.url, store, "--limit", 60, "--set", "openai.max_tokens=500000")
        )
    for text in (out, err):
        assert all(character.isprintable() or character == "\n" for character in text)
    assert "[bold]such[/]" in err
    with AnswerStore(store) as opened:
        said = {answer.response for answer in opened.answers()}
    assert said == set(planted)


@pytest.mark.slow
def test_the_gemini_example(collect: Collect, tmp_path: Path) -> None:
    pytest.importorskip("google.genai")
    store = tmp_path / "store.sqlite"
    models = "gemini:gemini-2.5-flash,gemini:gemini-2.5-pro"
    small = ("--set", "gemini.max_output_tokens=256")
    with Server(facts(), faults=FAULTS, retry_after=0.1) as server:
        words = ("--limit", 120, "--judge", "exact", "--budget", 1, "--timeout", 2, *small)
        out, _ = ended(collect(server.url, store, *words, model=models))
        assert len(server.billed()) == 240
    assert "graded" in out
    assert f"next: routebench run --suite simpleqa --data {store}" in out
    run = subprocess.run(
        [sys.executable, "-m", "routebench", "run", "--suite", "simpleqa", "--data", store,
         "--router", "best-single,cheapest", "--quiet", "--out", tmp_path / "run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "gemini-2.5-pro" in run.stdout
