"""The local server itself: what it must do for the tests that count on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import servers
from servers import Server

FAULTS = {"429": 0.1, "500": 0.05, "malformed": 0.01, "refused": 0.01, "hang": 0.02}


class Client:
    """One connection, kept alive."""

    def __init__(self, server: Server | str, timeout: float = 5) -> None:
        url = server if isinstance(server, str) else server.url
        self.connection = HTTPConnection(url.removeprefix("http://"), timeout=timeout)

    def send(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of the reply."""
        self.connection.request("POST", path, json.dumps(body), headers)
        reply = self.connection.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return reply.status, names, reply.read().decode()

    def gemini(self, prompt: str, model: str = "m") -> tuple[int, dict[str, str], str]:
        body = {"contents": [{"parts": [{"text": prompt}]}]}
        return self.send(f"/v1beta/models/{model}:generateContent", body)

    def openai(self, prompt: str, model: str = "m") -> tuple[int, dict[str, str], str]:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        return self.send("/v1/chat/completions", body)

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def client() -> Any:
    made: list[Client] = []

    def connect(server: Server | str, timeout: float = 5) -> Client:
        made.append(Client(server, timeout))
        return made[-1]

    yield connect
    for each in made:
        each.close()


Connect = Callable[..., Client]


def test_it_speaks_both_protocols(client: Connect) -> None:
    with Server(lambda prompt, model: "Rome", thinking=5, cached=2) as server:
        status, _, text = client(server).gemini("Capital of Italy?")
        google = json.loads(text)
        _, _, text = client(server).openai("Capital of Italy?")
        other = json.loads(text)
    assert status == 200
    assert google["candidates"][0]["content"]["parts"][-1] == {"text": "Rome"}
    assert google["usageMetadata"] == {
        "promptTokenCount": 5,
        "candidatesTokenCount": 1,
        "thoughtsTokenCount": 5,
        "cachedContentTokenCount": 2,
        "totalTokenCount": 11,
    }
    assert other["choices"][0]["message"]["content"] == "Rome"
    assert other["usage"]["completion_tokens"] == 6
    assert other["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}
    assert other["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}


def test_faults_have_their_shares_and_are_the_same_in_any_order(client: Connect) -> None:
    def run(order: list[int], seed: int) -> dict[tuple[str, int], str]:
        faults = {name: share for name, share in FAULTS.items() if name != "hang"}
        with Server(faults=faults, seed=seed) as server:
            connection = client(server)
            for i in order:
                connection.gemini(f"question {i % 1000}")
        return {(entry.prompt, entry.attempt): entry.outcome for entry in server.log}

    there = run(list(range(2000)), 1)
    assert run(list(range(1999, -1, -1)), 1) == there
    assert run(list(range(2000)), 2) != there
    counts = Counter(there.values())
    assert len(there) == 2000
    assert 160 <= counts["429"] <= 240
    assert 70 <= counts["500"] <= 130
    refused = {prompt for (prompt, _), outcome in there.items() if outcome == "refused"}
    assert 3 <= len(refused) <= 20
    # A prompt that is refused is refused again; a fault at one attempt says nothing of the next.
    again = {there[prompt, 1] for prompt in refused}
    assert again == {"refused"}
    limited = [prompt for (prompt, n), outcome in there.items() if (n, outcome) == (0, "429")]
    assert sum(there[prompt, 1] == "429" for prompt in limited) < len(limited) / 2


def test_whoever_is_answered_pays(client: Connect) -> None:
    outcomes = iter(servers.OUTCOMES)
    with Server(script=lambda prompt, attempt: next(outcomes)) as server:
        for outcome in servers.OUTCOMES:
            connection = client(server, timeout=0.3)
            if outcome == "hang":
                with pytest.raises(TimeoutError):
                    connection.openai("q")
            elif outcome == "reset":
                with pytest.raises(RemoteDisconnected):
                    connection.openai("q")
            else:
                status, _, text = connection.openai("q")
                whole = {*servers.BILLED, *servers.BROKEN}
                assert (status == 200) == (outcome in {*whole, "malformed", "page"})
                if outcome == "malformed":
                    with pytest.raises(json.JSONDecodeError):
                        json.loads(text)
    assert [entry.outcome for entry in server.billed()] == [
        outcome for outcome in servers.OUTCOMES if outcome in servers.BILLED
    ]


@pytest.mark.parametrize("form", ["seconds", "date", "body"])
def test_three_forms_of_come_back_later(
    client: Connect, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(time=lambda: 1_700_000_000.25, monotonic=lambda: 0.0)
    monkeypatch.setattr(servers, "time", clock)
    with Server(faults={"429": 1.0}, form=form, retry_after=3) as server:
        _, headers, text = client(server).gemini("q")
    details = json.loads(text)["error"].get("details")
    if form == "seconds":
        assert headers["retry-after"] == "3"
    elif form == "date":
        assert parsedate_to_datetime(headers["retry-after"]).timestamp() == 1_700_000_004
    else:
        assert "retry-after" not in headers
        assert details[0]["retryDelay"] == "3s"


def test_the_rate_is_kept_and_can_be_changed(
    client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    clock = SimpleNamespace(time=lambda: now, monotonic=lambda: now)
    monkeypatch.setattr(servers, "time", clock)
    with Server(rate=20, burst=5) as server:
        connection = client(server)
        for step in range(100):
            now = step / 100
            connection.gemini("q")
        slow = len(server.billed())
        server.limit(None)
        statuses = {connection.gemini("q")[0] for _ in range(100)}
    assert 23 <= slow <= 25  # 5 at once, 20 in the second
    assert server.counts()["limited"] == 100 - slow
    assert statuses == {200}


def test_a_thousand_calls_of_four_clients(client: Connect) -> None:
    def load(_: int) -> None:
        connection = client(server)
        for i in range(250):
            connection.gemini(f"question {i}")

    with Server() as server, ThreadPoolExecutor(4) as pool:
        list(pool.map(load, range(4)))
    asked = Counter(entry.prompt for entry in server.billed())
    assert asked == {f"question {i}": 4 for i in range(250)}


def test_requests_wait_side_by_side(client: Connect) -> None:
    with Server(latency=1.0) as server, ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda i: client(server).gemini(f"q{i}"), range(20)))
    assert max(entry.open for entry in server.log) > 10


def test_as_a_program_it_prints_its_address_and_keeps_a_log(
    client: Connect, tmp_path: Path
) -> None:
    log, script = tmp_path / "log.jsonl", tmp_path / "says.py"
    script.write_text("def says(prompt, model):\n    return f'{model} says {prompt}'\n")
    words = ["--answers", f"{script}:says", "--log", log, "--fault", "500=0.2", "--models", "m,n"]
    command = [sys.executable, servers.__file__, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        try:
            url = program.stdout.readline().strip()
            connection = client(url)
            replies = [connection.openai(f"q{i}") for i in range(50)]
            assert connection.gemini("q", model="other")[0] == 404
            connection.connection.request("GET", "/log")
            entries = json.loads(connection.connection.getresponse().read())
            connection.connection.request("GET", "/v1/models")
            models = json.loads(connection.connection.getresponse().read())
        finally:
            program.kill()
    said = [text for status, _, text in replies if status == 200]
    assert {status for status, _, _ in replies} == {200, 500}
    assert all("m says q" in text for text in said)
    assert [model["id"] for model in models["data"]] == ["m", "n"]
    assert [json.loads(line) for line in log.read_text().splitlines()] == entries
    assert Counter(entry["outcome"] for entry in entries)["answered"] == len(said)


def test_it_knows_the_embedded_questions(client: Connect) -> None:
    from routebench_suites.questions import EMBEDDED, read_questions

    questions = read_questions(EMBEDDED)[:200]
    answer = servers.facts(accuracy=0.7)
    right = sum(answer(each.query, "m") == each.reference for each in questions)
    assert 110 <= right <= 170
    assert answer("Who are you?", "m") == "I don't know."
