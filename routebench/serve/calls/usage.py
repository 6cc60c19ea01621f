"""The tokens that a chat completion says it used."""

from __future__ import annotations

import math
from typing import Any

from routebench.collect.plausible import plausible
from routebench.records import Reply


def read_usage(usage: Any) -> Reply:
    """Return the counts as a reply without text; unknown (NaN) where they are missing or absurd.

    Tokens of reasoning that a server counts in the total alone, as Gemini's does, are output.
    """
    if not isinstance(usage, dict):
        return Reply("")
    given, came = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    total = _count(usage.get("total_tokens"))
    hidden = 0.0 if math.isnan(total) else max(0.0, total - given - came)
    cached = _count(_inner(usage, "prompt_tokens_details", "cached_tokens"))
    thinking = _count(_inner(usage, "completion_tokens_details", "reasoning_tokens"))
    if math.isnan(given + came):
        return Reply("")
    counts = Reply(
        "",
        input_tokens=given,
        output_tokens=came + hidden,
        cached_tokens=0.0 if math.isnan(cached) else cached,
        thinking_tokens=max(hidden, 0.0 if math.isnan(thinking) else thinking),
    )
    return plausible(counts)


def known_counts(reply: Reply) -> dict[str, int]:
    """Return the counts that are known, by the name of OpenAI's fields."""
    if math.isnan(reply.input_tokens) or math.isnan(reply.output_tokens):
        return {}
    given, came = int(reply.input_tokens), int(reply.output_tokens)
    return {"prompt_tokens": given, "completion_tokens": came, "total_tokens": given + came}


def _inner(usage: dict[str, Any], name: str, count: str) -> Any:
    inner = usage.get(name)
    return inner.get(count) if isinstance(inner, dict) else None


def _count(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if abs(value) < 1e15 else math.nan
