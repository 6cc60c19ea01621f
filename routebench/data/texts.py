"""The normal form of a query's text, on which splits, keys and duplicates are based."""

from __future__ import annotations

import unicodedata

from routebench.files import sha256


def normalise(text: str) -> str:
    """Return a text in NFKC, casefolded, with whitespace runs as one space and none at the ends.

    >>> normalise("  Who  wrote Ｅmma? ")
    'who wrote emma?'
    """
    # Most queries are ASCII, where NFKC is the identity and costs a third of the time.
    composed = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(composed.casefold().split())


def text_hash(text: str) -> str:
    """Return the SHA-256 of the normalised text, as 64 hex digits."""
    return hash_normalised(normalise(text))


def hash_normalised(text: str) -> str:
    """Return the SHA-256, as 64 hex digits, of a text that is normalised already."""
    return sha256(encode(text))


def encode(text: str) -> bytes:
    """Return UTF-8, with the lone surrogates that broken JSON escapes leave kept as they are."""
    return text.encode("utf-8", "surrogatepass")
