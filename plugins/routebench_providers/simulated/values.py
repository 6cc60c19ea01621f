"""Wrong answers that could be right: values of the same kind, and numbers and dates nearby."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from routebench.data.texts import normalise
from routebench_providers.simulated.datewords import MONTHS, NUMBERS, split_date
from routebench_providers.simulated.draws import uniforms
from routebench_suites.questions import Question

_WANTED = 6
_LATEST = 2024
_LONGEST = 60
_NUMERALS = {word: str(number) for number, word in enumerate(NUMBERS)}
_NUMERALS |= {"first": "1", "once": "1", "second": "2", "twice": "2", "third": "3", "fourth": "4"}
_NUMERALS |= {"fifth": "5", "sixth": "6", "seventh": "7", "eighth": "8", "ninth": "9"}
_ORDINAL = re.compile(r"^(\d+)(?:st|nd|rd|th)$")
_WORDLIKE = {"be", "it", "n", "no", "na", "i", "a", "in", "is", "an", "the", "none", "unknown"}
"""Symbols and codes that, said alone, read as a word rather than as an answer."""
_SCORE = re.compile(r"(\d{1,2})([–-])(\d{1,2})")
_FIGURE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_STEPS = (1, 2, 3, 4, 5, 7, 10, 12, 20)


class Values:
    """Wrong answers to each question of a set; drawn by `world`."""

    def __init__(self, questions: Sequence[Question], world: int) -> None:
        self._world = world
        self._pools: dict[tuple[str | None, ...], list[str]] = {}
        also: dict[str, set[str]] = defaultdict(set)
        pools: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
        for question in questions:
            also[question.reference].update(question.aliases)
            for key in _circles(question):
                pools[key].add(question.reference)
        # Sorted: which value is drawn must not depend on the order of the file.
        self._pools = {key: sorted(values) for key, values in pools.items()}
        self._also = {reference: frozenset(aliases) for reference, aliases in also.items()}
        self.wrong = cache(self._wrong)

    def _wrong(self, question: Question) -> tuple[str, ...]:
        """Return wrong answers, the likeliest first; none is, holds or is in a right one."""
        accepted = [_words(text) for text in (question.reference, *question.aliases)]
        days = {split_date(text) for text in (question.reference, *question.aliases)} - {None}
        query = f" {_words(question.query)} "
        values: dict[str, str] = {}
        for value in self._candidates(question):
            words = _words(value)
            if not words or words in values or words in _WORDLIKE or f" {words} " in query:
                continue
            if split_date(value) in days or len(value) > _LONGEST:
                continue
            names = [words, *(_words(alias) for alias in self._also.get(value, ()))]
            if not any(_alike(name, right) for name in names for right in accepted):
                values[words] = value
            if len(values) == _WANTED:
                break
        return tuple(values.values())

    def _candidates(self, question: Question) -> Iterator[str]:
        drawn = uniforms(self._world, "wrong", question.query)
        yield from nearby(question.reference, question.answer_type, drawn)
        if question.answer_type == "Date" and not question.reference.isdigit():
            return  # a date of another form may be the same day, told more or less exactly
        for circle, key in enumerate(_circles(question)):
            pool = self._pools[key]
            for place in uniforms(self._world, circle, question.query):
                value = pool[int(place * len(pool))]
                if value.isdigit() == question.reference.isdigit():
                    yield value


def _circles(question: Question) -> Iterator[tuple[str | None, ...]]:
    """Yield sets of values to draw from, the closest first."""
    if question.kind:
        yield ("kind", question.kind)
    else:
        first_words = normalise(question.query).split()[:2]
        yield ("topic and words", question.topic, question.answer_type, *first_words)
        yield ("words", question.answer_type, *first_words)
    yield ("topic", question.topic, question.answer_type)
    yield ("type", question.answer_type)
    yield ("any",)


@cache
def _words(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    tokens = re.findall(r"[^\W_]+", normalise(plain))
    return " ".join(_NUMERALS.get(word) or _ORDINAL.sub(r"\1", word) for word in tokens)


def _alike(one: str, other: str) -> bool:
    """Return whether one contains the other, or both could name one person."""
    if f" {one} " in f" {other} " or f" {other} " in f" {one} ":
        return True
    first, second = one.split(), other.split()
    if len(first) < 2 or len(second) < 2 or any(c.isdigit() for c in one + other):
        return False
    # With and without a middle name; with another initial.
    return (first[0], first[-1]) == (second[0], second[-1])


def nearby(reference: str, answer_type: str | None, drawn: Sequence[float]) -> Iterator[str]:
    """Yield numbers and dates of the reference's own form that are a little off."""
    if date := split_date(reference):
        yield from _dates(date, drawn)
    elif reference in MONTHS:
        yield from (MONTHS[int(place * 12)] for place in drawn[:5])
    elif score := _SCORE.fullmatch(reference):
        yield from _scores(score, drawn)
    elif answer_type in ("Number", "Date") and (figure := _FIGURE.search(reference)):
        start, end = figure.span()
        for value in _figures(figure[0], answer_type == "Date", drawn):
            yield reference[:start] + value + reference[end:]


def _signed(drawn: Iterable[float]) -> Iterator[int]:
    """Yield steps up and down, mostly small."""
    for place in drawn:
        step = _STEPS[int(abs(2 * place - 1) ** 1.5 * len(_STEPS))]
        yield step if place > 0.5 else -step


def _figures(figure: str, year: bool, drawn: Sequence[float]) -> Iterator[str]:
    if "." in figure:
        decimals = len(figure.partition(".")[2])
        for step in _signed(drawn[:4]):
            value = float(figure.replace(",", "")) + step / 10 ** max(decimals - 1, 0)
            if value > 0:
                yield f"{value:,.{decimals}f}" if "," in figure else f"{value:.{decimals}f}"
        return
    number = int(figure.replace(",", ""))
    # A large round number is mistaken by as much as it is rounded.
    unit = 1 if year or not number else 10 ** (len(str(number)) - len(str(number).rstrip("0")))
    small = 1 if number > 20 else 0.35
    for step in _signed(drawn[:4]):
        value = number + unit * (step if small == 1 else max(-2, min(2, step)))
        if value > 0 and not (year and number <= _LATEST < value):
            yield f"{value:,}" if "," in figure else str(value)


def _scores(score: re.Match[str], drawn: Sequence[float]) -> Iterator[str]:
    for place in drawn[:5]:
        goals = int(place * 25)
        won, lost = max(goals // 5, 1), goals % 5
        if (won, lost) != (int(score[1]), int(score[3])) and won > lost:
            yield f"{won}{score[2]}{lost}"


def _dates(date: tuple[int | None, int, int | None], drawn: Sequence[float]) -> Iterator[str]:
    day, month, year = date
    for place, step in zip(drawn[:8], _signed(drawn[8:]), strict=True):
        if year is not None and (day is None or place < 0.4):
            yield _written(day, month, min(year + step, _LATEST))
        elif day is not None and place < 0.75:
            yield _written((day + step - 1) % 28 + 1, month, year)
        else:
            yield _written(day, (month + step - 1) % 12 + 1, year)


def _written(day: int | None, month: int, year: int | None) -> str:
    name = MONTHS[month - 1]
    start = name if day is None else f"{name} {day}"
    if year is None:
        return start
    return f"{start} {year}" if day is None else f"{start}, {year}"
