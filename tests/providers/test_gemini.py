"""What only the `gemini` provider does."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from libraries import needed
from servers import Server

from routebench.collect.plausible import checked
from routebench.errors import CallError, OptionError
from routebench.plugin import discovery, options
from routebench.records import Reply, Request
from routebench_providers.gemini.provider import Gemini

needed("google.genai")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", "first-key")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def ask(options: dict[str, Any], prompt: str = "q", sample: int = 0) -> Reply:
    provider = Gemini(Gemini.Options(**({"timeout": 5} | options)))

    async def once() -> Reply:
        try:
            return await provider.ask(Request("gemini-x", prompt, sample))
        finally:
            await provider.close()

    return asyncio.run(once())


def replied(body: Any, status: int = 200) -> Reply:
    """What becomes of a reply with this JSON."""
    with Server(script=lambda prompt, attempt: (status, body)) as server:
        return ask({"base_url": server.url})


def refusal(details: list[dict[str, Any]], status: int = 429, name: str = "X") -> CallError:
    body = {"error": {"code": status, "status": name, "message": "no", "details": details}}
    with pytest.raises(CallError) as caught:
        replied(body, status)
    return caught.value


def test_it_is_a_plugin() -> None:
    plugin = discovery.load(discovery.find("provider", "gemini"))
    assert plugin is Gemini
    assert options.validate(plugin, "gemini", {"temperature": "default"})
    with pytest.raises(OptionError, match=r"gemini\.temperature"):
        options.validate(plugin, "gemini", {"temperature": "hot"})


def test_by_default_only_the_temperature_is_set(server: Server) -> None:
    ask({"base_url": server.url})
    (entry,) = server.log
    assert entry.body["generationConfig"] == {"temperature": 0.0}
    assert set(entry.body) == {"contents", "generationConfig"}
    assert Gemini(Gemini.Options()).parameters() == {"temperature": 0.0}


def test_every_option_is_sent(server: Server) -> None:
    given: dict[str, Any] = {
        "temperature": 0.5,
        "max_output_tokens": 90,
        "thinking_budget": 0,
        "seed": 7,
        "system": "Be brief.",
    }
    ask({"base_url": server.url} | given)
    ask({"base_url": server.url} | given, sample=2)
    ask({"base_url": server.url, "temperature": "default", "thinking_level": "low"})
    first, third, last = (entry.body for entry in server.log)
    assert first["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    # The library writes some names in either way; the API reads both.
    (budget,) = first["generationConfig"].pop("thinkingConfig").values()
    assert first["generationConfig"] == {"temperature": 0.5, "maxOutputTokens": 90, "seed": 7}
    assert budget == 0
    assert third["generationConfig"]["seed"] == 9
    (level,) = last["generationConfig"].pop("thinkingConfig").values()
    assert level.lower() == "low"
    assert last["generationConfig"] == {}
    provider = Gemini(Gemini.Options(base_url="https://proxy.example/x", **given))
    assert provider.parameters() == given | {"base_url": "https://proxy.example/x"}


def test_the_address_may_come_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
    assert ask({}).text == "gemini-x: q"
    assert Gemini(Gemini.Options()).parameters()["base_url"] == server.url
    own = Gemini(Gemini.Options(base_url="https://generativelanguage.googleapis.com/"))
    assert "base_url" not in own.parameters()


def test_either_name_of_the_key_will_do(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")  # this key is for the other service
    monkeypatch.setenv("GOOGLE_API_KEY", "second-key")
    ask({"base_url": server.url})
    monkeypatch.delenv("GEMINI_API_KEY")
    ask({"base_url": server.url})
    assert [e.headers["x-goog-api-key"] for e in server.log] == ["first-key", "second-key"]
    monkeypatch.delenv("GOOGLE_API_KEY")
    with pytest.raises(OptionError, match="GEMINI_API_KEY or GOOGLE_API_KEY is not set"):
        ask({"base_url": server.url})


def test_the_wait_may_stand_in_the_body() -> None:
    with (
        Server(script=lambda prompt, attempt: "429", form="body", retry_after=0.25) as server,
        pytest.raises(CallError) as caught,
    ):
        ask({"base_url": server.url})
    assert caught.value.retry_after == 0.25


@pytest.mark.parametrize(("mean", "expected"), [(-0.5, -0.5), (0.5, math.nan), (None, math.nan)])
def test_the_mean_log_probability_is_kept_where_it_was_asked_for(
    mean: float | None, expected: float
) -> None:
    candidate = {"content": {"parts": [{"text": "Rome"}]}, "finishReason": "STOP"}
    body = {"candidates": [candidate | ({} if mean is None else {"avgLogprobs": mean})]}
    with Server(script=lambda prompt, attempt: (200, body)) as server:
        asked = ask({"base_url": server.url, "logprobs": True})
        unasked = ask({"base_url": server.url})
        configs = [entry.body.get("generationConfig", {}) for entry in server.log]
    assert [config.get("responseLogprobs") for config in configs] == [True, None]
    assert asked.confidence == pytest.approx(expected, nan_ok=True)
    assert math.isnan(unasked.confidence)
    assert "logprobs" not in Gemini(Gemini.Options()).parameters()


def test_thoughts_are_no_part_of_the_answer() -> None:
    parts = [{"text": "Hm.", "thought": True}, {"text": "Ro"}, {"text": "me"}]
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    reply = replied(body)
    assert (reply.text, reply.reasoning) == ("Rome", "Hm.")


def test_an_answer_that_is_broken_off_is_none() -> None:
    body = {"candidates": [{"content": {"parts": [{"text": "Ro"}]}, "finishReason": "OTHER"}]}
    with pytest.raises(CallError, match="broken off; it ended with OTHER") as caught:
        replied(body)
    assert caught.value.passing


def test_counts_that_exclude_each_other_are_unknown() -> None:
    said = [{"content": {"parts": [{"text": "Rome"}]}, "finishReason": "STOP"}]
    counts = {"promptTokenCount": 4, "candidatesTokenCount": 3}
    for usage, miscounted in (
        ({"totalTokenCount": 7}, ""),
        ({"totalTokenCount": 6}, "contradictory"),
        ({"cachedContentTokenCount": 2000, "totalTokenCount": 7}, "contradictory"),
        ({"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}, "zero"),
    ):
        reply = checked(replied({"candidates": said, "usageMetadata": counts | usage}), "q")
        assert reply.miscounted == miscounted
        assert math.isnan(reply.input_tokens) == bool(miscounted)


def test_tokens_that_are_not_told_are_unknown() -> None:
    said = [{"content": {"parts": [{"text": "Rome"}]}, "finishReason": "STOP"}]
    reply = replied({"candidates": said})
    assert math.isnan(reply.input_tokens)
    assert math.isnan(reply.output_tokens)
    reply = replied({"candidates": said, "usageMetadata": {"promptTokenCount": 4}})
    assert reply.input_tokens == 4
    assert math.isnan(reply.output_tokens)
    cut = [{"content": {}, "finishReason": "MAX_TOKENS"}]
    usage = {"promptTokenCount": 4, "thoughtsTokenCount": 9}
    assert replied({"candidates": cut, "usageMetadata": usage}).output_tokens == 9


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII"])
def test_an_answer_that_is_withheld_is_a_refusal(reason: str) -> None:
    assert replied({"candidates": [{"finishReason": reason}]}).finish == "refused"


def test_an_empty_answer_is_one_only_if_the_model_meant_it() -> None:
    assert replied({"candidates": [{"finishReason": "STOP", "content": {}}]}).text == ""
    with pytest.raises(CallError, match="ended with OTHER") as caught:
        replied({"candidates": [{"finishReason": "OTHER"}]})
    assert caught.value.passing


def test_what_will_not_pass_is_denied() -> None:
    day = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]
    minute = [{"violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]}]
    assert refusal(day).kind == "denied"
    assert refusal(minute).kind == "rate-limited"
    assert refusal([{"reason": "API_KEY_INVALID"}], 400).kind == "denied"
    assert refusal([], 400, "FAILED_PRECONDITION").kind == "denied"
    assert refusal([], 400, "INVALID_ARGUMENT").kind == "rejected"
    assert refusal([], 504, "DEADLINE_EXCEEDED").kind == "timeout"


@pytest.mark.parametrize("body", [[], "no", None, {"error": "no"}, {"error": {"details": [None]}}])
def test_odd_bodies_are_failures_like_others(body: Any) -> None:
    with pytest.raises(CallError) as caught:
        replied(body, 500)
    assert caught.value.kind == "server"
    with pytest.raises(CallError) as caught:
        replied(body)
    assert caught.value.kind == "malformed"


class Elsewhere(BaseHTTPRequestHandler):
    """Sends everybody on to another server, which notes what it is sent."""

    to = ""

    def do_POST(self) -> None:
        self.send_response(307)
        self.send_header("Location", f"{self.to}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_key_goes_to_no_other_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Elsewhere, "to", server.url.replace("127.0.0.1", "localhost"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(CallError, match="HTTP 307") as caught:
            ask({"base_url": f"http://127.0.0.1:{other.server_port}"})
        other.shutdown()
    assert caught.value.kind == "denied"
    assert server.log == []
