"""Keeping keys out of what is written down."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8  # characters; a shorter value may be any word
HIDDEN = "[hidden]"


def redacted(text: str, known: Iterable[str] | None = None) -> str:
    """The text without the values of environment variables that hold keys; or without known ones.

    >>> os.environ["EXAMPLE_API_KEY"] = "sk-0123456789"
    >>> redacted("wrong key: sk-0123456789")
    'wrong key: [hidden]'
    """
    for value in secrets() if known is None else known:
        text = text.replace(value, HIDDEN)
    return text


def secrets() -> list[str]:
    """What must never be shown or stored, longest first."""
    found = {
        value.strip()
        for name, value in os.environ.items()
        if _NAMES.search(name) and len(value.strip()) >= _SHORTEST
    }
    return sorted(found, key=lambda value: (-len(value), value))
