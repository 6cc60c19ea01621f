"""Chat messages as one text: the turns joined by an empty line, as RouterBench's prompts are."""

from __future__ import annotations

from typing import Any

HINT = 'write it as text, or as chat messages: [{"role": "user", "content": "…"}]'
_CONTENTS = ("content", "value", "text")


def joined(value: Any) -> str | None:
    """Return the text of a message, of a list of them or of texts; None where it is neither.

    >>> joined([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}])
    'Be brief.\\n\\nWho?'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return joined(value["messages"]) if "messages" in value else _content(value)
    if not isinstance(value, list) or not value:
        return None
    turns = [turn if isinstance(turn, str) else _turn(turn) for turn in value]
    if any(turn is None for turn in turns):
        return None
    return "\n\n".join(turn for turn in turns if turn)


def _turn(turn: Any) -> str | None:
    return _content(turn) if isinstance(turn, dict) else None


def _content(message: dict[str, Any]) -> str | None:
    held = next((message[name] for name in _CONTENTS if message.get(name) is not None), None)
    if held is None:
        return "" if "role" in message else None  # a turn that only calls a tool
    if isinstance(held, str):
        return held
    if not isinstance(held, list):
        return None
    parts = [part if isinstance(part, str) else _part(part) for part in held]
    return None if any(part is None for part in parts) else "\n".join(filter(None, parts))


def _part(part: Any) -> str | None:
    """Return a part's text; None for an image, say, which no text stands for."""
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else None
