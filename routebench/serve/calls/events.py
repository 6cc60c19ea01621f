"""Server-sent events of a streamed chat completion."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

DONE = b"data: [DONE]\n\n"
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LARGEST = 16 << 20  # bytes of one event


async def split_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield whole events, each with the empty line that ends it, as soon as they are there."""
    left = b""
    async for chunk in chunks:
        left += chunk
        if len(left) > _LARGEST:
            raise ValueError("an event without end")
        start = 0
        for end in _END.finditer(left):
            yield left[start : end.end()]
            start = end.end()
        left = left[start:]
    if left.strip():
        yield left + b"\n\n"


def payload(event: bytes) -> Any:
    """Return the JSON of an event; None for its end, a comment, or what is no JSON."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    data = b"\n".join(lines)
    if not data or data == b"[DONE]":
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def is_done(event: bytes) -> bool:
    """Return whether an event says that the stream has ended."""
    return b"[DONE]" in event and event.replace(b" ", b"").strip() == b"data:[DONE]"


def to_event(value: Any) -> bytes:
    """Return a JSON value as an event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def as_events(completion: dict[str, Any], usage: bool) -> Iterator[bytes]:
    """Yield a whole completion as a stream of one chunk, its usage, and the end."""
    common = {k: v for k, v in completion.items() if k not in ("choices", "usage", "object")}
    common["object"] = "chat.completion.chunk"
    choices = [_as_delta(choice, at) for at, choice in enumerate(completion["choices"])]
    yield to_event(common | {"choices": choices})
    if usage and completion.get("usage"):
        yield to_event(common | {"choices": [], "usage": completion["usage"]})
    yield DONE


def _as_delta(choice: Any, at: int) -> dict[str, Any]:
    given = choice if isinstance(choice, dict) else {}
    delta = dict(given.get("message") or {})
    if isinstance(calls := delta.get("tool_calls"), list):
        delta["tool_calls"] = [
            {"index": n} | call for n, call in enumerate(calls) if isinstance(call, dict)
        ]
    others = {name: value for name, value in given.items() if name not in ("message", "index")}
    return {"index": given.get("index", at), "delta": delta, **others}
