"""Replies of the `openai` provider that are no answers: errors, filters, odd bodies."""

from __future__ import annotations

from typing import Any

import pytest
from libraries import needed
from openai_replies import USED, failed, replied, said

from routebench.errors import CallError

needed("openai")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def said_with(choice: Any, **more: Any) -> Any:
    """A reply whose only choice has these fields too."""
    body = said(more.pop("content", ""), more.pop("finish", "stop"), more.pop("usage", None))
    body["choices"][0] |= choice
    return body | more


BUSY = {"code": 429, "message": "busy"}
FILTERED = {"hate": {"filtered": True, "severity": "high"}}


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"error": BUSY, "choices": None}, "rate-limited", "busy"),
        ({"error": {"code": "odd", "message": "busy"}}, "server", "busy"),
        ({"error": {"code": "429", "message": "busy"}}, "rate-limited", "busy"),
        ({"error": {"type": "rate_limit_error", "message": "busy"}}, "rate-limited", "busy"),
        ({"error": {"type": "overloaded_error", "message": "busy"}}, "server", "busy"),
        ({"error": [{"error": BUSY}]}, "rate-limited", "busy"),
        ({"error": "model is loading"}, "server", "model is loading"),
        ({"error": {"code": 402, "message": "no credit"}}, "denied", "no credit"),
        ({"error": {"code": "insufficient_quota", "message": "none"}}, "denied", "none"),
        ({"object": "error", "message": "too much", "code": 503}, "malformed", "too much"),
        ({"detail": "warming up"}, "malformed", "warming up"),
        ({"base_resp": {"status_code": 1002, "status_msg": "slow down"}}, "malformed", "slow down"),
        # An error beside a choice that looks whole, or in it.
        (
            said("Rome", usage=USED) | {"error": {"code": 502, "message": "died"}},
            "malformed",
            "502",
        ),
        (said_with({"error": {"code": 502, "message": "died"}}), "server", "HTTP 200 .* died"),
        (said_with({"error": BUSY}, finish="error"), "rate-limited", "busy"),
        (said("", error=BUSY), "rate-limited", "busy"),  # in the message
        (said_with({"error": BUSY}, finish="error", content="Ro"), "malformed", "busy"),
        (said_with({"error": {"code": 401, "message": "key"}}, content="Ro"), "denied", "key"),
        # Half an answer, and no error beside it.
        (said("", "error"), "server", "ended with error"),
        (said("Ro", "error", USED), "malformed", "ended with error"),
        (said("Ro", "insufficient_system_resource", USED), "malformed", "insufficient_system"),
        (said("Ro", "network_error", USED), "malformed", "network_error"),
        (said("Ro", "abort", USED), "malformed", "abort"),
        (said("Ro", None), "malformed", "without a reason"),  # type: ignore[arg-type]
        # No message, and nobody says why.
        (said_with({"message": None}), "malformed", "no message"),
        (said_with({"message": None}, finish="length"), "malformed", "no message"),
    ],
)
def test_what_is_no_answer_though_it_comes_with_http_200(body: Any, kind: str, words: str) -> None:
    with pytest.raises(CallError, match=words) as caught:
        replied(body)
    assert caught.value.kind == kind
    assert caught.value.passing == (kind != "denied")


@pytest.mark.parametrize(
    "body",
    [
        said_with({"message": None}, finish="content_filter"),
        said_with({"message": None, "content_filter_results": FILTERED}),
        said_with({"content_filter_results": FILTERED}, content="Half", usage=USED),
        said("", "content-filter"),
        said("", "SAFETY"),
        said("", "sensitive"),
        {"choices": [], "prompt_filter_results": [{"content_filter_results": FILTERED}]},
        {"error": {"code": "content_filter", "message": "no"}},
        {"error": {"code": 403, "message": "flagged", "metadata": {"flagged_input": "…"}}},
        said([{"type": "refusal", "refusal": "No."}]),
        said_with({"content_filter_results": FILTERED}, finish="error"),
        {"error": {"code": "data_inspection_failed", "message": "inappropriate content"}},
    ],
)
def test_what_a_filter_takes_is_a_refusal(body: Any) -> None:
    assert replied(body).finish == "refused"


def test_moderation_refuses_one_prompt_not_the_model() -> None:
    for code in ("content_filter", "content_policy_violation", "data_inspection_failed"):
        assert replied({"error": {"message": "m", "code": code}}, 400).finish == "refused"
    inner = {"code": "ResponsibleAIPolicyViolation"}
    azure = {"message": "m", "code": None, "innererror": inner}
    assert replied({"error": azure}, 400).finish == "refused"
    flagged = {"code": 403, "message": "flagged", "metadata": {"flagged_input": "…"}}
    assert replied({"error": flagged}, 403).finish == "refused"
    assert failed({"code": 403, "message": "not in your country"}, 403).kind == "denied"


def test_what_will_not_pass_is_denied() -> None:
    assert failed({"message": "m", "code": "insufficient_quota"}, 429).kind == "denied"
    assert failed({"message": "m", "code": "rate_limit_exceeded"}, 429).kind == "rate-limited"
    assert failed({"message": "no credit"}, 402).kind == "denied"
    assert failed({"message": "too long", "code": "context_length_exceeded"}).kind == "rejected"
    limit = failed({"message": "m", "code": "unsupported_parameter", "param": "max_tokens"})
    assert (limit.kind, limit.hint) == ("denied", "--set openai.limit_as=max_completion_tokens")
    heat = failed({"message": "m", "code": "unsupported_value", "param": "temperature"})
    assert (heat.kind, heat.hint) == ("denied", "--set openai.temperature=default")


def test_what_other_servers_send_for_an_error() -> None:
    """FastAPI's list of problems, Google's list of one error, an older vLLM's bare object."""
    for status, body, words in (
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        (500, [{"error": {"code": 500, "message": "try later"}}], "try later"),
        (400, {"object": "error", "message": "too long", "code": 400}, "too long"),
    ):
        with pytest.raises(CallError, match=words) as caught:
            replied(body, status)
        assert caught.value.kind == ("server" if status == 500 else "rejected")


@pytest.mark.parametrize("body", [[], "no", None, {"choices": [None]}, {"choices": "abc"}])
def test_odd_bodies_are_failures_like_others(body: Any) -> None:
    with pytest.raises(CallError) as caught:
        replied(body, 500)
    assert caught.value.kind == "server"
    with pytest.raises(CallError) as caught:
        replied(body)
    assert caught.value.kind == "malformed"
