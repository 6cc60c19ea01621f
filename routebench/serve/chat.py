"""A request for a chat completion: what of its body is read; the rest goes through untouched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from routebench.data.reading.messages import joined
from routebench.serve.api_errors import ApiError, invalid

RouteBy = Literal["conversation", "last"]
LONGEST = 100_000
"""Characters of a text that is routed; of a longer one the first."""
_LIMITS = ("max_completion_tokens", "max_tokens")
_SESSIONS = ("session_id", "session", "conversation_id")
_BEYOND_TEXT = ("tools", "tool_choice", "functions", "response_format", "modalities", "audio")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that keeps to the protocol, as far as it is read."""

    body: dict[str, Any]
    """All that the client sent."""
    model: str
    text: str
    """What is routed."""
    stream: bool
    wants_usage: bool
    """Whether the client asked for the usage at the end of a stream."""
    user: str | None
    """Who asks, for a router that learned from users."""
    session: str | None

    @property
    def beyond_text(self) -> str | None:
        """Return what of it a provider that takes texts alone cannot do; None for nothing."""
        for name in _BEYOND_TEXT:
            if self.body.get(name):
                return name
        kinds = (part.get("type") for part in _parts(self.body["messages"]))
        return next((str(kind) for kind in kinds if kind not in ("text", "input_text")), None)

    def upstream_body(
        self, model: str, defaults: Mapping[str, Any], stream_usage: bool = True
    ) -> bytes:
        """Return the body for a model's server: all fields as they came, but for the model.

        A stream is asked for its usage, without which nobody knows what it cost.
        """
        body = {name: value for name, value in defaults.items() if not self._has(name)} | self.body
        body["model"] = model
        if self.stream and stream_usage:
            body["stream_options"] = (self.body.get("stream_options") or {}) | {
                "include_usage": True
            }
        return json.dumps(body, separators=(",", ":")).encode()

    def most_tokens(self, defaults: Mapping[str, Any], longest: int) -> int:
        """Return the most answer tokens that the request allows; `longest` where it says nothing.

        With `n` answers it is that many times as much.
        """
        given = [self.body[name] for name in _LIMITS if self.body.get(name)]
        given = given or [defaults[name] for name in _LIMITS if defaults.get(name)] or [longest]
        return int(min(given)) * int(self.body.get("n") or 1)

    def most_prompt_tokens(self, each_file: int) -> int:
        """Return the most tokens of the prompt: every byte one, and so many for what is linked."""
        prompt = {
            name: self.body[name]
            for name in ("messages", "tools", "functions", "response_format")
            if name in self.body
        }
        written = len(json.dumps(prompt, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        linked = sum(1 for part in _parts(self.body["messages"]) if "text" not in part)
        return written + each_file * linked

    def _has(self, name: str) -> bool:
        names = _LIMITS if name in _LIMITS else (name,)
        return any(self.body.get(each) is not None for each in names)


def parse(raw: bytes, route_by: RouteBy = "conversation") -> ChatRequest:
    """Return the request that a body holds.

    Raises:
        ApiError: 400, naming the field that is wrong.
    """
    body = _object(raw)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model: the name of a model is missing", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages: expected a list of at least one message", "messages")
    for at, message in enumerate(messages):
        _check_message(message, f"messages[{at}]")
    stream = _flag(body, "stream")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise invalid("stream_options: expected an object", "stream_options")
    if options and not stream:
        raise invalid("stream_options: only where stream is true", "stream_options")
    for name in ("n", *_LIMITS):
        _check_count(body, name)
    text = _routed(messages, route_by)[:LONGEST]
    wants_usage = bool(options and options.get("include_usage"))
    user = body.get("user")
    user = user if isinstance(user, str) and user else None
    return ChatRequest(body, model, text, stream, wants_usage, user, _session(body))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw, parse_constant=_no_number)
    except RecursionError:
        raise invalid("the body is nested too deeply") from None
    except ValueError as error:  # not JSON, not UTF-8, a number of thousands of digits
        raise invalid(f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(body, dict):
        raise invalid("the body is no JSON object")
    return body


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_message(message: Any, place: str) -> None:
    if not isinstance(message, dict):
        raise invalid(f"{place}: expected an object with role and content", place)
    if not isinstance(message.get("role"), str):
        raise invalid(f"{place}.role: expected a text such as user", f"{place}.role")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise invalid(f"{place}.content: expected a text or a list of parts", f"{place}.content")
    for at, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            where = f"{place}.content[{at}]"
            raise invalid(f"{where}: expected an object with a type", where)
        if "text" in part and not isinstance(part["text"], str):
            where = f"{place}.content[{at}].text"
            raise invalid(f"{where}: expected a text", where)


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise invalid(f"{name}: expected true or false", name)


def _check_count(body: dict[str, Any], name: str) -> None:
    value = body.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000_000:
        raise invalid(f"{name}: expected a whole number from 1", name)


def _parts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lists = (message.get("content") for message in messages)
    return [part for parts in lists if isinstance(parts, list) for part in parts]


def _routed(messages: list[dict[str, Any]], route_by: RouteBy) -> str:
    """Return the text of all turns, or of the last one of the user; images are left out."""
    if route_by == "last":
        asked = [message for message in messages if message["role"] == "user"]
        messages = asked[-1:] or messages[-1:]
    return joined([_of_text(message) for message in messages]) or ""


def _of_text(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        content = [part["text"] for part in content if "text" in part]
    return {"role": message["role"], "content": content}


def _session(body: dict[str, Any]) -> str | None:
    """Return who asks, or in which conversation: `user`, or one of some names in `metadata`."""
    metadata = body.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    given = [body.get("user"), *(named.get(name) for name in _SESSIONS)]
    return next((one[:200] for one in given if isinstance(one, str) and one), None)


def too_large(limit: int) -> ApiError:
    """Return the error for a body that is too long."""
    return ApiError(413, f"the body is longer than {limit:,} bytes", code="request_too_large")
