"""The command `routebench serve` and its process: options, signals, memory."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from served import DATA, KEY, a_run, body, logged

from routebench.commands.serve import client_keys
from routebench.errors import OptionError

httpx = pytest.importorskip("httpx")
for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed)

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory)


@contextmanager
def process(run: Path, server: ChatServer, *words: object) -> Iterator[tuple[Any, str]]:
    """Start the real command on a free port; its process and address."""
    given = ["serve", run, "knn", "--port", 0, "--provider", "openai", *words]
    given += ["--set", f"openai.base_url={server.url}", "--prices", DATA / "prices.toml"]
    started = subprocess.Popen(
        [sys.executable, "-m", "routebench", *map(str, given)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENAI_API_KEY": KEY},
    )
    try:
        assert started.stderr is not None
        line = started.stderr.readline()
        assert "knn: http://127.0.0.1:" in line, line + started.stderr.read()
        yield started, line.split()[1]
    finally:
        started.kill()
        started.wait(10)
        assert started.stderr is not None
        started.stderr.close()


def test_sigterm_ends_it_once_it_has_answered(run: Path, tmp_path: Path) -> None:
    place = tmp_path / "log.jsonl"
    with ChatServer() as server, process(run, server, "--log", place) as (command, url):
        server.gate = threading.Event()
        lines = []
        sent = body(stream=True, messages=[{"role": "user", "content": "one two three"}])
        with httpx.stream("POST", f"{url}/chat/completions", json=sent, timeout=30) as answer:
            for line in filter(None, answer.iter_lines()):
                if not lines:
                    command.send_signal(signal.SIGTERM)
                    _until_it_listens_no_more(url)
                    server.gate.set()
                lines.append(line)
        assert lines[-1] == "data: [DONE]"
        assert command.wait(20) == 0
    (event,) = logged(place)
    assert (event["status"], event["error"]) == (200, None)


def _until_it_listens_no_more(url: str) -> None:
    for _ in range(500):
        try:
            httpx.get(url.removesuffix("/v1") + "/health", timeout=5)
        except httpx.TransportError:
            return
        time.sleep(0.01)
    raise AssertionError("it still takes requests")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "anybody who reaches it could spend your money"),
        (("--log-texts",), "there is no log"),
        (("--spent", "1"), "--spent is a part of a budget"),
        (("--budget", "-1"), "no amount of money above 0"),
        (("--point", "nowhere"), "the router has most-accurate"),
        (("--set", "gemini.seed=1"), "--set gemini: it is not asked here"),
        (("--provider", "nobody=openai"), "the run has no model 'nobody'"),
    ],
)
def test_options_that_cannot_be_are_named(
    main: Main, run: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    base = ("serve", run, "knn", "--provider", "openai", "--prices", DATA / "prices.toml")
    code, out, err = main(*base, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_without_a_provider_or_its_key_nothing_is_served(
    main: Main, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    base = ("serve", run, "knn", "--prices", DATA / "prices.toml")
    code, _, err = main(*base)
    assert (code, "no provider is named for" in err) == (2, True)
    code, _, err = main(*base, "--provider", "openai")
    assert (code, "OPENAI_API_KEY is not set" in err) == (2, True)


def test_a_port_that_is_taken_is_said(
    main: Main, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer() as server:
        words = ("--provider", "openai", "--prices", DATA / "prices.toml", "--port", server.port)
        code, _, err = main("serve", run, "knn", *words)
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{server.port}" in err


def test_a_library_that_is_missing_is_said(
    main: Main, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    code, _, err = main("serve", run, "knn", "--provider", "openai")
    assert code == 2
    assert "serve: needs prometheus_client" in err
    assert "pip install 'routebench[serve]'" in err


def test_keys_of_clients_are_separated_by_commas() -> None:
    assert client_keys(" key-number-1, key-number-2,\nkey-number-1 ") == (
        "key-number-1",
        "key-number-2",
    )
    assert client_keys("") == ()
    with pytest.raises(OptionError, match="fewer than 8"):
        client_keys("key-number-1,short")


@pytest.mark.slow
def test_a_thousand_malformed_bodies_are_the_clients_fault(run: Path) -> None:
    """Bytes, JSON and requests with anything in place of anything: 4xx, in OpenAI's form."""
    draw = random.Random(0)
    odd = [None, True, -1, 1e308, "", "x", [], {}, [[]], [None], {"role": 1}, "\x00", 10**400]
    whole = body(stream=False, n=1, max_tokens=5, stream_options=None)
    with ChatServer() as server, process(run, server) as (_, url), httpx.Client() as client:
        statuses = []
        for number in range(1000):
            if number % 4 == 0:
                content = draw.randbytes(draw.randrange(200))
            elif number % 4 == 1:
                text = _json(whole)
                content = text[: draw.randrange(len(text))].encode()
            else:
                content = _json(_broken(whole, odd, draw)).encode()
            answer = client.post(
                f"{url}/chat/completions",
                content=content,
                headers={"Content-Type": "application/json"},
            )
            statuses.append(answer.status_code)
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert set(statuses) <= {400, 404}
        assert not server.bodies
        assert client.get(url.removesuffix("/v1") + "/health").status_code == 200


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def _broken(whole: dict[str, Any], odd: list[Any], draw: random.Random) -> Any:
    """Return a request with one field that breaks the protocol."""
    name = draw.choice(["model", "messages", "messages", "stream", "n", "max_tokens", ""])
    value = draw.choice(odd)
    if name == "":
        return value
    if name == "messages" and draw.random() < 0.5:
        message = {"role": "user", "content": "x"}
        message[draw.choice(["role", "content"])] = draw.choice([1, True, {}, {"a": []}, [1], [{}]])
        return whole | {"messages": [{"role": "user", "content": "x"}, message]}
    allowed = {"model": str, "stream": (bool, type(None)), "n": type(None)}
    allowed |= {"max_tokens": type(None), "messages": ()}
    if isinstance(value, allowed[name]) and not (name == "model" and value in ("", "x", "\x00")):
        value = [value]
    return whole | {name: [] if name == "messages" else value}


@pytest.mark.slow
def test_memory_stays_as_it_is(run: Path, tmp_path: Path) -> None:
    """A minute of requests of all kinds; what is in memory after a third of it is what is left."""
    place = Path("/proc/self/statm")
    if not place.exists():
        pytest.skip("no /proc")
    sizes, end, asked = [], time.monotonic() + 60, 0
    words = ("--log", tmp_path / "log.jsonl", "--explore", 0.1, "--budget", 1000)
    with (
        ChatServer() as server,
        process(run, server, *words) as (command, url),
        httpx.Client(timeout=30) as client,
    ):
        server.keep = False
        while time.monotonic() < end or asked < 500:
            for number in range(25):
                sent = body(stream=number % 5 == 0, user=f"u-{asked}")
                sent["messages"] = [{"role": "user", "content": f"Question {asked} {number}"}]
                status = client.post(f"{url}/chat/completions", json=sent).status_code
                assert status == 200
                client.post(
                    f"{url}/chat/completions",
                    content=b"{",
                    headers={"Content-Type": "application/json"},
                )
                asked += 1
            pages = int(Path(f"/proc/{command.pid}/statm").read_text().split()[1])
            sizes.append(pages * os.sysconf("SC_PAGE_SIZE"))
        after_a_third = sizes[len(sizes) // 3]
        assert sizes[-1] < 1.03 * after_a_third
