"""The `numeric` judge: the final number of an answer against that of the reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from routebench.hookspecs import hookimpl
from routebench.records import Grade, Grades
from routebench_judges.answers.finals import shortened
from routebench_judges.answers.folding import words
from routebench_judges.answers.grades import AnswerGrade, to_grades
from routebench_judges.answers.references import aliases
from routebench_judges.answers.refusals import declines, phrase_pattern
from routebench_judges.answers.traces import FinalAnswers, final_answer, tidied
from routebench_judges.answers.units import requested_unit
from routebench_judges.numeric.amounts import Amount, ComparisonRules, folded
from routebench_judges.numeric.asked import Asked, read_asked
from routebench_judges.numeric.text import Statement, Text


class Numeric:
    """CORRECT, INCORRECT or NOT_ATTEMPTED by the final number of an answer, in English.

    That is what follows `####`, `the answer is` and the like or stands in a box; without any of
    these it is the number in the last sentence that the question asks for, or else its last.
    Reasoning traces are not read. Compared exactly: 1,234.50 = 1234.5, 1/2 = 0.5 = 50%, $3.5
    million = 3,500,000; other units of the same kind are not converted. Two final numbers are
    INCORRECT, none is NOT_ATTEMPTED. Where a statement has several numbers, the right one among
    them, and where the reference is no single number, the answer is ungraded.
    """

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        tolerance: float = Field(
            0.0, ge=0, lt=1, description="accepted difference as a share of the reference"
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
        refusals = phrase_pattern(self.options.refusals)
        known: dict[tuple[str, str | None], tuple[ComparisonRules, Asked, list[Amount]]] = {}
        answer_grades = []
        finals = self._finals.read(answers)
        for question, reference, final in zip(questions, references, finals, strict=True):
            if (pair := (question, reference)) not in known:
                asks = folded(tidied(question))
                rules = _rules(asks, self.options.tolerance)
                known[pair] = rules, read_asked(asks), _right(reference)
            rules, asked, right = known[pair]
            if right and final.reason:
                answer_grades.append(AnswerGrade(Grade.NOT_ATTEMPTED, final.reason))
            else:
                answer_grades.append(_grade(rules, asked, right, final.text, refusals))
        return to_grades(answer_grades)

    def finals(self, questions: Sequence[str], answers: Sequence[str]) -> list[str | None]:
        """Return the final number of each answer as an exact fraction: 50% and 0.5 are 1/2."""
        refusals = phrase_pattern(self.options.refusals)
        asked: dict[str, Asked] = {}
        numbers = []
        for question, answer in zip(questions, answers, strict=True):
            if question not in asked:
                asked[question] = read_asked(folded(tidied(question)))
            numbers.append(_number(asked[question], final_answer(answer).text, refusals))
        return numbers


_VERSION = 2  # of the rules: grades of another version are other grades
_NO_REFERENCE = AnswerGrade(Grade.NONE, "the reference is no single number")
_NOTHING = AnswerGrade(Grade.NOT_ATTEMPTED, "no number")
_PERCENT = re.compile(r"\bper\s?cent|\bpercent|%")
_DOLLARS = re.compile(r"\bdollars?\b|\$")
_IN = re.compile(r"\b(?:in|how many|number of) (thousand|million|billion|trillion)s?\b")
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_BOUNDS = re.compile(r"\b(?:least|most|minimum|maximum|minimal|maximal|fewest)\b")


def _rules(text: str, tolerance: float) -> ComparisonRules:
    """Return how amounts are compared for a folded question."""
    scale = _IN.search(text)
    return ComparisonRules(
        percent=bool(_PERCENT.search(text)),
        dollars=bool(_DOLLARS.search(text)) and "cents" not in text,
        scale=_SCALES[scale[1]] if scale else 0,
        unit=requested_unit(text),
        bounds=bool(_BOUNDS.search(text)),
        tolerance=Fraction(str(tolerance)),
    )


def _right(reference: str | None) -> list[Amount]:
    """Return the amounts that are right; none where the reference is not one number."""
    right = []
    for alias in aliases(reference) if reference and reference.strip() else ():
        text = Text(tidied(alias))
        statements = text.marked()
        given = [each.amounts for each in statements] or [tuple(text.amounts)]
        if len(given) == 1 and len(given[0]) == 1 and not given[0][0].vague:
            right.append(given[0][0])
    return right


def _number(asked: Asked, text: str, refusals: re.Pattern[str] | None) -> str | None:
    """Return the number that is graded; None where there is none, or more than one."""
    statements, _ = _statements(asked, Text(shortened(text)), refusals)
    if not statements or not _alike(statements):
        return None
    amount = statements[0].amounts[0]
    return None if amount.vague else str(_value(amount))


def _statements(
    asked: Asked, answer: Text, refusals: re.Pattern[str] | None
) -> tuple[list[Statement], bool]:
    """Return what an answer states as final, and whether it declines instead."""
    if statements := answer.marked():
        return statements, False
    last = answer.last(asked)
    if declines(answer.folded, words(answer.folded), refusals) and not (
        last and answer.concluded(last, refusals)
    ):
        return [], True
    return [last] if last else [], False


def _grade(
    rules: ComparisonRules,
    asked: Asked,
    right: list[Amount],
    text: str,
    refusals: re.Pattern[str] | None,
) -> AnswerGrade:
    if not right:
        return _NO_REFERENCE
    answer = Text(shortened(text))
    statements, declined = _statements(asked, answer, refusals)
    if declined:
        return AnswerGrade(Grade.NOT_ATTEMPTED, "declined")
    if not statements:
        return _NOTHING
    if len(statements) > 1 and not _alike(statements):
        return AnswerGrade(Grade.INCORRECT, f"{len(statements)} final numbers")
    return _compared(rules, right, statements[0], answer)


def _compared(
    rules: ComparisonRules, right: list[Amount], statement: Statement, answer: Text
) -> AnswerGrade:
    def agrees(amount: Amount) -> bool:
        if amount.vague and not (rules.bounds and answer.bound(amount)):
            return False
        return any(rules.agree(amount, each) for each in right)

    if statement.several:
        if all(agrees(amount) for amount in statement.amounts):
            return AnswerGrade(Grade.CORRECT, "")
        return AnswerGrade(Grade.INCORRECT, f"{len(statement.amounts)} final numbers")
    if not statement.amounts:
        return AnswerGrade(Grade.NONE, "an expression that is not worked out")
    if len(statement.amounts) > 1:
        if any(agrees(amount) for amount in statement.amounts):
            return AnswerGrade(Grade.NONE, "several numbers, and not said which is the answer")
        return AnswerGrade(Grade.INCORRECT, "another number")
    amount = statement.amounts[0]
    if agrees(amount):
        return AnswerGrade(Grade.CORRECT, "")
    return AnswerGrade(Grade.INCORRECT, "a range or a bound" if amount.vague else "another number")


def _alike(statements: Sequence[Statement]) -> bool:
    """Return whether statements differ in form only, as 0.5 and 50% do."""
    if any(len(each.amounts) != 1 or each.several for each in statements):
        return False
    return len({_value(each.amounts[0]) for each in statements}) == 1


def _value(amount: Amount) -> Fraction:
    return amount.value / (100 if amount.percent else 1)
