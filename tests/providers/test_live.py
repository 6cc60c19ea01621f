"""What the providers that ask over a network have in common, against a local server."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import logging
import math
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from protocols import THOUGHT
from servers import ODD, OUTCOMES, PLANTED, PROMPTS, Server

from routebench.collect.plausible import checked
from routebench.errors import CallError, OptionError
from routebench.plugin.optional import StatesReadiness
from routebench.records import Reply, Request
from routebench_providers.gemini.provider import Gemini
from routebench_providers.openai.provider import OpenAICompatible

KEY = "planted-0123456789abcdef"
KINDS = {"gemini": (Gemini, "google.genai", ""), "openai": (OpenAICompatible, "openai", "/v1")}
FAILURES = {
    "empty": "malformed",
    "429": "rate-limited",
    "500": "server",
    "503": "server",
    "hang": "timeout",
    "malformed": "malformed",
    "html": "server",
    "page": "malformed",
    "reset": "server",
    "400": "rejected",
    "stump": "malformed",
}

Make = Callable[..., Any]


@pytest.fixture(params=sorted(KINDS))
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A provider of each kind for a server, with a key in the environment."""
    kind, library, path = KINDS[request.param]
    pytest.importorskip(library)
    for name in ("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)

    def build(server: Server | str, **options: Any) -> Any:
        url = server if isinstance(server, str) else server.url
        return kind(kind.Options(**({"base_url": url + path, "timeout": 5} | options)))

    return build


@pytest.fixture
def server() -> Iterator[Server]:
    """A prompt that is the name of an outcome meets it."""
    with Server(script=lambda prompt, attempt: prompt if prompt in OUTCOMES else None) as running:
        yield running


def ask(provider: Any, *prompts: str) -> list[Any]:
    """Replies or `CallError`s, all asked at once."""

    async def all_of_them() -> list[Any]:
        calls = (provider.ask(Request("m", prompt)) for prompt in prompts)
        try:
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await provider.close()

    return asyncio.run(all_of_them())


def test_an_answer_comes_with_what_it_used(make: Make) -> None:
    with Server(lambda prompt, model: "Rome, of course", thinking=40, cached=3) as server:
        (reply,) = ask(make(server), "What is the capital of Italy?")
    assert reply.text == "Rome, of course"
    assert (reply.input_tokens, reply.cached_tokens) == (8, 3)
    assert (reply.output_tokens, reply.thinking_tokens) == (44, 40)
    assert reply.finish == "stop"
    assert reply.version.startswith("m-")
    (entry,) = server.log
    assert (entry.model, entry.prompt) == ("m", "What is the capital of Italy?")
    assert KEY in entry.headers.get("x-goog-api-key", entry.headers.get("authorization", ""))


@pytest.mark.parametrize(
    "echoed",
    [
        KEY,
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"Bearer {KEY}".encode()).decode(),
        base64.encodebytes(b"-" * 50 + KEY.encode()).decode(),
        KEY.encode().hex(),
    ],
    ids=["plain", "base64", "a header in base64", "lines of base64", "hexadecimal"],
)
def test_a_key_that_a_server_echoes_is_in_no_answer(make: Make, echoed: str) -> None:
    with Server(lambda prompt, model: f"You sent {echoed}, I think.") as server:
        (reply,) = ask(make(server), "q")
    assert reply.text.startswith("You sent ")
    assert "[hidden]" in reply.text
    assert reply.text.endswith(", I think.")
    whole = "".join(reply.text.split())
    assert "".join(echoed.split()) not in whole
    assert KEY[4:-4] not in whole
    error = {"error": {"code": 400, "message": f"bad: {echoed}"}}
    with Server(script=lambda prompt, attempt: (400, error)) as server:
        (failure,) = ask(make(server), "q")
    assert "".join(echoed.split()) not in "".join(failure.message.split())


def test_a_provider_says_that_it_has_no_key(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make("", base_url=None)
    assert isinstance(provider, StatesReadiness)
    provider.ready()
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(OptionError, match="_API_KEY is not set"):
        provider.ready()


@pytest.mark.parametrize("name", PLANTED)
def test_any_text_comes_back_as_it_is(make: Make, name: str) -> None:
    with Server(lambda prompt, model: PLANTED[prompt]) as server:
        (reply,) = ask(make(server), name)
    assert reply.text == PLANTED[name]


def test_prompts_of_any_characters_arrive(make: Make, server: Server) -> None:
    prompts = ["snow ☃ and 🙂", "tab\tand\x00nul\x1b[31m", "lone \ud800 surrogate", " " * 9]
    replies = ask(make(server), *prompts)
    assert [type(reply) for reply in replies] == [Reply] * 4
    arrived = [prompt.replace("\ud800", "\ufffd") for prompt in prompts]
    assert sorted(entry.prompt for entry in server.log) == sorted(arrived)


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_failure_has_its_kind_and_is_not_repeated(
    make: Make, server: Server, outcome: str
) -> None:
    (error,) = ask(make(server, timeout=0.3 if outcome == "hang" else 5), outcome)
    assert isinstance(error, CallError)
    assert error.kind == FAILURES[outcome]
    assert error.passing == (outcome not in PROMPTS)
    assert error.message.isprintable()
    assert len(server.log) == 1


def test_an_error_may_come_with_http_200(make: Make, server: Server) -> None:
    (error,) = ask(make(server), "error200")
    assert isinstance(error, CallError)
    assert error.kind == ("malformed" if isinstance(make(server), Gemini) else "server")


def test_what_servers_should_not_send(make: Make, server: Server) -> None:
    replies = ask(make(server), *ODD, "silent")
    zero, wrong, reasoned, hollow, silent = (checked_or_error(reply) for reply in replies)
    for reply, why in ((zero, "zero"), (wrong, "contradictory")):
        assert (reply.text, reply.miscounted) == (f"m: {why}", why)
        assert math.isnan(reply.input_tokens)
    assert (reasoned.text, reasoned.reasoning) == ("m: reasoned", THOUGHT)
    assert (hollow.text, hollow.reasoning, hollow.finish) == ("", THOUGHT, "stop")
    assert hollow.input_tokens == 2
    assert silent.kind == "malformed"


def checked_or_error(reply: Reply) -> Any:
    try:
        return checked(reply, "q")
    except CallError as error:
        return error


def test_a_server_that_is_not_there(make: Make) -> None:
    with Server() as gone:
        pass
    (error,) = ask(make(gone), "anyone?")
    assert (error.kind, error.hint) == ("server", "is the address right?")


def test_refusals_are_answers(make: Make, server: Server) -> None:
    blocked, withheld = ask(make(server), "refused", "safety")
    assert (blocked.finish, withheld.finish) == ("refused", "refused")
    assert withheld.text == ""
    assert blocked.text == ("" if isinstance(make(server), Gemini) else "I can't help with that.")
    assert blocked.input_tokens == 2
    assert blocked.output_tokens == 0


def test_an_answer_may_be_cut_short(make: Make) -> None:
    with Server(lambda prompt, model: "one two three four", thinking=4) as server:
        provider = make(server)
        limit = "max_output_tokens" if isinstance(provider, Gemini) else "max_tokens"
        (cut,) = ask(make(server, **{limit: 6}), "q")
        (empty,) = ask(make(server, **{limit: 4}), "q")
    assert (cut.text, cut.finish, cut.output_tokens) == ("one two ", "length", 6)
    assert (empty.text, empty.finish, empty.output_tokens) == ("", "length", 4)


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("outcome", ["429", "503"])
def test_the_wait_that_a_server_asks_for(make: Make, form: str, outcome: str) -> None:
    with Server(script=lambda prompt, attempt: outcome, form=form, retry_after=7) as server:
        (error,) = ask(make(server), "q")
    assert 5.5 < error.retry_after <= 8
    with Server(script=lambda prompt, attempt: outcome, retry_after=None) as server:
        (error,) = ask(make(server), "q")
    assert error.retry_after is None


def test_a_rate_limit_says_when_to_come_back(make: Make) -> None:
    with Server(rate=0.25, burst=2, form="seconds") as server:
        outcomes = ask(make(server), *"abcd")
    assert sorted(server.counts().items()) == [("answered", 2), ("limited", 2)]
    assert {error.retry_after for error in outcomes if isinstance(error, CallError)} == {4}


def test_a_wrong_key_and_an_unknown_model_are_denied(make: Make) -> None:
    with Server(key="another", models=["there"]) as server:
        (denied,) = ask(make(server), "q")
        server.key = None
        (unknown,) = ask(make(server), "q")
    assert (denied.kind, unknown.kind) == ("denied", "denied")
    assert "API_KEY" in denied.hint
    assert "`m` does not exist" in unknown.message


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_key_nothing_is_asked(
    make: Make, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    provider = make("", base_url=None)
    name = "GEMINI_API_KEY" if isinstance(provider, Gemini) else "OPENAI_API_KEY"
    monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    provider.parameters()
    (error,) = ask(provider, "q")
    assert isinstance(error, OptionError)
    assert f"{name}" in error.message


def test_a_key_that_no_header_can_hold(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make("http://127.0.0.1:9")
    name = "GEMINI_API_KEY" if isinstance(provider, Gemini) else "OPENAI_API_KEY"
    for bad in ("abc\ndef", "schlüssel"):
        monkeypatch.setenv(name, bad)
        (error,) = ask(provider, "q")
        assert isinstance(error, OptionError)
        assert name in error.message
        assert bad not in error.message + error.hint
    monkeypatch.setenv(name, KEY + "\n")  # as `$(cat file)` of some shells leaves it
    with Server(key=KEY) as server:
        assert isinstance(ask(make(server), "q")[0], Reply)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "begins with http"),
        ("http://", "begins with http"),
        ("http://me:secret@host", "holds a user"),
        ("http://host/?key=secret", "or a query"),
    ],
)
def test_an_address_is_one_and_holds_no_secret(make: Make, url: str, words: str) -> None:
    provider = make("", base_url=url)
    with pytest.raises(OptionError, match=words) as caught:
        provider.parameters()
    assert "secret" not in caught.value.message + caught.value.hint
    assert isinstance(ask(provider, "q")[0], OptionError)


def test_one_provider_in_several_loops(make: Make, server: Server) -> None:
    provider = make(server)
    assert [ask(provider, "a")[0].text, ask(provider, "b")[0].text] == ["m: a", "m: b"]
    asyncio.run(provider.close())
    asyncio.run(make(server).close())


@pytest.mark.slow
def test_hundreds_of_calls_at_once(make: Make) -> None:
    with Server(latency=1.0) as server:
        replies = ask(make(server, timeout=60), *(f"q{i}" for i in range(300)))
    assert {type(reply) for reply in replies} == {Reply}
    assert max(entry.open for entry in server.log) > 200


def test_a_cancelled_call_ends_before_its_timeout(make: Make, server: Server) -> None:
    async def stop() -> bool:
        provider = make(server, timeout=3600)
        call = asyncio.ensure_future(provider.ask(Request("m", "hang")))
        while not server.log:
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call], timeout=60)
        await provider.close()
        return call.cancelled()

    assert asyncio.run(stop())


@pytest.mark.filterwarnings("ignore")
def test_the_key_is_nowhere_to_be_seen(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown = []
    with Server(script=lambda prompt, attempt: prompt) as server, caplog.at_level(logging.DEBUG):
        loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
        for logger in loggers:
            monkeypatch.setattr(logger, "level", logging.DEBUG)
            monkeypatch.setattr(logger, "propagate", True)
        provider = make(server, timeout=0.3)
        results = ask(provider, *OUTCOMES)
        server.key = "another"  # the server quotes the wrong key
        results += ask(provider, "answered")
        for url in (
            f"http://me:{KEY}@127.0.0.1:9",
            f"http://127.0.0.1:9/?key={KEY}",
            f"me:{KEY}@x",
        ):
            results += ask(make(server, base_url=url), "q")
        for result in results:
            if isinstance(result, Exception):
                shown += traceback.format_exception(result)
                shown += [repr(result), repr(vars(result)), repr(result.__context__)]
                assert result.__cause__ is None
        shown += [repr(provider), str(provider), repr(provider.parameters())]
    # It is in what was sent, or the test would show nothing.
    assert any(KEY in "".join(entry.headers.values()) for entry in server.log)
    assert any("***" in str(result) for result in results)
    assert caplog.records
    logged = [record.getMessage() + repr(record.args) for record in caplog.records]
    assert not [text for text in shown + logged if KEY in text]


def test_the_library_is_imported_only_to_ask() -> None:
    import subprocess
    import sys

    modules = "routebench_providers.gemini.provider, routebench_providers.openai.provider"
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "routebench_providers.gemini.provider" in loaded
    assert not loaded & {"google.genai", "openai", "httpx", "httpx2", "aiohttp"}
    assert importlib.util.find_spec("routebench_providers.live")
