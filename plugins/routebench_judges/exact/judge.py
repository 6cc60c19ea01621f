"""A judge that needs no model: short factual answers against references, by fixed rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import hookimpl
from routebench.records import Grade, Grades, State
from routebench_judges.answers.dates import Order
from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.refusals import EMPTY, declines, only_a_symbol
from routebench_judges.answers.targets import Target, target
from routebench_judges.answers.verdicts import Verdict
from routebench_judges.exact.matching import Answer, verdict

_UNGRADED = Verdict(Grade.NONE, "no reference")
_NOTHING = Verdict(Grade.NOT_ATTEMPTED, "declined")


class Exact:
    """CORRECT, INCORRECT or NOT_ATTEMPTED in English, from the texts alone.

    The reference must stand in the answer as whole words, as the same number to its last digit,
    as the same date in any format, or as the same address; a symbol such as `In` in its own case.
    Aliases are a JSON list in the reference. Two different answers are INCORRECT, a refusal
    without an answer is NOT_ATTEMPTED, no reference is ungraded.
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

    @hookimpl
    def judge(
        self, questions: Sequence[str], references: Sequence[str | None], answers: Sequence[str]
    ) -> Grades:
        n = len(answers)
        found = [_UNGRADED] * n
        targets: dict[tuple[str, str], Target] = {}
        phrases = "|".join(re.escape(fold(phrase)) for phrase in self.options.refusals)
        refusals = re.compile(phrases) if phrases else None
        for row, (question, reference, text) in enumerate(
            zip(questions, references, answers, strict=True)
        ):
            if reference is None or not reference.strip():
                continue
            key = (question, reference)
            if key not in targets:
                targets[key] = self._target(question, reference)
            found[row] = _grade(targets[key], text, refusals, self.options.day_or_month_first)
        grade = np.array([int(one.grade) for one in found], dtype=np.int8)
        graded = grade != Grade.NONE
        note = np.empty(n, dtype=object)
        note[:] = [one.note for one in found]
        return Grades(
            np.where(graded, (grade == Grade.CORRECT).astype(np.float64), np.nan),
            np.where(graded, State.OK, State.UNGRADED).astype(np.int8),
            grade,
            note,
        )

    def _target(self, question: str, reference: str) -> Target:
        options = self.options
        return target(reference, question, options.day_or_month_first, options.middle_names)


def _grade(sought: Target, text: str, refusals: re.Pattern[str] | None, order: Order) -> Verdict:
    folded = fold(sought.marks(text) if sought.marks else text)
    answer = Answer(folded, words(folded), order)
    found = verdict(sought, answer)
    if found is not None and (found.grade != Grade.INCORRECT or not found.missed):
        return found
    if declines(folded, answer.words, refusals, sought.question.whole) and not (
        EMPTY.issuperset(answer.words) and only_a_symbol(text, sought.asks_symbol)
    ):
        return _NOTHING
    return found or Verdict(Grade.INCORRECT, "reference not found")
