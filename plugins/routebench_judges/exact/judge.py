"""The `exact` judge: short factual answers against references, without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from routebench.hookspecs import hookimpl
from routebench.records import Grade, Grades
from routebench_judges.answers.dates import Order
from routebench_judges.answers.final_phrase import final_phrase
from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.grades import AnswerGrade, to_grades
from routebench_judges.answers.marked import marked_finals
from routebench_judges.answers.references import Reference, parse_reference
from routebench_judges.answers.refusals import EMPTY, declines, only_a_symbol, phrase_pattern
from routebench_judges.answers.traces import FinalAnswers, final_answer, tidied
from routebench_judges.exact.declining import refusal
from routebench_judges.exact.languages import ENGLISH, language
from routebench_judges.exact.matching import OPPOSITE, grade_answer
from routebench_judges.exact.parsed import ParsedAnswer
from routebench_judges.exact.rewriting import in_english, only_the_name, other_script
from routebench_judges.exact.values import LESS_EXACT

_UNGRADED = AnswerGrade(Grade.NONE, "no reference")
_NOTHING = AnswerGrade(Grade.NOT_ATTEMPTED, "declined")
_MENTIONED = AnswerGrade(Grade.NOT_ATTEMPTED, "declined, reference only mentioned")
_OTHER_SCRIPT = AnswerGrade(Grade.NONE, "the answer is in another script than the reference")
_VERSION = 4  # of the rules: grades of another version are other grades


class Exact:
    """CORRECT, INCORRECT or NOT_ATTEMPTED, from the texts alone.

    The reference must stand in the answer as whole words, as the same number to its last digit,
    as the same date in any format, or as the same address; a symbol such as `In` in its own case.
    Aliases are a JSON list in the reference. Reasoning traces are not read; a marked final answer,
    such as a box, outranks the rest. Two different answers are INCORRECT, a refusal without an
    answer is NOT_ATTEMPTED, no reference is ungraded. In answers in eleven other languages names
    count in their cases and spellings, and numbers, `or`, `not` and some everyday words as in
    English.
    """

    class Options(BaseModel):
        day_or_month_first: Order = Field(
            "either", description="how 4/7/1776 is read: as either, day first or month first"
        )
        middle_names: bool = Field(
            True, description="accept further names within a person's, as in Marie Skłodowska Curie"
        )
        refusals: list[str] = Field(
            [], description="further phrases by which an answer declines, for other languages"
        )

    def __init__(self, options: Options) -> None:
        self.options = options
        self._finals = FinalAnswers()
        self.texts = self._finals.counts

    def parameters(self) -> dict[str, Any]:
        """Return all that a grade depends on besides the texts."""
        return self.options.model_dump(mode="json") | {"version": _VERSION}

    @hookimpl
    def judge(
        self, questions: Sequence[str], references: Sequence[str | None], answers: Sequence[str]
    ) -> Grades:
        answer_grades = [_UNGRADED] * len(answers)
        parsed: dict[tuple[str, str], Reference] = {}
        refusals = phrase_pattern(self.options.refusals)
        order = self.options.day_or_month_first
        finals = self._finals.read(answers)
        for row, (question, reference, final) in enumerate(
            zip(questions, references, finals, strict=True)
        ):
            if reference is None or not reference.strip():
                continue
            key = (question, reference)
            if key not in parsed:
                parsed[key] = parse_reference(
                    tidied(reference), tidied(question), order, self.options.middle_names
                )
            if final.reason:
                answer_grades[row] = AnswerGrade(Grade.NOT_ATTEMPTED, final.reason)
            else:
                answer_grades[row] = _grade(
                    parsed[key], final.text, refusals, order, language(final.text)
                )
        return to_grades(answer_grades)

    def finals(self, questions: Sequence[str], answers: Sequence[str]) -> list[str | None]:
        """Return the words of each short final answer, without those of its question."""
        refusals = phrase_pattern(self.options.refusals)
        read = map(final_answer, answers)
        return [
            final_phrase(tidied(question), final.text, refusals) if final.text else None
            for question, final in zip(questions, read, strict=True)
        ]


def _grade(
    reference: Reference,
    text: str,
    refusals: re.Pattern[str] | None,
    order: Order,
    spoken: str | None,
) -> AnswerGrade:
    marked = marked_finals(text)
    if not marked:
        return _grade_text(reference, text, refusals, order, spoken)
    if reference.several:  # its parts may be marked one by one
        return _grade_text(reference, ", ".join(marked), refusals, order, spoken)
    grades = [_grade_text(reference, one, refusals, order, spoken) for one in marked]
    wrong = [one for one in grades if one.grade != Grade.CORRECT]
    if wrong and len(wrong) < len(grades):
        return AnswerGrade(Grade.INCORRECT, "two answers")
    return wrong[0] if wrong else grades[0]


def _grade_text(
    reference: Reference,
    text: str,
    refusals: re.Pattern[str] | None,
    order: Order,
    spoken: str | None,
) -> AnswerGrade:
    written = reference.marks(text) if reference.marks else text
    folded = _joined(fold(written), reference)
    answer = ParsedAnswer(folded, words(folded), order)
    if spoken not in (None, ENGLISH):
        return _grade_foreign(reference, written, answer, refusals, spoken)
    result = grade_answer(reference, answer)
    if result is not None and (result.grade != Grade.INCORRECT or not result.missed):
        return result
    if _declined(reference, text, answer, refusals):
        return _NOTHING
    if spoken is None and only_the_name(written, reference):
        return AnswerGrade(Grade.CORRECT, "matched")
    return result or _missing(reference, text)


def _joined(folded: str, reference: Reference) -> str:
    """Return a folded answer with two numbers joined as the reference joins them."""
    return reference.compound.rewrite(folded) if reference.compound else folded


def _missing(reference: Reference, text: str, spoken: str | None = None) -> AnswerGrade:
    if other_script(text, reference, spoken):
        return _OTHER_SCRIPT
    return AnswerGrade(Grade.INCORRECT, "reference not found")


def _declined(
    reference: Reference, text: str, answer: ParsedAnswer, refusals: re.Pattern[str] | None
) -> bool:
    symbol = EMPTY.issuperset(answer.words) and only_a_symbol(text, reference.asks_symbol)
    return declines(answer.folded, answer.words, refusals, reference.question.whole) and not symbol


def _grade_foreign(
    reference: Reference,
    text: str,
    answer: ParsedAnswer,
    refusals: re.Pattern[str] | None,
    spoken: str,
) -> AnswerGrade:
    """Return the grade of an answer in another language than English."""
    result = _found(reference, text, answer, spoken)
    digits = 0 if reference.phrases else 3 if reference.dates else 1
    refused = refusal(text, reference.question.words, digits, spoken)
    if result is not None and result.grade == Grade.INCORRECT and not result.missed:
        mentioned = refused and refused.declined and result is not OPPOSITE
        return _MENTIONED if mentioned else result
    less = result is not None and result.note == LESS_EXACT
    if less and refused and _begins_right(reference, answer):
        return _NOTHING
    declined = refused.declined if refused else _declined(reference, text, answer, refusals)
    if result is not None and result.grade != Grade.INCORRECT:
        if refused is None or not declined:
            return result
        folded = fold(refused.said)
        said = _found(
            reference, refused.said, ParsedAnswer(folded, words(folded), answer.order), spoken
        )
        return said if said is not None and said.grade == Grade.CORRECT else _MENTIONED
    if declined or (refusals is not None and refusals.search(answer.folded)):
        return _NOTHING
    return result or _missing(reference, text, spoken)


def _begins_right(reference: Reference, answer: ParsedAnswer) -> bool:
    """Return whether the first year of an answer that leaves the day open is the reference's."""
    years = [date.year for date in answer.dates if date.year is not None]
    return bool(years) and any(years[0] == wanted.year for wanted in reference.dates)


def _found(
    reference: Reference, text: str, answer: ParsedAnswer, spoken: str
) -> AnswerGrade | None:
    english = _joined(in_english(text, spoken, reference), reference)
    read = ParsedAnswer(english, words(english), answer.order, foreign=True)
    found = grade_answer(reference, read)
    # A name may hold a word that was read as `and`: `Like a Prayer`.
    exact = any(phrase.plain in answer.plain for phrase in reference.phrases)
    return grade_answer(reference, answer) if found is None and exact else found
