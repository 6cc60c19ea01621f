"""Make text from outside safe to print and store: keys hidden, control characters shown."""

from __future__ import annotations

import base64
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import quote

_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8  # characters; a shorter value may be any word
_LONG = 20  # characters; no word of a text is longer
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
    squeezed: str | None = None
    for value in secrets() if known is None else known:
        for form in _forms(value):
            text = text.replace(form, HIDDEN)
            squeezed = "".join(text.split()) if squeezed is None else squeezed
            if form in squeezed:  # in lines, as MIME wraps them
                text = re.sub(r"\s*".join(map(re.escape, form)), HIDDEN, text)
    return text


def telling(values: Iterable[str], *, used: bool = False) -> list[str]:
    """Return the values that are hidden in answers: those that no text holds by chance.

    `used`: they are keys that a request was sent with. Of other variables with such a name a value
    may be `password`, a path or an address, and an answer that says so is kept as it is.
    """
    return [value for value in values if len(value) >= _SHORTEST and _tells(value, used)]


def _tells(value: str, used: bool) -> bool:
    letters, digits = any(map(str.isalpha, value)), any(map(str.isdigit, value))
    if used:
        return not (value.isalpha() or value.isdigit())
    place = value.startswith(("/", "~", ".")) or "://" in value
    return not place and (len(value) >= _LONG or (letters and digits))


@lru_cache(64)
def _forms(value: str) -> tuple[str, ...]:
    """Return a key as it is, and as a server may write it: in base64, hexadecimal or a URL."""
    raw = value.encode("utf-8", "surrogatepass")
    forms = [value, quote(value, safe=""), json.dumps(value)[1:-1], raw.hex(), raw.hex().upper()]
    if len(value) >= _SHORTEST:
        forms += [_inside(encode, raw, at) for encode in _BASE64 for at in range(3)]
    return tuple(sorted(dict.fromkeys(forms), key=len, reverse=True))


def _inside(encode: Callable[[bytes], bytes], raw: bytes, at: int) -> str:
    """Return the base64 of a key that stands `at` bytes behind a multiple of three in a text.

    That is what none of its neighbours changes: six bits a character.
    """
    coded = encode(b"\0" * at + raw).decode()
    return coded[-(-8 * at // 6) : 8 * (at + len(raw)) // 6]


_BASE64 = (base64.b64encode, base64.urlsafe_b64encode)


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
    return "".join(map(seen, cut))


def seen(character: str) -> str:
    """Return a character as it is, or what shows a control or format character."""
    if unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<{code:04x}>"
