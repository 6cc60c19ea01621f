"""The options that a multiple-choice question lists, and which of them a text names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from routebench_judges.answers.finals import plain
from routebench_judges.answers.folding import ARTICLES, fold, words

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LINE = re.compile(r"(?:^|\n)[ \t*>-]*[(\[]?(?P<letter>[A-Za-z])(?P<sign>[).:\]])\**(?=\s|\S)")
_INLINE = re.compile(
    r"(?:(?<=\s)|(?<=[,;:?.(\[])|^)(?:[(\[](?P<round>[A-Za-z])[)\]]|(?P<letter>[A-Za-z])[).:])(?=\s)"
)
_NUMBER_SIGNS = re.compile(r"(?<![^\W_])-(?=\.?\d)|(?<=\d)[%/.](?=\d)|(?<=\d)%|[<>=≤≥+^√$€£°]")


@dataclass(frozen=True)
class AnswerOptions:
    """Letters with what they stand for; empty where the question lists none."""

    texts: dict[str, str]

    @cached_property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """What is compared of each option's text."""
        return {letter: key(text) for letter, text in self.texts.items()}

    def __bool__(self) -> bool:
        return bool(self.texts)

    def named(self, text: str) -> str | None:
        """The one option whose whole text this is."""
        wanted = key(text)
        matches = [
            letter
            for letter, option_words in self.keys.items()
            if option_words and option_words == wanted
        ]
        return matches[0] if len(matches) == 1 else None

    def opening(self, text: str) -> tuple[str, int] | None:
        """The option whose text a text begins with, and how many of its words that takes.

        Of several the one with the longest text.
        """
        given = key(text)
        matches = [
            (len(option_words), letter)
            for letter, option_words in self.keys.items()
            if option_words and given[: len(option_words)] == option_words
        ]
        if not matches:
            return None
        length, letter = max(matches)
        same = [other for size, other in matches if size == length]
        return (letter, length) if len(same) == 1 else None

    def mentioned(self, text: str) -> list[str]:
        """The options whose text stands in a text, but not only within that of another one."""
        given = f" {' '.join(key(text))} "
        letters = []
        for letter, option_words in sorted(self.keys.items(), key=lambda item: -len(item[1])):
            spelled = f" {' '.join(option_words)} "
            if option_words and spelled in given:
                letters.append(letter)
                given = given.replace(spelled, " | ")
        return sorted(letters)

    def joining(self, letters: frozenset[str]) -> str | None:
        """The option that stands for just these others, as `Both A and B` does."""
        matches = [
            letter
            for letter, text in self.texts.items()
            if set(re.findall(r"(?<![^\W_])[A-Z](?![^\W_])", text)) & set(LETTERS) == letters
        ]
        return matches[0] if len(matches) == 1 else None


def read_options(question: str) -> AnswerOptions:
    """The options of a question, `A) …`, `(A) …`, `A. …` or `A: …`, by lines or in one line."""
    text = plain(question)
    best: dict[str, str] = {}
    for pattern in (_LINE, _INLINE):
        marks = [
            ((match.groupdict().get("round") or match["letter"]).upper(), match)
            for match in pattern.finditer(text)
        ]
        run = _run(text, marks)
        if len(run) > len(best):
            best = run
    return AnswerOptions(best)


def _run(text: str, marks: list[tuple[str, re.Match[str]]]) -> dict[str, str]:
    """The last run A, B, C … among the marks, with what stands between them."""
    best: dict[str, str] = {}
    for start, (letter, _) in enumerate(marks):
        if letter != "A":
            continue
        run = [start]
        for at in range(start + 1, len(marks)):
            if marks[at][0] == LETTERS[len(run)]:
                run.append(at)
            if len(run) == len(LETTERS):
                break
        if len(run) < 2 or len(run) < len(best):
            continue
        ends = [marks[at][1].start() for at in run[1:]] + [len(text)]
        best = {
            LETTERS[n]: _first_part(text[marks[at][1].end() : end])
            for n, (at, end) in enumerate(zip(run, ends, strict=True))
        }
    return best


def _first_part(text: str) -> str:
    """The option without what follows the list, such as `Answer:`."""
    part = re.split(r"\n\s*\n|\n\s*(?:answer|please|respond|choose|reply)\b", text, flags=re.I)[0]
    return " ".join(part.split()).strip(" ,;*|")


def key(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared: articles count only where there is nothing else.

    Signs that make another number of it, as in -5, 3/4 or 50%, count as words.
    """
    folded = fold(plain(text).replace("*", " "))
    spaced = _NUMBER_SIGNS.sub(lambda sign: f" sign{ord(sign[0]):x} ", folded)
    tokens = words(spaced)
    return tuple(word for word in tokens if word not in ARTICLES) or tuple(tokens)
