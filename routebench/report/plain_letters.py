"""Signs of the tables in plain letters, for terminals and files that have no others."""

from __future__ import annotations

import codecs
import io
import sys

_NAME = "routebench-plain"
_PLAIN = {
    "−": "-", "–": "-", "—": "-", "─": "-", "±": "+-", "Δ": "d", "λ": "lambda", "…": "~",
    "·": "|", "×": "x", "→": "->", "≤": "<=", "≥": ">=", "“": '"', "”": '"', "’": "'",
}  # fmt: skip


def use_plain_letters() -> None:
    """Have both outputs write what they cannot encode in plain letters, `?` for what has none."""
    codecs.register_error(_NAME, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter, "?") for letter in lost), error.end
