"""A judge for sums: the final number of an answer against that of the reference, exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from pydantic import BaseModel, ConfigDict, Field

from routebench.hookspecs import hookimpl
from routebench.records import Grade, Grades
from routebench_judges.answers.finals import spoken
from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.refusals import declines
from routebench_judges.answers.targets import aliases
from routebench_judges.answers.units import asked
from routebench_judges.answers.verdicts import Verdict, grades
from routebench_judges.numeric.amounts import Amount, Comparison, folded
from routebench_judges.numeric.text import Said, Text

_LONGEST = 60_000
"""Characters of an answer that are read: its first and its last ones."""


class Numeric:
    """CORRECT, INCORRECT or NOT_ATTEMPTED by the final number of an answer, in English.

    That is what follows `####`, `the answer is` and the like or stands in a box; only without any
    of these it is the last number. Compared exactly: 1,234.50 = 1234.5, 1/2 = 0.5 = 50%, $3.5
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

    @hookimpl
    def judge(
        self, questions: Sequence[str], references: Sequence[str | None], answers: Sequence[str]
    ) -> Grades:
        phrases = "|".join(re.escape(fold(phrase)) for phrase in self.options.refusals)
        refusals = re.compile(phrases) if phrases else None
        known: dict[tuple[str, str | None], tuple[Comparison, list[Amount]]] = {}
        found = []
        for question, reference, text in zip(questions, references, answers, strict=True):
            if (pair := (question, reference)) not in known:
                comparison = _comparison(question, self.options.tolerance)
                known[pair] = comparison, _right(reference)
            found.append(_verdict(*known[pair], text, refusals))
        return grades(found)


_NO_REFERENCE = Verdict(Grade.NONE, "the reference is no single number")
_NOTHING = Verdict(Grade.NOT_ATTEMPTED, "no number")
_PERCENT = re.compile(r"\bper\s?cent|\bpercent|%")
_DOLLARS = re.compile(r"\bdollars?\b|\$")
_IN = re.compile(r"\b(?:in|how many|number of) (thousand|million|billion|trillion)s?\b")
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_BOUNDS = re.compile(r"\b(?:least|most|minimum|maximum|minimal|maximal|fewest)\b")


def _comparison(question: str, tolerance: float) -> Comparison:
    text = folded(question)
    scale = _IN.search(text)
    return Comparison(
        percent=bool(_PERCENT.search(text)),
        dollars=bool(_DOLLARS.search(text)) and "cents" not in text,
        scale=_SCALES[scale[1]] if scale else 0,
        unit=asked(text),
        bounds=bool(_BOUNDS.search(text)),
        tolerance=Fraction(str(tolerance)),
    )


def _right(reference: str | None) -> list[Amount]:
    """The amounts that are right; none where the reference is not one number."""
    found = []
    for alias in aliases(reference) if reference and reference.strip() else ():
        text = Text(alias)
        said = text.marked()
        given = [each.amounts for each in said] or [tuple(text.amounts)]
        if len(given) == 1 and len(given[0]) == 1 and not given[0][0].vague:
            found.append(given[0][0])
    return found


def _verdict(
    comparison: Comparison, right: list[Amount], text: str, refusals: re.Pattern[str] | None
) -> Verdict:
    if not right:
        return _NO_REFERENCE
    text = spoken(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n\n{text[-_LONGEST // 2 :]}"
    answer = Text(text)
    said = answer.marked()
    if not said:
        if declines(answer.folded, words(answer.folded), refusals):
            return Verdict(Grade.NOT_ATTEMPTED, "declined")
        if not (last := answer.last()):
            return _NOTHING
        said = [last]
    if len(said) > 1 and not _alike(said):
        return Verdict(Grade.INCORRECT, f"{len(said)} final numbers")
    return _compared(comparison, right, said[0], answer)


def _compared(comparison: Comparison, right: list[Amount], said: Said, answer: Text) -> Verdict:
    def agrees(amount: Amount) -> bool:
        if amount.vague and not (comparison.bounds and answer.bound(amount)):
            return False
        return any(comparison.agree(amount, each) for each in right)

    if said.several:
        if all(agrees(amount) for amount in said.amounts):
            return Verdict(Grade.CORRECT, "")
        return Verdict(Grade.INCORRECT, f"{len(said.amounts)} final numbers")
    if not said.amounts:
        return Verdict(Grade.NONE, "an expression that is not worked out")
    if len(said.amounts) > 1:
        if any(agrees(amount) for amount in said.amounts):
            return Verdict(Grade.NONE, "several numbers, and not said which is the answer")
        return Verdict(Grade.INCORRECT, "another number")
    amount = said.amounts[0]
    if agrees(amount):
        return Verdict(Grade.CORRECT, "")
    return Verdict(Grade.INCORRECT, "a range or a bound" if amount.vague else "another number")


def _alike(said: Sequence[Said]) -> bool:
    """Whether statements differ in the form only, as 0.5 and 50% do."""
    if any(len(each.amounts) != 1 or each.several for each in said):
        return False
    values = {each.amounts[0].value / (100 if each.amounts[0].percent else 1) for each in said}
    return len(values) == 1
