"""Text from outside, made fit for a terminal: it must neither steer it nor give keys away."""

from __future__ import annotations

import unicodedata

from routebench.outcomes.secrets import redacted

ROOM = 300
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Control and format characters, lone surrogates, line separators."""


def one_line(text: str, room: int = ROOM) -> str:
    """The text on one line of at most `room` characters, keys hidden.

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
