"""Common nouns and adjectives of references, as other languages say them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import islice

from routebench_judges.answers.folding import listed_words

_PACKAGE = "routebench_judges.exact"
_GAP = r"[\W_]+"
_ENDING = r"[^\W_]{0,6}"
_LINKS = frozenset(listed_words("of the de in at for and a an s to on with by from"))
_STOP = re.compile(r"[.!?;]\s|\n")
_BRACKETED = re.compile(r"\([^()]*\)")
_MANY = 20  # places of a word looked at
_ROOM = 16  # characters between the words of a name, for each of them
_KEPT = 5000


@cache
def _listed() -> dict[str, dict[tuple[str, ...], list[tuple[str, str]]]]:
    """Return by language, for each English word, the kinds it is of and a pattern for each."""
    read = tomllib.loads(files(_PACKAGE).joinpath("glossary.toml").read_text("utf-8"))
    found: dict[str, dict[tuple[str, ...], list[tuple[str, str]]]] = {}
    for language, kinds in read.items():
        table = found.setdefault(language, {})
        for kind, entries in kinds.items():
            for english, others in entries.items():
                table.setdefault(tuple(english.split()), []).append((kind, _pattern(others)))
    return found


def _pattern(others: str) -> str:
    words = [one.replace("*", _ENDING).replace("_", _GAP) for one in others.split()]
    return f"(?<![^\\W_])(?:{'|'.join(words)})(?![^\\W_])"


@cache
def _of_kind(language: str, kind: str) -> re.Pattern[str]:
    """Return a pattern for any word of a kind, to find the first that an answer names."""
    return re.compile(
        "|".join(
            pattern
            for entries in _listed()[language].values()
            for one, pattern in entries
            if one == kind
        )
    )


def knows(language: str) -> bool:
    """Return whether words of a language are listed."""
    return language in _listed()


def translated(
    folded: str, name: Sequence[str], language: str, asked: str, own: Sequence[str]
) -> str:
    """Return a folded answer in which the words of a name are as in the reference.

    `own` are patterns for the words of the name, for those that are not listed; `asked` is the
    folded question. All words must stand close together, in any order.
    """
    if len(name) == 1 or tuple(name) in _listed()[language]:
        return _one(folded, tuple(name), language, asked)
    parts = _parts(tuple(name), language, tuple(own))
    if parts is None:
        return folded
    found = []
    for part in parts:
        spans = [match.span() for match in islice(part.finditer(folded), _MANY)]
        if not spans:
            return folded
        found.append(spans)
    if window := _window(folded, found):
        return f"{folded[: window[0]]}{' '.join(name)}{folded[window[1] :]}"
    return folded


def _one(folded: str, name: tuple[str, ...], language: str, asked: str) -> str:
    """Write a single listed word as in English, if it is the first of its kind in the answer."""
    plain = " ".join(name)
    for kind, pattern in _listed()[language].get(name, ()):
        text = _BRACKETED.sub(lambda match: " " * len(match[0]), folded)
        text = text if re.search(pattern, text) else folded
        first = next(
            (one for one in _of_kind(language, kind).finditer(text) if one[0] not in asked), None
        )
        if first and re.fullmatch(pattern, first[0]):
            return re.sub(pattern, plain, folded)
    return folded


@lru_cache(_KEPT)
def _parts(
    name: tuple[str, ...], language: str, own: tuple[str, ...]
) -> list[re.Pattern[str]] | None:
    """Return a pattern for each part of a name; None where no part of it is listed."""
    listed = _listed()[language]
    parts, known, at = [], 0, 0
    while at < len(name):
        size = next(
            (n for n in (3, 2, 1) if name[at : at + n] in listed and at + n <= len(name)), 0
        )
        if size:
            either = [pattern for _, pattern in listed[name[at : at + size]]]
            if size == 1:
                either.append(rf"(?<![^\W_])(?:{own[at]})(?![^\W_])")
            parts.append(re.compile("|".join(either)))
            known += 1
        elif name[at] not in _LINKS:
            parts.append(re.compile(rf"(?<![^\W_])(?:{own[at]})(?![^\W_])"))
        at += size or 1
    return parts if known and len(parts) > 1 else None


def _window(folded: str, found: list[list[tuple[int, int]]]) -> tuple[int, int] | None:
    """Return where the words of a name stand close together, none of them twice."""
    rarest = min(found, key=len)
    for anchor in rarest:
        chosen = [anchor]
        for spans in found:
            if spans is rarest:
                continue
            free = [
                span
                for span in spans
                if all(span[1] <= one[0] or one[1] <= span[0] for one in chosen)
            ]
            if not free:
                break
            middle = anchor[0]
            chosen.append(min(free, key=lambda span: abs(span[0] - middle)))
        else:
            start, end = min(a for a, _ in chosen), max(b for _, b in chosen)
            written = sum(b - a for a, b in chosen)
            if end - start - written <= _ROOM * len(chosen) and not _STOP.search(
                folded, start, end
            ):
                return start, end
    return None
