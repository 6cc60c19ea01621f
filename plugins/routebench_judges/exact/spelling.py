"""Patterns for a name as other languages spell it: Netanyahu, Netanjahu."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# What may be written for a group of letters of a folded name, the longest groups first. Accents
# are gone: š is s, č is c, ž is z, ch may be kh.
_SPELT = {
    "shch": "(?:shch|stsch|szcz|sc)",
    "sch": "(?:sch|sh|sz|s)",
    "tch": "(?:tch|tsch|ch|cz|c)",
    "dzh": "(?:dzh|dz|dj|j)",
    "ch": "(?:ch|tch|cz|kh|c)",
    "sh": "(?:sch|sh|sz|s)",
    "kh": "(?:kh|ch|h)",
    "zh": "(?:zh|z|j)",
    "ph": "(?:ph|f)",
    "th": "(?:th|t)",
    "gh": "(?:gh|g)",
    "ck": "c?k",
    "ts": "(?:ts|tz|cz|c|z)",
    "tz": "(?:ts|tz|cz|c|z)",
    "oo": "(?:oo|ou|u|o)",
    "ou": "(?:oo|ou|u)",
    "ee": "(?:ee|eje|ie|i|e)",
    "aa": "aa?",
    "x": "(?:x|ks)",
    "q": "(?:q|k)",
    "f": "(?:ff?|ph)",
    "i": "[ijy]{1,2}",
    "y": "[ijy]{1,2}",
    "j": "(?:dzh|dz|dj|[ijy])",
    "v": "[vw]",
    "w": "[vw]",
    "c": "(?:cc?|k|ck)",
    "k": "(?:kk?|c|ck)",
    "u": "(?:u|oo|ou)",
    "s": "(?:ss?|sh|sch)",
}
_GROUPS = re.compile("|".join([*sorted(_SPELT, key=len, reverse=True), r"([bdglmnprtz])\1?"]))
_JOTS = re.compile("dzh|dz|dj|[jy]")
_AFFRICATES = re.compile("t(?=[sz]|ch)")
_UNHEARD = re.compile("[aeiouh]")
_SIBILANTS = re.compile("[ckqxsz]")
_TWICE = re.compile(r"(.)\1+")
_WORD = re.compile(r"[^\W_]+")
_COMPARED = 3
_LONG = 5  # letters of a name that may be spelt otherwise


@lru_cache(5000)
def spelt(literal: str, least: int = _LONG) -> str:
    """Return a pattern for folded letters in the spelling of any language, if they are many."""
    if len(literal) < least or not literal.isascii() or not literal.isalpha():
        return literal
    literal = re.sub(r"([bcdfgklmnprst])\1", r"\1", literal)
    return _GROUPS.sub(_spellings, literal)


def _spellings(match: re.Match[str]) -> str:
    return f"{match[1]}{{1,2}}" if match[1] else _SPELT[match[0]]


@lru_cache(50_000)
def skeleton(word: str) -> str:
    """Return the consonants of a folded word in a form that no spelling or ending of it changes.

    Only the first of them are to be compared: endings come last.
    """
    kept = _JOTS.sub("", word.replace("ph", "f"))
    kept = _SIBILANTS.sub("k", _UNHEARD.sub("", _AFFRICATES.sub("", kept))).replace("w", "v")
    return _TWICE.sub(r"\1", kept)


def may_stand(name: Sequence[str], folded: str) -> bool:
    """Return whether each word of a name may stand in a folded text in some spelling and form."""
    there = _beginnings(folded)
    return all(skeleton(word[:-2])[:_COMPARED] in there for word in name)


@lru_cache(8)
def _beginnings(folded: str) -> frozenset[str]:
    found = {skeleton(word) for word in _WORD.findall(folded)}
    return frozenset(one[:size] for one in found for size in range(_COMPARED + 1))
