"""Grade the numbers and dates of an answer by those of its reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from routebench.records import Grade
from routebench_judges.answers.dates import Date
from routebench_judges.answers.folding import words
from routebench_judges.answers.grades import AnswerGrade
from routebench_judges.answers.numbers import Quantity
from routebench_judges.answers.references import ParsedQuestion, Reference, beginnings
from routebench_judges.answers.units import things
from routebench_judges.exact import phrases
from routebench_judges.exact.parsed import DECLINED, MANY, TWO, ParsedAnswer

Value = TypeVar("Value", Date, Quantity)

LESS_EXACT = "date less exact than the reference"
_BREAK = re.compile(
    r"[;:!?()\n]|[.,](?!\d)|\b(?:and|but|while|who|which|whereas|then|before|after)\b"
)
# `z 647 členů hlasovalo 444`: out of so many.
_OUT_OF = re.compile(r"\b(?:out of|z|ze|sposrod|von|из)\s(?:celkem\s|celkovych\s)?$")
_IN_TIME = re.compile(r"\b(?:in|since|of|from|by|during|year|until|around|season)\s$")


def grade_quantity(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    """Compare numbers with their units; None where the answer has none."""
    return _number(reference.quantities, answer.quantities[:MANY], reference, answer)


def grade_count(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    """Compare numbers that are not written as a year, `1,500`, where a year is possible too."""
    spans = [(date.start, date.end) for date in answer.dates[:MANY]]
    numbers = [
        one
        for one in answer.quantities[:MANY]
        if one.unit or not any(a <= one.start < b for a, b in spans)
    ]
    return _number(reference.counts, numbers, reference, answer) if numbers else None


def _number(
    wanted: Sequence[Quantity],
    numbers: Sequence[Quantity],
    reference: Reference,
    answer: ParsedAnswer,
) -> AnswerGrade | None:
    ordinal = any(one.ordinal for one in wanted)
    numbers = _measured(numbers, wanted)
    if not numbers:
        other = bool(answer.quantities)
        return AnswerGrade(Grade.INCORRECT, "another unit", True) if other else None
    likely = [one for one in numbers if one.ordinal == ordinal and not one.weak]
    numbers = likely or [one for one in numbers if not one.weak] or numbers
    if len(numbers) > 1 and not any(one.like_a_year for one in wanted):
        numbers = [one for one in numbers if not _is_time(one, answer)] or numbers
    if answer.foreign and len(numbers) > 1:
        numbers = [
            one
            for one in numbers
            if not _OUT_OF.search(answer.folded, max(0, one.start - 20), one.start)
        ] or numbers
    return _weigh(
        numbers,
        reference,
        answer,
        right=lambda one: any(
            one.agrees(other) and not _other_thing(one, other, reference, answer)
            for other in wanted
        ),
        echo=lambda one: any(one.value == other.value for other in reference.question.quantities),
        differ=lambda one, other: one.value != other.value,
    )


def _other_thing(
    one: Quantity, wanted: Quantity, reference: Reference, answer: ParsedAnswer
) -> bool:
    """Return whether it counts something else: `2 wickets` are not `2 medals`."""
    if not wanted.things:
        return False
    named = things(answer.folded, one.end)
    topic = [thing for word in reference.question.words for thing in things(f" {word}", 0)]
    for kind in {kind for kind, _ in wanted.things}:
        mine = [line for each, line in named if each == kind]
        theirs = [line for each, line in wanted.things if each == kind]
        if mine and mine[-1] not in theirs:
            return (kind, mine[-1]) not in topic
    return False


def _measured(numbers: Sequence[Quantity], wanted: Sequence[Quantity]) -> list[Quantity]:
    """Return the quantities in a wanted unit, or else those without a unit."""
    units = {one.unit for one in wanted}
    if None in units:
        return list(numbers)
    fitting = [one for one in numbers if one.unit and any(one.fits(other) for other in wanted)]
    return fitting or [one for one in numbers if one.unit is None]


def _is_time(one: Quantity, answer: ParsedAnswer) -> bool:
    if any(
        date.start < one.end and one.start < date.end and (date.month or date.decade)
        for date in answer.dates
    ):
        return True
    if one.unit is not None or not one.like_a_year:
        return False
    return one.vague or bool(_IN_TIME.search(answer.folded, max(0, one.start - 12), one.start))


def grade_date(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    """Compare dates, those of an answer that are as exact; None where it has none."""
    wanted = reference.dates
    early = any(one.year is not None and abs(one.year) < 1000 for one in wanted)
    candidates = [one for one in answer.dates if early or not one.bare or (one.year or 0) >= 1000]
    if not candidates:  # nineteen twelve
        spelled = [one for one in answer.quantities if one.spelled and one.like_a_year]
        candidates = [Date(one.start, one.end, int(one.value)) for one in spelled]
    if not candidates:
        return None
    full = [one for one in candidates[:MANY] if any(one.covers(other) for other in wanted)]
    if not full:
        return AnswerGrade(Grade.INCORRECT, LESS_EXACT, True)
    return _weigh(
        full,
        reference,
        answer,
        right=lambda one: any(one.agrees(other) for other in wanted),
        echo=lambda one: any(one.same(other) for other in reference.question.dates),
        differ=lambda one, other: one.conflicts(other),
    )


def _weigh(
    values: Sequence[Value],
    reference: Reference,
    answer: ParsedAnswer,
    *,
    right: Callable[[Value], bool],
    echo: Callable[[Value], bool],
    differ: Callable[[Value, Value], bool],
) -> AnswerGrade:
    """Return the grade of the one value, among several, that is the answer.

    Values negated, declined or repeated from the question go first. Of the rest the one counts
    whose clause shares most words with the question; the first of equals. A value tied to it by
    `or`, `and`, a comma or a correction is a second answer.
    """
    if answer.quiet:
        asserted = list(values)
    else:
        whole = reference.question.whole
        how = [phrases.polarity(answer.folded, one.start, one.end, whole) for one in values]
        asserted = [one for one, meant in zip(values, how, strict=True) if meant == "asserted"]
        if not asserted:
            mentioned = "declined" in how
            return DECLINED if mentioned else AnswerGrade(Grade.INCORRECT, "value negated", True)
    if len(asserted) > 1:
        asserted = [one for one in asserted if not echo(one)] or asserted
    chosen = asserted[0]
    if not answer.foreign and any(differ(chosen, one) for one in asserted):
        chosen = max(asserted, key=lambda one: _shared(one, reference.question, answer))
    if not right(chosen):
        note = "only a range or a bound" if chosen.vague else "another value"
        return AnswerGrade(Grade.INCORRECT, note, True)
    at = asserted.index(chosen)
    if _second(asserted, at, answer.folded, right, differ) or _corrected(
        asserted, answer, right, reference.question.whole
    ):
        return TWO
    return AnswerGrade(Grade.CORRECT, "matched")


def _shared(one: Value, question: ParsedQuestion, answer: ParsedAnswer) -> int:
    """Return how many content words the clause around a value shares with the question."""
    before = _BREAK.split(answer.folded[max(0, one.start - 120) : one.start])[-1]
    after = _BREAK.split(answer.folded[one.end : one.end + 120], maxsplit=1)[0]
    return len(question.keys & beginnings(words(f"{before} {after}")))


def _second(
    values: Sequence[Value],
    at: int,
    folded: str,
    right: Callable[[Value], bool],
    differ: Callable[[Value, Value], bool],
) -> bool:
    chosen = values[at]
    for near in values[max(0, at - 1) : at] + values[at + 1 : at + 2]:  # type: ignore[operator]
        first, last = (near, chosen) if near.start < chosen.start else (chosen, near)
        if (
            not right(near)
            and differ(near, chosen)
            and phrases.tied(gap := folded[first.end : last.start])
            and not (isinstance(last, Quantity) and phrases.NUMBERED.fullmatch(gap))
        ):
            return True
    return False


def _corrected(
    values: Sequence[Value], answer: ParsedAnswer, right: Callable[[Value], bool], question: str
) -> bool:
    """Return whether the answer corrects its value, as in `1912. No, wait: 1913`."""
    parts = answer.segments(question)
    if len(parts) < 2:
        return False
    within = [[one for one in values if a <= one.start < b] for a, b in parts]
    return any(part and not any(right(one) for one in part) for part in within)
