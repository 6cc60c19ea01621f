"""Grade a folded answer by what its reference asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, pairwise

from routebench.records import Grade
from routebench_judges.answers.grades import AnswerGrade
from routebench_judges.answers.references import POLAR, Phrase, Reference
from routebench_judges.answers.refusals import declines
from routebench_judges.answers.titles import other_title
from routebench_judges.exact import phrases
from routebench_judges.exact.parsed import DECLINED, MANY, TWO, ParsedAnswer
from routebench_judges.exact.values import grade_count, grade_date, grade_quantity

_PAIRS = frozenset({"and", "or", "vs", "versus", "a"})  # `a` is `and` in some languages
_LETTER = re.compile(r"(?<![^\W_])[b-hj-rt-z](?![^\W_])")
_NO_PREPOSITION = re.compile(r"(?<![^\W_])[b-df-hjl-np-rtx](?![^\W_])")


def grade_answer(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    """Return the grade of an answer; None where it gives nothing that could be compared."""
    candidates = []
    for wanted, check in (
        (reference.phrases, _phrase),
        (reference.quantities, grade_quantity),
        (reference.dates, grade_date),
        (reference.counts, grade_count),
    ):
        if wanted and (one := check(reference, answer)):
            if one.grade == Grade.CORRECT:
                return one
            candidates.append(one)
    return min(candidates, key=lambda one: one.missed, default=None)


def _right(which: int, of: int) -> AnswerGrade:
    note = "matched" if of == 1 or not which else f"matched alias {which}"
    return AnswerGrade(Grade.CORRECT, note)


OPPOSITE = AnswerGrade(Grade.INCORRECT, "the opposite")
_NEGATED = AnswerGrade(Grade.INCORRECT, "reference negated")


def _phrase(reference: Reference, answer: ParsedAnswer) -> AnswerGrade | None:
    polar = [phrase.words[0] for phrase in reference.phrases if len(phrase.words) == 1]
    if polar and POLAR.issuperset(polar):
        led = next((word for word in answer.words if word not in ("answer", "the", "is")), None)
        if led in polar:
            return _right(polar.index(led), len(polar))
        return OPPOSITE if led in POLAR else None
    hit = next((n for n, one in enumerate(reference.phrases) if _stands(one, answer)), None)
    if hit is None:
        return None
    phrase = reference.phrases[hit]
    # An alias may itself be a refusal, `unknown`: then nothing around it takes it back.
    if not declines(" ".join(phrase.words), list(phrase.words)):
        if phrases.undecided(answer.folded, reference.pattern):
            return DECLINED
        if not reference.several and phrases.enumerates(answer.folded, reference.pattern):
            return TWO
        bare = answer.quiet and "\n" not in answer.folded
        taken = None if bare else _taken_back(reference, answer)
        if taken := taken or _echoed(reference, phrase, answer):
            return taken
    return _right(hit, len(reference.phrases))


def _stands(phrase: Phrase, answer: ParsedAnswer) -> bool:
    if phrase.items:
        return all(_stands(item, answer) for item in phrase.items)
    if phrase.title and other_title(phrase.title, phrase.words[0], answer.words):
        return False
    if phrase.alone and not phrase.ending.search(answer.folded):
        return False
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
    how = [phrases.polarity(folded, *span, question) for span in spans[:MANY]]
    if "asserted" not in how:
        return DECLINED if "declined" in how else _NEGATED
    asserted = [span for span, one in zip(spans, how, strict=False) if one == "asserted"]
    pattern = reference.pattern
    if not several and any(
        phrases.alternative(folded, *span, pattern, question) for span in asserted
    ):
        return TWO
    size = min(len(phrase.words) for phrase in reference.phrases)
    if not several and phrases.lists_others(folded, answer.words, size, reference.pattern):
        return TWO
    parts = answer.segments(question)
    if any(not any(a <= start < b for start, _ in asserted) for a, b in parts):
        return TWO if len(parts) > 1 else None
    return None


def _echoed(reference: Reference, phrase: Phrase, answer: ParsedAnswer) -> AnswerGrade | None:
    """Return the grade of a reference that is only repeated from the question, or else None."""
    if phrase.single and _other_letter(phrase, answer):
        return TWO
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
    parts = text.split(plain, MANY)
    return [
        ((before.split() or [""])[-1], (after.split(maxsplit=1) or [""])[0])
        for before, after in pairwise(parts)
    ]


def _other_letter(phrase: Phrase, answer: ParsedAnswer) -> bool:
    """Return whether another single letter is asserted too: `A, B, C and D` chooses none."""
    letters = _NO_PREPOSITION if answer.foreign else _LETTER
    return any(
        match[0] != phrase.words[0]
        and phrases.polarity(answer.folded, match.start(), match.end()) == "asserted"
        for match in islice(letters.finditer(answer.folded), MANY)
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
    return TWO if 0 <= other < at and not negated else None


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
