"""Common nouns and adjectives of references, as other languages say them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from itertools import islice

from routebench_judges.answers.folding import listed_words

_PACKAGE = "routebench_judges.exact"
_GAP = r"[\W_]+"
_ENDING = r"[^\W_]{0,4}"  # more makes another word of it
_LINKS = frozenset(listed_words("of the de in at for and a an s to on with by from"))
_STOP = re.compile(r"[.!?;]\s|\n")
_BRACKETED = re.compile(r"\([^()]*\)")
_MANY = 20  # places of a word looked at
_ROOM = 16  # characters between the words of a name, for each of them
_OTHERS = 3  # other words between the words of a name
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
    words = [one.replace("_", _GAP).replace("*", _ENDING) for one in others.split()]
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
    folded: str,
    name: tuple[str, ...],
    language: str,
    asked: str,
    may_be: Callable[[str, str, str], bool],
    form: Callable[[str, str], str],
) -> str:
    """Return a folded answer in which the words of a name are as in the reference.

    Words that are not listed stand as they are called: `may_be` tells cheaply whether one may be
    in the text, `form` gives its pattern. `asked` is the folded question. All words must stand
    close together, in any order.
    """
    if len(name) == 1 or name in _listed()[language]:
        return _one(folded, name, language, asked)
    found = []
    for part, listed in _parts(name, language):
        if not listed and not may_be(part[0], language, folded):
            return folded
        pattern = _compiled(part, language, form(part[0], language) if len(part) == 1 else "")
        spans = [match.span() for match in islice(pattern.finditer(folded), _MANY)]
        if not spans:
            return folded
        found.append(spans)
    if found and (window := _window(folded, found)):
        return f"{folded[: window[0]]}{' '.join(name)}{folded[window[1] :]}"
    return folded


def _one(folded: str, name: tuple[str, ...], language: str, asked: str) -> str:
    """Write a single listed word as in English, if it is the first of its kind in the answer."""
    plain = " ".join(name)
    for kind, _ in _listed()[language].get(name, ()):
        text = _BRACKETED.sub(lambda match: " " * len(match[0]), folded)
        wanted = _compiled(name, language, "")
        if not wanted.search(folded):
            continue
        text = text if wanted.search(text) else folded
        words = set(listed_words(asked))
        first = next(
            (
                one
                for one in _of_kind(language, kind).finditer(text)
                if not _in_question(one[0], language, kind, words)
            ),
            None,
        )
        if first and wanted.fullmatch(first[0]):
            return wanted.sub(plain, folded)
    return folded


def _in_question(word: str, language: str, kind: str, asked: set[str]) -> bool:
    """Return whether a word of an answer stands in the question, there or in English."""
    if word in asked:
        return True
    return any(
        one == kind and asked.issuperset(english) and re.fullmatch(pattern, word)
        for english, entries in _listed()[language].items()
        if english[0] in asked
        for one, pattern in entries
    )


@lru_cache(_KEPT)
def _parts(name: tuple[str, ...], language: str) -> list[tuple[tuple[str, ...], bool]]:
    """Return the parts of a name and whether each is listed, those first; none where none is."""
    listed = _listed()[language]
    parts, at = [], 0
    while at < len(name):
        size = next(
            (n for n in (3, 2, 1) if len(name[at:]) >= n and name[at : at + n] in listed), 0
        )
        if size or name[at] not in _LINKS:
            parts.append((name[at : at + (size or 1)], bool(size)))
        at += size or 1
    parts.sort(key=lambda part: not part[1])
    return parts if len(parts) > 1 and parts[0][1] else []


@lru_cache(_KEPT)
def _compiled(part: tuple[str, ...], language: str, own: str) -> re.Pattern[str]:
    either = [pattern for _, pattern in _listed()[language].get(part, ())]
    if own:
        either.append(rf"(?<![^\W_])(?:{own})(?![^\W_])")
    return re.compile("|".join(either))


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
