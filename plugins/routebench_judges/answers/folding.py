"""Fold texts for comparison, without case, accents and markup, and split them into words."""

from __future__ import annotations

import re
import unicodedata
from html import unescape

ARTICLES = frozenset({"a", "an", "the"})

_MARKS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670]+")
_HIDDEN = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]+")
_POWERS = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LIKENESS = dict(zip("’‘‛ʼ`´′–—‒―−‐‑łŁøØđĐðÐı♯", "'''''''-------llooddddi#", strict=True))
_LIKENESS |= {"½": ".5", "¼": ".25", "¾": ".75", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe"}
_LIKENESS |= {"þ": "th", "Þ": "th", "ƒ": "f"}
_UNLIKE = re.compile(f"[{''.join(_LIKENESS)}]")
# Written without spaces: each character stands as a word of its own.
_SPACELESS = re.compile("([\u3041-\u309f\u3400-\u9fff\uf900-\ufaff])")
_INLINE = re.compile(r"</?(?:b|i|u|em|strong|span|a|code|mark|font|small|sub)(?:\s[^<>]{0,500})?>")
_TAG = re.compile(r"</?[a-z!][^<>]{0,500}>")
_ADDRESS = re.compile(r"https?://\S+")

_WORD = re.compile(
    r"\d+(?:[.,]\d+)*(?:[^\W_]|[\u0900-\u0963\u0966-\u0dff])*"
    r"|(?:[^\W_]|[\u0900-\u0963\u0966-\u0dff\u0e00-\u0e7f\u1000-\u1049])+"
)
_ASCII_WORD = re.compile(r"[0-9]+(?:[.,][0-9]+)*[A-Za-z0-9]*|[A-Za-z][A-Za-z0-9]*")
# C# is another note, and another language, than C.
_SHARP = re.compile(rf"(?<![^\W_])[a-z](?:#|\+\+)(?![^\W_])|{_WORD.pattern}")
_THOUSANDS = re.compile(r",(?=\d{3}(?:\D|$))")
_POSSESSIVE = re.compile(r"'s\b|(?<=\w)'(?=\w)")


def fold(text: str) -> str:
    """Return the text in lower case without accents, markup or addresses; punctuation stays.

    Of apostrophes only quotes stay: `o'hara` is `ohara`, `don't` is `dont`, `life's` is `life`.
    """
    if not text.isascii():
        text = _plain(text)
    text = text.lower()
    if "<" in text:
        text = _TAG.sub(" ", _INLINE.sub("", text.replace("<sup>", "^").replace("</sup>", "")))
    if "&" in text:
        text = unescape(text)
        text = text if text.isascii() else _plain(text).lower()
        text = text.replace(" & ", " and ")
    if "'" in text:
        text = _POSSESSIVE.sub("", text)
    return _ADDRESS.sub(" ", text) if "://" in text else text


def expand_powers(text: str) -> str:
    """Write superscript digits as a power, `10⁵` as `10^⁵`; NFKC makes digits of them after."""
    if text.isascii():
        return text
    # Without the caret NFKC would make 10⁵ into 105.
    return _POWERS.sub(lambda match: "^" + match[0].replace("⁻", "-"), text)


def _plain(text: str) -> str:
    text = expand_powers(_HIDDEN.sub("", text))
    text = _UNLIKE.sub(_alike, text)
    text = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    if text.isascii():
        return text
    text = _UNLIKE.sub(_alike, unicodedata.normalize("NFKC", text))
    return _SPACELESS.sub(r" \1 ", text)


def _alike(match: re.Match[str]) -> str:
    return _LIKENESS[match[0]]


def words(folded: str) -> list[str]:
    """Split a folded text into words and numbers without punctuation; `1,234` is `1234`."""
    sharp = "#" in folded or "++" in folded
    pattern = _SHARP if sharp else _ASCII_WORD if folded.isascii() else _WORD
    tokens = pattern.findall(folded)
    if "," in folded:
        tokens = [_THOUSANDS.sub("", word) if "," in word else word for word in tokens]
    return tokens


def listed_words(text: str) -> list[str]:
    """Split a vocabulary that is written as one text."""
    return text.split()
