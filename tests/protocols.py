"""What the Gemini and the OpenAI API say over HTTP, as far as the local server of the tests needs.

A protocol reads a request's `Asked` out of its JSON and writes bodies for answers, refusals and
errors, in the shapes that the vendors publish.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

Body = dict[str, Any]
THOUGHT = "Let me think."


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    model: str
    prompt: str
    body: Body
    most: int | None
    """Tokens that the answer may have, those of reasoning included."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as it goes out, and what it used."""

    text: str
    prompt_tokens: int
    answer_tokens: int
    """Those of reasoning left out."""
    thinking_tokens: int
    cached_tokens: int
    cut: bool
    """The answer was longer than the request allows."""


def tokens(text: str) -> int:
    """Four characters are one token."""
    return math.ceil(len(text) / 4)


def said(asked: Asked, text: str, thinking: int, cached: int) -> Said:
    """The text as the model says it within the tokens it may use; it reasons first."""
    prompt = tokens(asked.prompt)
    cached = min(cached, prompt)
    if asked.most is None or thinking + tokens(text) <= asked.most:
        return Said(text, prompt, tokens(text), thinking, cached, False)
    thinking = min(thinking, asked.most)
    room = asked.most - thinking
    return Said(text[: 4 * room], prompt, room, thinking, cached, True)


class Speaks(Protocol):
    """One vendor's side of the conversation."""

    def asked(self, path: str, body: Body) -> Asked: ...
    def answer(self, asked: Asked, what: Said) -> Body: ...
    def refused(self, asked: Asked, what: Said, how: str) -> Body: ...
    def error(self, status: int, message: str, wait: float | None) -> Body: ...
    def odd(self, asked: Asked, what: Said, how: str) -> Body: ...


class Gemini:
    """generativelanguage.googleapis.com, v1beta."""

    key_header = "x-goog-api-key"
    wrong_key = 400

    def asked(self, path: str, body: Body) -> Asked:
        """Of `POST /v1beta/models/{model}:generateContent`."""
        model = path.rpartition("/models/")[2].partition(":")[0]
        parts = body["contents"][-1]["parts"]
        settings = body.get("generationConfig") or {}
        prompt = "".join(part.get("text", "") for part in parts)
        return Asked(model, prompt, body, settings.get("maxOutputTokens"))

    def answer(self, asked: Asked, what: Said) -> Body:
        content: Body = {"role": "model"}
        if what.text:
            content["parts"] = [{"text": what.text}]
            if what.thinking_tokens:
                thought = {"text": THOUGHT, "thought": True}
                content["parts"].insert(0, thought)
        finish = "MAX_TOKENS" if what.cut else "STOP"
        return self._body(asked, what, [{"content": content, "finishReason": finish, "index": 0}])

    def refused(self, asked: Asked, what: Said, how: str) -> Body:
        """`blocked`: the prompt; `safety`: the answer; `empty`: no candidate, and no reason."""
        if how == "safety":
            return self._body(asked, what, [{"finishReason": "SAFETY", "index": 0}])
        body = self._body(asked, what, None)
        if how == "blocked":
            body["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
        return body

    def error(self, status: int, message: str, wait: float | None) -> Body:
        names = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        name = names.get(status, "UNAVAILABLE" if status == 503 else "INTERNAL")
        error: Body = {"code": status, "message": message, "status": name}
        if wait is not None:
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            error["details"] = [{"@type": kind, "retryDelay": f"{wait:.9g}s"}]
        return {"error": error}

    def odd(self, asked: Asked, what: Said, how: str) -> Body:
        """An answer as servers should not send it; `how` is an outcome of `servers.OUTCOMES`."""
        if how == "error200":
            return self.error(503, "no worker is left", None)
        body = self.answer(asked, what)
        (candidate,) = body["candidates"]
        usage, parts = body["usageMetadata"], candidate["content"]["parts"]
        if how == "stump":
            parts[-1]["text"] = parts[-1]["text"][: (len(what.text) + 1) // 2]
            candidate["finishReason"] = "OTHER"
        elif how == "silent":
            del body["usageMetadata"], candidate["content"]["parts"]
        elif how == "zero":
            body["usageMetadata"] = dict.fromkeys(usage, 0)
        elif how == "contradictory":
            usage["cachedContentTokenCount"] = what.prompt_tokens + 2000
        elif how in ("reasoned", "hollow"):
            kept = parts[-1:] if how == "reasoned" else []
            candidate["content"]["parts"] = [{"text": THOUGHT, "thought": True}, *kept]
        return body

    def _body(self, asked: Asked, what: Said, candidates: list[Body] | None) -> Body:
        usage = {"promptTokenCount": what.prompt_tokens}
        if candidates is not None:
            body: Body = {"candidates": candidates}
            usage |= {"candidatesTokenCount": what.answer_tokens} if what.answer_tokens else {}
            usage |= {"thoughtsTokenCount": what.thinking_tokens} if what.thinking_tokens else {}
        else:
            body = {}
        usage |= {"cachedContentTokenCount": what.cached_tokens} if what.cached_tokens else {}
        usage["totalTokenCount"] = sum(v for k, v in usage.items() if k[:6] != "cached")
        return body | {"usageMetadata": usage, "modelVersion": asked.model + "-001"}


class OpenAI:
    """api.openai.com, v1, chat completions."""

    key_header = "authorization"
    wrong_key = 401

    def asked(self, path: str, body: Body) -> Asked:
        """Of `POST /v1/chat/completions`."""
        content = body["messages"][-1]["content"]
        if not isinstance(content, str):
            content = "".join(part.get("text", "") for part in content)
        most = body.get("max_completion_tokens", body.get("max_tokens"))
        return Asked(body["model"], content, body, most)

    def answer(self, asked: Asked, what: Said) -> Body:
        message = {"role": "assistant", "content": what.text, "refusal": None}
        return self._body(asked, what, message, "length" if what.cut else "stop")

    def refused(self, asked: Asked, what: Said, how: str) -> Body:
        """`blocked`: a refusal in words; `safety`: the content filter; `empty`: no choices."""
        if how == "empty":
            return self._body(asked, what, {}, "stop") | {"choices": []}
        if how == "safety":
            message = {"role": "assistant", "content": None}
            return self._body(asked, what, message, "content_filter")
        message = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
        return self._body(asked, what, message, "stop")

    def error(self, status: int, message: str, wait: float | None) -> Body:
        kinds = {401: "invalid_request_error", 429: "requests"}
        codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
        error = {"message": message, "type": kind, "param": None, "code": codes.get(status)}
        return {"error": error}

    def odd(self, asked: Asked, what: Said, how: str) -> Body:
        """An answer as servers should not send it; `how` is an outcome of `servers.OUTCOMES`."""
        if how == "error200":
            return {"error": {"code": 503, "message": "no worker is left"}, "user_id": "u"}
        body = self.answer(asked, what)
        (choice,) = body["choices"]
        usage, message = body["usage"], choice["message"]
        if how == "stump":
            message["content"] = what.text[: (len(what.text) + 1) // 2]
            choice |= {"finish_reason": "error", "error": {"code": 502, "message": "gone"}}
        elif how == "silent":
            message["content"] = body["usage"] = None
        elif how == "zero":
            body["usage"] = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
        elif how == "contradictory":  # cached tokens beside the prompt's
            usage["prompt_tokens_details"] = {"cached_tokens": 2000}
            usage["total_tokens"] += 2000
        elif how in ("reasoned", "hollow"):
            message["reasoning_content"] = THOUGHT
            message["content"] = what.text if how == "reasoned" else None
        return body

    def _body(self, asked: Asked, what: Said, message: Body, finish: str) -> Body:
        spoken = what.answer_tokens + what.thinking_tokens
        usage = {
            "prompt_tokens": what.prompt_tokens,
            "completion_tokens": spoken,
            "total_tokens": what.prompt_tokens + spoken,
            "prompt_tokens_details": {"cached_tokens": what.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": what.thinking_tokens},
        }
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "created": 1767225600,
            "model": asked.model + "-2026-01-01",
            "choices": [choice],
            "usage": usage,
        }
