"""Make text from outside safe to print and store: keys hidden, control characters shown."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable

_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8  # characters; a shorter value may be any word
HIDDEN = "[hidden]"
ROOM = 300
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Control and format characters, lone surrogates, line separators."""


def redacted(text: str, known: Iterable[str] | None = None) -> str:
    """Hide the values of environment variables that hold keys, or the `known` values, in a text.

    >>> os.environ["EXAMPLE_API_KEY"] = "sk-0123456789"
    >>> redacted("wrong key: sk-0123456789")
    'wrong key: [hidden]'
    """
    for value in secrets() if known is None else known:
        text = text.replace(value, HIDDEN)
    return text


def secrets() -> list[str]:
    """Return the values of environment variables that hold keys, longest first."""
    values = {
        value.strip()
        for name, value in os.environ.items()
        if _NAMES.search(name) and len(value.strip()) >= _SHORTEST
    }
    # A key may be a part of a longer one, which must be hidden whole.
    return sorted(values, key=lambda value: (-len(value), value))


def one_line(text: str, room: int = ROOM) -> str:
    """Return the text on one line of at most `room` characters, keys hidden.

    Control characters are shown (`␛` for ESC, `<202e>` for one that turns the writing round);
    rich's markup is left as it is: escape it where it is printed.
    """
    line = " ".join(redacted(text[: 100 * room]).split())
    cut = line if len(line) <= room else line[: room - 1] + "…"
    return "".join(map(_seen, cut))


def _seen(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<{code:04x}>"
