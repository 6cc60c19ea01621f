"""What only the `openai` provider does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from libraries import needed
from openai_replies import USED, ask, replied, said
from servers import Server

from routebench.collect.plausible import checked
from routebench.errors import OptionError
from routebench.plugin import discovery, options
from routebench_providers.openai.provider import OpenAICompatible

needed("openai")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def test_it_is_a_plugin() -> None:
    plugin = discovery.load(discovery.find("provider", "openai"))
    assert plugin is OpenAICompatible
    chosen = options.parse(["openai.extra_body={top_k = 5}", "openai.temperature=default"])
    made = options.validate(plugin, "openai", chosen["openai"])
    assert plugin(made).parameters() == {"extra_body": {"top_k": 5}}
    with pytest.raises(OptionError, match="limit_as"):
        options.validate(plugin, "openai", {"limit_as": "tokens"})


def test_by_default_only_the_temperature_is_set(server: Server) -> None:
    ask(server)
    (entry,) = server.log
    messages = [{"role": "user", "content": "q"}]
    assert entry.body == {"model": "gpt-x", "messages": messages, "temperature": 0.0}
    assert OpenAICompatible(OpenAICompatible.Options()).parameters() == {"temperature": 0.0}


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        ({"content": [{"token": "Ro", "logprob": -0.25}, {"token": "me", "logprob": -0.75}]}, -0.5),
        ({"content": [{"token": "Rome", "logprob": 0.0}]}, 0.0),
        ({"content": [{"token": "Rome", "logprob": 0.5}]}, math.nan),
        ({"content": [{"token": "Ro", "logprob": -1.0}, {"token": "me"}]}, math.nan),
        ({"content": []}, math.nan),
        ({"content": None}, math.nan),
        (None, math.nan),
    ],
)
def test_the_mean_log_probability_is_kept_where_it_was_asked_for(
    logprobs: Any, expected: float
) -> None:
    body = said()
    body["choices"][0]["logprobs"] = logprobs
    with Server(script=lambda prompt, attempt: (200, body)) as server:
        asked, unasked = ask(server, {"logprobs": True}), ask(server)
        assert [entry.body.get("logprobs") for entry in server.log] == [True, None]
    assert asked.confidence == pytest.approx(expected, nan_ok=True)
    assert math.isnan(unasked.confidence)
    assert asked.text == unasked.text == "Rome"
    named = OpenAICompatible(OpenAICompatible.Options(logprobs=True)).parameters()
    assert named == {"temperature": 0.0, "logprobs": True}


def test_every_option_is_sent(server: Server) -> None:
    given: dict[str, Any] = {
        "temperature": 0.5,
        "max_tokens": 90,
        "seed": 7,
        "system": "Be brief.",
        "reasoning_effort": "low",
        "extra_body": {"top_k": 5, "chat_template_kwargs": {"enable_thinking": False}},
    }
    ask(server, given)
    ask(server, given | {"temperature": "default"}, sample=2)
    first, second = (entry.body for entry in server.log)
    assert first.pop("messages")[0] == {"role": "system", "content": "Be brief."}
    extra = given["extra_body"]
    rest = {name: given[name] for name in ("temperature", "max_tokens", "seed", "reasoning_effort")}
    assert first == {"model": "gpt-x"} | rest | extra
    assert second["seed"] == 9
    assert "temperature" not in second
    url = "https://proxy.example/v1"
    provider = OpenAICompatible(OpenAICompatible.Options(base_url=url + "/", **given))
    assert provider.parameters() == given | {"base_url": url}


@pytest.mark.parametrize(
    ("chosen", "elsewhere", "expected"),
    [
        ("auto", True, "max_tokens"),
        ("auto", False, "max_completion_tokens"),
        ("max_tokens", False, "max_tokens"),
        ("max_completion_tokens", True, "max_completion_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_server_knows(
    server: Server, monkeypatch: pytest.MonkeyPatch, chosen: str, elsewhere: bool, expected: str
) -> None:
    if not elsewhere:
        monkeypatch.setattr("routebench_providers.openai.provider._OWN", server.url + "/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "k")
    ask(server, {"max_tokens": 9, "limit_as": chosen})
    assert set(server.log[0].body) == {"model", "messages", "temperature", expected}


def test_a_server_of_ones_own_needs_no_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(server)
    monkeypatch.setenv("OPENAI_API_KEY", "main-key")
    ask(server)
    monkeypatch.setenv("OTHER_KEY", "other-key")
    ask(server, {"api_key_env": "OTHER_KEY"})
    sent = [entry.headers["authorization"] for entry in server.log]
    assert sent == ["Bearer none", "Bearer main-key", "Bearer other-key"]
    monkeypatch.delenv("OTHER_KEY")
    with pytest.raises(OptionError, match="OTHER_KEY is not set"):
        ask(server, {"api_key_env": "OTHER_KEY"})
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(OptionError, match="OPENAI_API_KEY is not set"):
        ask(server, {"base_url": None})


def test_the_address_may_come_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/v1")
    assert ask(server, {"base_url": None}).text == "gpt-x: q"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Rome", "Rome"),
        (None, ""),
        ([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Rome"}], "Rome"),
        (["Ro", {"text": "me"}], "Rome"),
        ({"type": "text", "text": "Rome"}, "Rome"),
    ],
)
def test_the_text_of_a_message(content: Any, text: str) -> None:
    reply = replied(said(content))
    assert (reply.text, reply.finish) == (text, "stop")
    assert math.isnan(reply.input_tokens)


def test_a_refusal_in_words_and_a_filtered_answer() -> None:
    refused = replied(said(None, refusal="No."))
    assert (refused.text, refused.finish) == ("No.", "refused")
    half = replied(said("The first", finish="content_filter"))
    assert (half.text, half.finish) == ("The first", "refused")
    assert replied({"error": {"message": "m", "code": "content_filter"}}, 400).finish == "refused"


@pytest.mark.parametrize(
    ("usage", "output", "thinking"),
    [
        ({"completion_tokens": 9, "total_tokens": 14}, 9, 0),
        ({"completion_tokens": 9, "total_tokens": 44}, 39, 30),  # reasoning left out
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 6}}, 9, 6),
        ({"completion_tokens": 9, "completion_tokens_details": None}, 9, 0),
    ],
)
def test_reasoning_is_counted_wherever_it_is_told(usage: Any, output: int, thinking: int) -> None:
    reply = replied(said(usage={"prompt_tokens": 5} | usage))
    assert (reply.input_tokens, reply.output_tokens) == (5, output)
    assert reply.thinking_tokens == thinking


def test_tokens_that_are_not_told_are_unknown() -> None:
    for usage in (None, {"prompt_tokens": 5, "completion_tokens": None, "total_tokens": None}):
        reply = replied(said(usage=usage))
        assert math.isnan(reply.input_tokens)
        assert math.isnan(reply.output_tokens)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("tool_calls", "stop"),
        (None, "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("model_context_window_exceeded", "length"),
        ("content_filter", "refused"),
    ],
)
def test_how_an_answer_ended_in_the_words_of_many_servers(reason: Any, finish: str) -> None:
    reply = replied(said("Rome", reason, USED) | {"error": None})
    assert (reply.text, reply.finish, reply.input_tokens) == ("Rome", finish, 5)


def test_a_server_that_knows_no_finish_reasons() -> None:
    body = said("Rome")
    del body["choices"][0]["finish_reason"]
    assert replied(body).text == "Rome"


THOUGHT = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}]


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]},
        {"thinking_blocks": THOUGHT},
        {"content": [*THOUGHT, {"type": "text", "text": "Rome"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                {"type": "text", "text": "Ro"},
                {"type": "text", "text": "me"},
            ]
        },
    ],
)
def test_reasoning_is_kept_apart_from_the_answer(message: Any) -> None:
    reply = replied(said(**{"content": "Rome", "usage": USED} | message))
    assert (reply.text, reply.reasoning) == ("Rome", "Hm.")


def test_reasoning_within_the_answer_stays_there() -> None:
    text = "<think>Hm.</think>\n\nRome"
    reply = replied(said(text, usage=USED, reasoning_content=None))
    assert (reply.text, reply.reasoning) == (text, "")
    alone = replied(said("", usage=USED, reasoning="Rome, I think"))
    assert (alone.text, alone.reasoning) == ("", "Rome, I think")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}, (12, 3)),
        ({"prompt_tokens": 12, "completion_tokens": 3}, (12, 3)),
        ({"prompt_tokens": "12", "completion_tokens": "3", "total_tokens": "15"}, (12, 3)),
        ({"prompt_tokens": 12.0, "completion_tokens": 3.0}, (12, 3)),
        ({"total_tokens": 515, "completion_tokens_details": {"reasoning_tokens": 500}}, (12, 503)),
        ({"prompt_tokens_details": {"cached_tokens": 12}}, (12, 3)),
        ({"total_tokens": 15, "prompt_tokens": 0, "completion_tokens": 0}, "zero"),
        ({"total_tokens": 14}, "contradictory"),
        ({"prompt_tokens": -2, "total_tokens": 1}, "contradictory"),
        ({"completion_tokens": 3.5}, "contradictory"),
        ({"prompt_tokens": "many"}, "contradictory"),
        ({"prompt_tokens_details": {"cached_tokens": 2000}}, "contradictory"),
        (
            {"total_tokens": 2015, "prompt_tokens_details": {"cached_tokens": 2000}},
            "contradictory",
        ),
        ({"total_tokens": 25, "prompt_tokens_details": {"cached_tokens": 10}}, "contradictory"),
        ({"completion_tokens_details": {"reasoning_tokens": 500}}, "contradictory"),
        (
            {"total_tokens": 45, "completion_tokens_details": {"reasoning_tokens": 2}},
            "contradictory",
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "zero"),
        ({"completion_tokens": 0}, "zero"),
    ],
)
def test_usage_that_excludes_itself_is_unknown(usage: Any, expected: Any) -> None:
    """It is never free, and cached tokens are not charged as output."""
    reply = checked(replied(said(usage={"prompt_tokens": 12, "completion_tokens": 3} | usage)), "q")
    if isinstance(expected, str):
        assert reply.miscounted == expected
        assert math.isnan(reply.input_tokens)
        assert math.isnan(reply.output_tokens)
        assert (reply.cached_tokens, reply.thinking_tokens) == (0, 0)
    else:
        assert (reply.input_tokens, reply.output_tokens) == expected
        assert reply.miscounted == ""
