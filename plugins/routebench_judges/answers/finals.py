"""Find the final statements of an answer, such as boxes, and settle which of them count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from routebench_judges.answers.folding import expand_powers

_T = TypeVar("_T")

MOST = 400  # statements looked at in one answer
_LONGEST = 60_000  # characters read of one answer
_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]+")
_VULGAR = re.compile("[¼-¾⅐-⅞↉]")
_WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|bm|emph|displaystyle|bold)"
    r"\s?\{([^{}]{0,300})\}"
)
_LATEX = ((r"\$", "$"), (r"\%", "%"), ("{,}", ","), (r"\!", ""), (r"\,", " "), (r"\;", " "))
_DELIMITERS = re.compile(r"\\[()\[\]]|\\(?:left|right|displaystyle|quad|qquad)\b|\\ ")
_BOX = re.compile(
    r"\\f?boxed\s*(?:\{|(?P<bare>[^\s{}\\]{1,60}))"
    r"|<(?:final_)?answer>(?P<tagged>[^<>]{1,300})</(?:final_)?answer>",
    re.I,
)
_TAG = re.compile(r"</?(?:b|strong|i|em|u|p|br|span|div|code)\s?/?>", re.I)
_CORRECTED = re.compile(
    r"\b(?:wait|correction|actually|scratch that|on second thoughts?|let me (?:re\w+|correct|fix)"
    r"|i (?:made|was) (?:a mistake|an error|wrong|mistaken)|my mistake|oops|i meant|rather,)",
    re.I,
)
# What comes before a statement in its clause and takes it back: `if the answer is B`.
_UNMEANT = re.compile(
    r"\b(?:if|whether|suppos\w+|assum\w+|unless|imagin\w+|hypothetically|(?<!second )thought(?!s)"
    r"|tempting|mistaken(?:ly)?|(?<!no )(?<!without )(?<!without a )doubt(?!less)"
    r"|(?:you|one|some|many|people|students) (?:\w+ )?(?:think|say|guess|claim|believe|expect"
    r"|choose|answer))\b|\b(?:wrong|incorrect|false)\s$"
    r"|(?:\b(?:not|never|cannot|cant|deny|denies)|n['’]t)\s(?:\w+\s){0,5}$",
    re.I,
)
# Many times faster in a text made small than in any case.
_SMALL_UNMEANT = re.compile(_UNMEANT.pattern)
_SUPPOSED = re.compile(r"^\W*(?:if|suppose|assum\w+|had|were|imagine)\b", re.I)
_SENTENCE = re.compile(r"[.!?]\s|[\n;]")
_CLAUSE = re.compile(r"[.,;!?\n][\"'”’)*_]*\s|[\n;]|\b(?:but|however|so|then|therefore)\b", re.I)
_SMALL_CLAUSE = re.compile(_CLAUSE.pattern)


@dataclass(frozen=True, slots=True)
class BoxedText:
    """The content of a box in an answer, and where the box stands."""

    start: int
    end: int
    text: str = ""


def shortened(text: str) -> str:
    """Return a text, of a very long one its first and its last half of `_LONGEST` characters."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n\n{text[-_LONGEST // 2 :]}"
    return text


def plain(text: str) -> str:
    """Return the text without hidden characters, LaTeX wrappers and tags.

    Case and asterisks stay.
    """
    if not text.isascii():
        text = expand_powers(text)
        # Before NFKC, which makes 3½ into 31/2.
        text = _VULGAR.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]), text)
        text = _HIDDEN.sub("", unicodedata.normalize("NFKC", text).replace("⁄", "/"))
    if "\\" in text:
        for written, meant in _LATEX:
            text = text.replace(written, meant)
        for _ in range(3):  # \textbf{\text{B}}
            text = _WRAPPED.sub(r"\1", text)
        text = _DELIMITERS.sub(" ", text)
    return _TAG.sub(" ", text) if "<" in text else text


def boxes(text: str) -> Iterator[BoxedText]:
    r"""Yield the content of every `\boxed{…}` and `<answer>…</answer>` of a plain text."""
    if not _may_box(text):
        return
    for match in islice(_BOX.finditer(text), MOST):
        if inner := match["bare"] or match["tagged"]:
            yield BoxedText(match.start(), match.end(), inner)
            continue
        depth, end = 1, match.end()
        while end < min(len(text), match.end() + 500) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if not depth:
            yield BoxedText(match.start(), end, text[match.end() : end - 1])


def _may_box(text: str) -> bool:
    """Return whether `boxes` may find anything: a fast way out."""
    if "\\" not in text and "<" not in text:
        return False
    low = text.lower()
    return "boxed" in low or "answer>" in low or not text.isascii()


def meant(text: str, start: int) -> bool:
    """Return whether no words before a statement in its clause take it back."""
    before = text[max(0, start - 100) : start]
    if before.isascii():
        return not _SMALL_UNMEANT.search(_SMALL_CLAUSE.split(before.lower())[-1])
    return not _UNMEANT.search(_CLAUSE.split(before)[-1])


def settled(text: str, statements: Sequence[tuple[int, _T]]) -> list[_T]:
    """Return the distinct values of an answer's final statements, in order.

    Suppositions are left out where there are other statements; where the answer corrects
    itself, only statements after the last correction count. `statements` holds the position
    and the value of each, in order.
    """
    values = list(dict.fromkeys(value for _, value in statements))
    if len(values) < 2:
        return values
    if asserted := [one for one in statements if not _SUPPOSED.search(_sentence(text, one[0]))]:
        statements = asserted
        values = list(dict.fromkeys(value for _, value in statements))
    places = [match.start() for match in islice(_CORRECTED.finditer(text), MOST)]
    last = max((place for place in places if place < statements[-1][0]), default=-1)
    return list(dict.fromkeys(value for at, value in statements if at > last)) or values[-1:]


def _sentence(text: str, at: int) -> str:
    """Return the part of a sentence that stands before a position."""
    return _SENTENCE.split(text[max(0, at - 200) : at])[-1]
