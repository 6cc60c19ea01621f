"""The one normal form of a query's text: splits, keys and duplicates all rest on it."""

from __future__ import annotations

import hashlib
import unicodedata


def normalise(text: str) -> str:
    """NFKC, casefolded, with runs of whitespace as one space and none at the ends.

    >>> normalise("  Who  wrote Ｅmma? ")
    'who wrote emma?'
    """
    # Most queries are ASCII, where NFKC is the identity and costs a third of the time.
    composed = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(composed.casefold().split())


def text_hash(text: str) -> str:
    """SHA-256 of the normalised text, as 64 hex digits."""
    return hash_normalised(normalise(text))


def hash_normalised(text: str) -> str:
    """SHA-256, as 64 hex digits, of a text that is normalised already."""
    return hashlib.sha256(encode(text)).hexdigest()


def encode(text: str) -> bytes:
    """UTF-8, with the lone surrogates that broken JSON escapes leave behind kept as they are."""
    return text.encode("utf-8", "surrogatepass")
