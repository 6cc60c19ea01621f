"""Values of log records: numbers, times, texts of messages; null where a record has none."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from routebench.errors import DataError


def count(value: Any) -> float | None:
    """Return a number of tokens, or any other number; None where there is none.

    >>> count("12"), count(None), count(True), count("many")
    (12.0, None, None, None)
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def text(value: Any) -> str | None:
    """Return a text, or a number's; None where it is empty or something else."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: Any, place: str) -> datetime | None:
    """Return a time, of ISO 8601 (UTC where it names no zone) or of seconds, ms, µs or ns.

    >>> moment(1_700_000_000, "").isoformat(), moment("2026-03-01 12:00:00Z", "").hour
    ('2023-11-14T22:13:20+00:00', 12)
    """
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        if isinstance(value, datetime):
            at = value
        elif isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            at = datetime.fromisoformat(value.strip())
        else:
            at = datetime.fromtimestamp(_seconds(float(value)), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise DataError(f"{place}: {str(value)[:40]!r} is no time", "such as ISO 8601") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _seconds(value: float) -> float:
    while value > 1e11:  # the year 5138 in seconds: a finer unit
        value /= 1000.0
    return value


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from one time to another; None where one is unknown."""
    return None if start is None or end is None else (end - start).total_seconds()


def parsed(value: Any) -> Any:
    """Return what JSON text stands for, or the value where it is none."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def inner(record: Any, *path: str) -> Any:
    """Return the value at a path of names; None where there is none."""
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record


def query(messages: Any) -> str | None:
    """Return the text that a router sees: of all turns, joined by empty lines.

    Messages are of OpenAI (`content` a text, or parts), of OpenTelemetry (`parts`), or a text.

    >>> query([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}])
    'Hello'
    """
    messages = parsed(messages)
    if isinstance(messages, str):
        return text(messages)
    if isinstance(messages, dict):
        held = messages.get("messages", messages.get("input", messages.get("prompt")))
        return query(held) if held is not None else _content(messages) or None
    if not isinstance(messages, list):
        return None
    return "\n\n".join(filter(None, map(_content, messages))) or None


def _content(message: Any) -> str:
    if isinstance(message, str):
        return message
    if not isinstance(message, dict):
        return ""
    content = message.get("content", message.get("parts"))
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part, content)))
    return content if isinstance(content, str) else ""


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    held = part.get("text", part.get("content")) if isinstance(part, dict) else None
    return held if isinstance(held, str) else ""


def usage(given: Any) -> dict[str, float | None]:
    """Return the four token columns of a usage object of OpenAI's APIs."""
    return {
        "input_tokens": _first(given, ("prompt_tokens",), ("input_tokens",)),
        "output_tokens": _first(given, ("completion_tokens",), ("output_tokens",)),
        "cached_tokens": _first(
            given,
            ("prompt_tokens_details", "cached_tokens"),
            ("input_tokens_details", "cached_tokens"),
            ("cached_tokens",),
        ),
        "reasoning_tokens": _first(
            given,
            ("completion_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "reasoning_tokens"),
            ("reasoning_tokens",),
        ),
    }


def _first(record: Any, *paths: tuple[str, ...]) -> float | None:
    return next((n for path in paths if (n := count(inner(record, *path))) is not None), None)
