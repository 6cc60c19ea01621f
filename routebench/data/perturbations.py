"""Small changes to a query that keep its meaning, to test whether the decision is stable.

A perturbation is seeded by the text and the kind, so the same text always changes the same way.
Only `Random.random` is used: its values are the same in every Python release.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from routebench.data.texts import encode

_T = TypeVar("_T")

KINDS: tuple[str, ...] = ("case", "whitespace", "typos", "paraphrase")

WORDS_PER_TYPO = 12
_MARGINS = ((" ", ""), ("  ", ""), ("\n", ""), ("", " "), ("", "\n"))
TEMPLATES = (
    "Could you tell me: {}",
    "Question: {}",
    "Please help me with this: {}",
    "Here is something I would like to know. {}",
    "I have a question for you.\n\n{}",
    "{}\n\nPlease answer this.",
    "{} Thanks in advance!",
    "Can you work this out for me?\n{}",
)


def perturb(text: str, kind: str) -> str:
    """Return the text, perturbed in one of `KINDS`; another one wherever it has a letter.

    A text without letters gets no typos; an empty one stays as it is.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown perturbation {kind!r}; there are {', '.join(KINDS)}")
    seed = hashlib.sha256(encode(f"{kind}\0{text}")).digest()
    return _PERTURBERS[kind](text, Random(int.from_bytes(seed, "big"))) if text else text  # noqa: S311


def _case(text: str, rng: Random) -> str:
    """Convert the case: all lower, all upper, or every word or some words capitalised or upper.

    Scripts without case get other whitespace instead: unchanged texts would count as robust.
    """
    first = _below(len(_CASES), rng)
    for change in (*_CASES[first:], *_CASES[:first]):
        changed = change(text, rng)
        if changed != text:
            return changed
    return _whitespace(text, rng)


def _capitalised(text: str, rng: Random) -> str:
    return re.sub(r"\S+", lambda word: word[0][0].upper() + word[0][1:], text)


def _shouted(text: str, rng: Random) -> str:
    return re.sub(r"\S+", lambda word: word[0].upper() if rng.random() < 0.3 else word[0], text)


_CASES: tuple[Callable[[str, Random], str], ...] = (
    lambda text, rng: text.lower(),
    lambda text, rng: text.upper(),
    _capitalised,
    _shouted,
)


def _whitespace(text: str, rng: Random) -> str:
    """Extend some spaces and line breaks by one, and pad or trim the ends.

    Words stay apart and whole, and lines stay lines: code keeps its meaning.
    """

    def widened(gap: re.Match[str]) -> str:
        return gap[0] + gap[0][-1] if rng.random() < 0.3 else gap[0]

    changed = re.sub(r"(?<=\S) +(?=\S)|\n+", widened, text)
    if changed.strip() not in ("", changed) and rng.random() < 0.5:
        return changed.strip()
    before, after = _pick(_MARGINS, rng)
    return before + changed + after


def _typos(text: str, rng: Random) -> str:
    """Make typos inside words of four letters or more, one for about every twelve words.

    Where no word is as long, one letter anywhere is doubled. Digits are never touched.
    """
    words = [word for word in re.finditer(r"[^\W\d_]{4,}", text) if word[0].isalpha()]
    if not words:
        letters = [place for place, char in enumerate(text) if char.isalpha()]
        at = _pick(letters, rng) if letters else 0
        return text[: at + 1] + text[at:] if letters else text
    slips = min(len(words), max(1, round(len(text.split()) / WORDS_PER_TYPO)))
    pieces, done = [], 0
    for place in _sample(len(words), slips, rng):
        word = words[place]
        pieces += [text[done : word.start()], _slip(word[0], rng)]
        done = word.end()
    return "".join([*pieces, text[done:]])


def _slip(word: str, rng: Random) -> str:
    """Swap two letters, omit one or double one; never the first."""
    at = 1 + _below(len(word) - 2, rng)
    kind = _below(3, rng)
    if kind == 0 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    return word[: at + 1] + word[at:]


def _paraphrase(text: str, rng: Random) -> str:
    before, after = _pick(TEMPLATES, rng).split("{}")
    return before + text + after


_PERTURBERS: dict[str, Callable[[str, Random], str]] = {
    "case": _case,
    "whitespace": _whitespace,
    "typos": _typos,
    "paraphrase": _paraphrase,
}


def _below(count: int, rng: Random) -> int:
    return int(rng.random() * count)


def _pick(choices: Sequence[_T], rng: Random) -> _T:
    return choices[_below(len(choices), rng)]


def _sample(count: int, size: int, rng: Random) -> list[int]:
    """Return `size` of range(count), ascending."""
    places = list(range(count))
    for left in range(size):
        other = left + _below(count - left, rng)
        places[left], places[other] = places[other], places[left]
    return sorted(places[:size])
