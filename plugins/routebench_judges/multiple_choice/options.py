"""Read the options that a multiple-choice question lists, and find them in a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from routebench_judges.answers.finals import plain
from routebench_judges.answers.folding import ARTICLES, fold, listed_words, words

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARK = r"[ \t*>-]*[(\[]?(?P<letter>[A-Za-z])[).:\]]\**(?=\s|\S)"
_FIRST_LINE = re.compile(_MARK)
_LINE = re.compile(r"\n" + _MARK)
_INLINE_END = re.compile(r"[)\].:](?=\s)")
_NUMBER_SIGNS = re.compile(
    r"[-%/.<>=≤≥+^√$€£°](?:(?<=[<>=≤≥+^√$€£°])|(?<=-)(?<![^\W_]-)(?=\.?\d)|(?<=\d[%/.])(?=\d)"
    r"|(?<=\d%))"
)
# Of such a text the words of a part are the first words of the whole.
_SPELLED_OUT = re.compile(r"[^<>\\&/\x80-\U0010ffff]*")
# Where a text is cut, it may be an article alone.
_UNSURE = ARTICLES | set(
    listed_words(
        "because since as which who where given due and or is was with for by not rather instead"
    )
)
# The first word of a text, articles apart, where nothing before or after it can change it.
_FIRST_WORD = re.compile(r"[ *\n]*(?:(?:[Tt]he|[Aa]n?) )*(?P<word>[A-Za-z]+)(?:'s)?(?=[ .,;\n]|$)")
_AFTER_LIST = re.compile(r"\n\s*\n|\n\s*(?:answer|please|respond|choose|reply)\b", re.I)
_LONE_LETTER = re.compile(r"(?<![^\W_])[A-Z](?![^\W_])")


@dataclass(frozen=True)
class AnswerOptions:
    """The texts of a question's options by letter; empty where it lists none."""

    texts: dict[str, str]

    @cached_property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """Return the words of each option's text that are compared."""
        return {letter: key(text) for letter, text in self.texts.items()}

    @cached_property
    def _first_words(self) -> frozenset[str]:
        return frozenset(option[0] for option in self.keys.values() if option)

    def may_begin(self, text: str) -> bool:
        """Return whether a text, or what is cut off its end, may be an option: a fast way out."""
        first = _FIRST_WORD.match(text)
        if first is None or (word := first["word"].lower()) in _UNSURE:
            return True
        return word in self._first_words

    def may_go_on(self, begun: tuple[str, ...], text: str) -> bool:
        """Return whether a text that begins with some words may be an option: a fast way out."""
        if not _SPELLED_OUT.fullmatch(text) or not ARTICLES.isdisjoint(begun):
            return True
        return any(option[: len(begun)] == begun for option in self.keys.values())

    def __bool__(self) -> bool:
        return bool(self.texts)

    def at(self, place: int) -> str | None:
        """Return the letter of the option at a place, the first being 0."""
        known = list(self.texts) or list(LETTERS)
        return known[place] if 0 <= place < len(known) else None

    def may_index(self, number: int) -> bool:
        """Return whether a number may be an option's index, counted from 0 or from 1."""
        return 0 <= number <= (len(self.texts) or len(LETTERS))

    def named(self, text: str) -> str | None:
        """Return the one option whose whole text this is."""
        if not self.may_begin(text) or self._shorter_than(text):
            return None
        return self.with_words(key(text))

    def _shorter_than(self, text: str) -> bool:
        """Return whether a text surely has more words than any option: a fast way out."""
        if len(text) < 100 or not _SPELLED_OUT.fullmatch(text):
            return False
        # Each of these is a word of its own, and no article.
        sure = sum(len(part) > 3 and part.isalpha() for part in text.split())
        return sure > self._longest

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.keys.values()), default=0)

    def with_words(self, wanted: tuple[str, ...]) -> str | None:
        """Return the one option whose words these are."""
        matches = [letter for letter, option in self.keys.items() if option and option == wanted]
        return matches[0] if len(matches) == 1 else None

    def opening(self, text: str) -> tuple[str, int] | None:
        """Return the option whose text a text begins with, and the number of its words.

        Of several options it is the one with the longest text.
        """
        if not self.may_begin(text):
            return None
        given = key(text)
        matches = [
            (len(option), letter)
            for letter, option in self.keys.items()
            if option and given[: len(option)] == option
        ]
        if not matches:
            return None
        length, letter = max(matches)
        same = [other for size, other in matches if size == length]
        return (letter, length) if len(same) == 1 else None

    def mentioned(self, text: str) -> list[str]:
        """Return the options whose text stands in a text, but not within that of another one."""
        given = f" {' '.join(key(text))} "
        letters = []
        for letter, option in sorted(self.keys.items(), key=lambda item: -len(item[1])):
            spelled = f" {' '.join(option)} "
            if option and spelled in given:
                letters.append(letter)
                given = given.replace(spelled, " | ")
        return sorted(letters)

    def joining(self, letters: frozenset[str]) -> str | None:
        """Return the option that stands for just these others, as `Both A and B` does."""
        matches = [
            letter
            for letter, text in self.texts.items()
            if set(_LONE_LETTER.findall(text)) & set(LETTERS) == letters
        ]
        return matches[0] if len(matches) == 1 else None


def read_options(question: str) -> AnswerOptions:
    """Read the options of a question: `A) …`, `(A) …`, `A. …` or `A: …`, by lines or in one."""
    text = plain(question)
    by_lines = _run(text, _by_lines(text))
    if by_lines and not _may_list(text, len(by_lines)):
        return AnswerOptions(by_lines)
    inline = _run(text, _inline(text))
    return AnswerOptions(inline if len(inline) > len(by_lines) else by_lines)


def _may_list(text: str, n: int) -> bool:
    """Return whether a text may list more than n options in one line: a fast way out."""
    if n == len(LETTERS):
        return False
    letter = LETTERS[n]
    return any(name + sign in text for name in (letter, letter.lower()) for sign in ").:]")


_Mark = tuple[str, int, int]
"""A letter that may begin an option, and where it begins and ends with its brackets."""


def _by_lines(text: str) -> list[_Mark]:
    """Return the marks that begin a line."""
    first = _FIRST_LINE.match(text)
    lines = _LINE.finditer(text, first.end() if first else 0)
    return [
        (match["letter"].upper(), match.start(), match.end())
        for match in (*((first,) if first else ()), *lines)
    ]


def _inline(text: str) -> list[_Mark]:
    """Return the marks before a blank, `(A)` or `A)`, that follow a blank or a sign."""
    marks = []
    for match in _INLINE_END.finditer(text):
        end = match.start()
        letter = text[end - 1 : end]
        if not (letter.isascii() and letter.isalpha()):
            continue
        sign = text[end]
        bracketed = end > 1 and sign in ")]" and text[end - 2] in "(["
        if bracketed and _opens(text, end - 2):
            marks.append((letter.upper(), end - 2, end + 1))
        elif sign != "]" and _opens(text, end - 1):
            marks.append((letter.upper(), end - 1, end + 1))
    return marks


def _opens(text: str, at: int) -> bool:
    return at == 0 or text[at - 1].isspace() or text[at - 1] in ",;:?.(["


def _run(text: str, marks: list[_Mark]) -> dict[str, str]:
    """Return the longest run A, B, C … among the marks, the last of equals, with its texts."""
    # Any A may begin the list; a letter out of turn stands in an option's own text. Read from the
    # end, each mark is followed by the next one of the letter after its own.
    nearest: dict[str, int] = {}
    following: list[int | None] = [None] * len(marks)
    length = [1] * len(marks)
    for at in range(len(marks) - 1, -1, -1):
        letter = marks[at][0]
        after = nearest.get(chr(ord(letter) + 1))
        if after is not None:
            following[at], length[at] = after, 1 + length[after]
        nearest[letter] = at
    starts = [at for at, (letter, _, _) in enumerate(marks) if letter == "A" and length[at] > 1]
    if not starts:
        return {}
    run: list[int] = []
    step: int | None = max(starts, key=lambda at: (length[at], at))
    while step is not None:
        run.append(step)
        step = following[step]
    ends = [marks[at][1] for at in run[1:]] + [len(text)]
    return {
        LETTERS[n]: _first_part(text[marks[at][2] : end])
        for n, (at, end) in enumerate(zip(run, ends, strict=True))
    }


def _first_part(text: str) -> str:
    """Return an option without what follows the list, such as `Answer:`."""
    part = _AFTER_LIST.split(text, maxsplit=1)[0] if "\n" in text else text
    return " ".join(part.split()).strip(" ,;*|")


def key(text: str) -> tuple[str, ...]:
    """Return the words of a text that are compared; articles only where nothing else is there.

    Signs that make another number of it, as in -5, 3/4 or 50%, count as words.
    """
    folded = fold(plain(text).replace("*", " "))
    spaced = _NUMBER_SIGNS.sub(lambda sign: f" sign{ord(sign[0]):x} ", folded)
    tokens = words(spaced)
    return tuple(word for word in tokens if word not in ARTICLES) or tuple(tokens)
