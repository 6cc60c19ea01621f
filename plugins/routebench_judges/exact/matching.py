"""Grade a folded answer by what its reference asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import islice, pairwise
from typing import TypeVar

from routebench.records import Grade
from routebench_judges.answers.dates import Date, Order, dates
from routebench_judges.answers.folding import ARTICLES, words
from routebench_judges.answers.grades import AnswerGrade
from routebench_judges.answers.numbers import Quantity, quantities
from routebench_judges.answers.references import (
    POLAR,
    ParsedQuestion,
    Phrase,
    Reference,
    beginnings,
)
from routebench_judges.answers.refusals import declines
from routebench_judges.answers.units import things
from routebench_judges.exact import phrases

Value = TypeVar("Value", Date, Quantity)

_MANY = 200  # values looked at in one answer
_BREAK = re.compile(
    r"[;:!?()\n]|[.,](?!\d)|\b(?:and|but|while|who|which|whereas|then|before|after)\b"
)
_PAIRS = frozenset({"and", "or", "vs", "versus", "a"})  # `a` is `and` in some languages
_SIGNS = re.compile("[/&]")
_LETTER = re.compile(r"(?<![^\W_])[b-hj-rt-z](?![^\W_])")
_IN_TIME = re.compile(r"\b(?:in|since|of|from|by|during|year|until|around|season)\s$")


class ParsedAnswer:
    """A folded answer, and what is read out of it when needed."""

    def __init__(
        self, folded: str, tokens: list[str], order: Order = "either", foreign: bool = False
    ) -> None:
        self.folded = folded
        self.foreign = foreign  # few of its words are the question's
        self.words = tokens
        self.order: Order = order

    @cached_property
    def plain(self) -> str:
        """Return the words without articles, with a space around each."""
        return f" {' '.join([word for word in self.words if word not in ARTICLES])} "

    @cached_property
    def whole(self) -> str:
        return f" {' '.join(self.words)} "

    @cached_property
    def quiet(self) -> bool:
        return phrases.quiet(self.words) and not _SIGNS.search(self.folded)

    @cached_property
    def dates(self) -> list[Date]:
        return dates(self.folded, self.order)

    @cached_property
    def quantities(self) -> list[Quantity]:
        return quantities(self.folded)

    def segments(self, question: str) -> list[tuple[int, int]]:
        return [(0, len(self.folded))] if self.quiet else phrases.segments(self.folded, question)


def grade_answer(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    """Return the grade of an answer; None where it gives nothing that could be compared."""
    candidates = []
    for wanted, check in (
        (reference.phrases, _phrase),
        (reference.quantities, _quantity),
        (reference.dates, _date),
        (reference.counts, _count),
    ):
        if wanted and (one := check(reference, answer)):
            if one.grade == Grade.CORRECT:
                return one
            candidates.append(one)
    return min(candidates, key=lambda one: one.missed, default=None)


def _right(which: int, of: int) -> AnswerGrade:
    note = "matched" if of == 1 or not which else f"matched alias {which}"
    return AnswerGrade(Grade.CORRECT, note)


_TWO = AnswerGrade(Grade.INCORRECT, "two answers")
_NEGATED = AnswerGrade(Grade.INCORRECT, "reference negated")
_DECLINED = AnswerGrade(Grade.NOT_ATTEMPTED, "declined, reference only mentioned")


def _phrase(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    hit = next((n for n, one in enumerate(reference.phrases) if _stands(one, answer)), None)
    if hit is None:
        return None
    phrase = reference.phrases[hit]
    if phrase.words[0] in POLAR and len(phrase.words) == 1:
        led = next((word for word in answer.words if word not in ("answer", "the", "is")), None)
        return _right(hit, len(reference.phrases)) if led == phrase.words[0] else None
    # An alias may itself be a refusal, `unknown`: then nothing around it takes it back.
    if not declines(" ".join(phrase.words), list(phrase.words)):
        if phrases.undecided(answer.folded, reference.pattern):
            return _DECLINED
        if not reference.several and phrases.enumerates(answer.folded, reference.pattern):
            return _TWO
        bare = answer.quiet and "\n" not in answer.folded
        taken = None if bare else _taken_back(reference, answer)
        if taken := taken or _echoed(reference, phrase, answer):
            return taken
    return _right(hit, len(reference.phrases))


def _stands(phrase: Phrase, answer: ParsedAnswer) -> bool:
    if phrase.items:
        return all(_stands(item, answer) for item in phrase.items)
    if phrase.plain in (answer.whole if phrase.articles else answer.plain):
        return True
    return (
        phrase.wide is not None
        and phrase.words[0] in answer.words
        and phrase.words[-1] in answer.words
        and phrase.wide.search(answer.folded) is not None
    )


def _taken_back(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    """Return the grade where words around the reference deny, decline or add to it."""
    folded = answer.folded
    spans = [match.span() for match in reference.pattern.finditer(folded)]
    if not spans:
        return None
    several = reference.several
    question = reference.question.whole
    how = [phrases.polarity(folded, *span, question) for span in spans[:_MANY]]
    if "asserted" not in how:
        return _DECLINED if "declined" in how else _NEGATED
    asserted = [span for span, one in zip(spans, how, strict=False) if one == "asserted"]
    pattern = reference.pattern
    if not several and any(
        phrases.alternative(folded, *span, pattern, question) for span in asserted
    ):
        return _TWO
    size = min(len(phrase.words) for phrase in reference.phrases)
    if not several and phrases.lists_others(folded, answer.words, size, reference.pattern):
        return _TWO
    parts = answer.segments(question)
    if any(not any(a <= start < b for start, _ in asserted) for a, b in parts):
        return _TWO if len(parts) > 1 else None
    return None


def _echoed(reference: Reference, phrase: Phrase, answer: ParsedAnswer) -> AnswerGrade | None:
    """Return the grade of a reference that is only repeated from the question, or else None."""
    if phrase.single and _other_letter(phrase, answer):
        return _TWO
    if not reference.named:
        return None
    if phrase.plain in reference.question.plain and phrase.plain in answer.plain:
        beside = _beside(phrase.plain, reference.question.plain)
        if all(
            (before and before == question_before) or (after and after == question_after)
            for before, after in _beside(phrase.plain, answer.plain)
            for question_before, question_after in beside[:1]
        ):
            return AnswerGrade(Grade.INCORRECT, "only repeats the question", True)
    return _rival_first(reference, phrase, answer)


def _beside(plain: str, text: str) -> list[tuple[str, str]]:
    """Return the words before and after each occurrence of a phrase."""
    parts = text.split(plain, _MANY)
    return [
        ((before.split() or [""])[-1], (after.split(maxsplit=1) or [""])[0])
        for before, after in pairwise(parts)
    ]


def _other_letter(phrase: Phrase, answer: ParsedAnswer) -> bool:
    """Return whether another single letter is asserted too: `A, B, C and D` chooses none."""
    return any(
        match[0] != phrase.words[0]
        and phrases.polarity(answer.folded, match.start(), match.end()) == "asserted"
        for match in islice(_LETTER.finditer(answer.folded), _MANY)
    )


def _rival_first(reference: Reference, phrase: Phrase, answer: ParsedAnswer) -> AnswerGrade | None:
    """Return a grade where the other name that the question offers comes first."""
    rival = reference.rival
    if rival is None or rival not in answer.words:
        return None
    if _all_beside(phrase, rival, answer.words):
        return AnswerGrade(Grade.INCORRECT, "only repeats the question", True)
    at, other = answer.plain.find(phrase.plain), answer.plain.find(f" {rival} ")
    start = answer.folded.find(rival)
    negated = phrases.polarity(answer.folded, start, start + len(rival)) != "asserted"
    return _TWO if 0 <= other < at and not negated else None


def _all_beside(phrase: Phrase, rival: str, tokens: Sequence[str]) -> bool:
    """Return whether a name stands only in `X and Y`, as the question offers them."""
    size, wanted = len(phrase.words), list(phrase.words)
    ends = [
        n + size
        for n, word in enumerate(tokens)
        if word == wanted[0] and tokens[n : n + size] == wanted
    ]
    return bool(ends) and all(
        tokens[end : end + 1] and tokens[end] in _PAIRS and tokens[end + 1 : end + 2] == [rival]
        for end in ends
    )


def _quantity(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    return _number(reference.quantities, answer.quantities[:_MANY], reference, answer)


def _count(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    """Compare numbers that are not written as a year, `1,500`, where a year is possible."""
    spans = [(date.start, date.end) for date in answer.dates[:_MANY]]
    numbers = [
        one
        for one in answer.quantities[:_MANY]
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


def _date(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    wanted = reference.dates
    early = any(one.year is not None and abs(one.year) < 1000 for one in wanted)
    candidates = [one for one in answer.dates if early or not one.bare or (one.year or 0) >= 1000]
    if not candidates:  # nineteen twelve
        spelled = [one for one in answer.quantities if one.spelled and one.like_a_year]
        candidates = [Date(one.start, one.end, int(one.value)) for one in spelled]
    if not candidates:
        return None
    full = [one for one in candidates[:_MANY] if any(one.covers(other) for other in wanted)]
    if not full:
        return AnswerGrade(Grade.INCORRECT, "date less exact than the reference", True)
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
            return _DECLINED if mentioned else AnswerGrade(Grade.INCORRECT, "value negated", True)
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
        return _TWO
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
