"""Texts in a store: any Python string is read back as it was."""

from __future__ import annotations

from typing import TypeVar

Text = TypeVar("Text", str, str | None)


def packed(text: str | None) -> str | bytes | None:
    """Return the value for SQLite: the text, or bytes where it holds lone surrogates.

    Broken JSON escapes leave these behind.
    """
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def unpacked(value: str | bytes) -> str:
    """Return the text that was packed; raise `ValueError` or `TypeError` for anything else."""
    return value if isinstance(value, str) else str(value, "utf-8", "surrogatepass")


def readable(value: str | bytes | None) -> str | None:
    """Return the text as a table can hold it: `?` in place of each lone surrogate."""
    return (
        unpacked(value).encode("utf-8", "replace").decode() if isinstance(value, bytes) else value
    )
