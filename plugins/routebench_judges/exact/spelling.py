"""Patterns for a name as other languages spell it: Netanyahu, Netanjahu."""

from __future__ import annotations

import re
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


def spelt_name(name: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return a pattern for a whole name in any spelling; None for one too short to be sure."""
    least = _LONG if len(name) < 3 else _LONG - 1
    if len(name) < 2 and len(name[0]) < _LONG:
        return None
    parts = [spelt(word, least) for word in name]
    return None if parts == list(name) else re.compile(r"[\W_]+".join(parts))
