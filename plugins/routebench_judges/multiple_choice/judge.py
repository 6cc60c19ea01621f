"""The `multiple-choice` judge: grades the option that an answer settles on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from routebench.hookspecs import hookimpl
from routebench.records import Grade, Grades
from routebench_judges.answers.finals import final_text, plain
from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.grades import AnswerGrade, to_grades
from routebench_judges.answers.references import aliases
from routebench_judges.answers.refusals import declines, phrase_pattern
from routebench_judges.multiple_choice.choosing import Reader
from routebench_judges.multiple_choice.options import AnswerOptions, key, read_options

_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\]]?[.:]?")
_LEAD = re.compile(r"[(\[]?([A-Za-z])[)\].:]+\s*(?=\S)")


class MultipleChoice:
    """CORRECT, INCORRECT or NOT_ATTEMPTED by the option that an answer settles on, in English.

    The reference is a letter or the text of an option that the question lists; a JSON list holds
    all that are right. Two different choices are INCORRECT, none is NOT_ATTEMPTED. A reference
    that is neither a letter nor one of the options is ungraded.
    """

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        refusals: list[str] = Field(
            [], description="further phrases by which an answer declines, for other languages"
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    @hookimpl
    def judge(
        self, questions: Sequence[str], references: Sequence[str | None], answers: Sequence[str]
    ) -> Grades:
        refusals = phrase_pattern(self.options.refusals)
        known: dict[tuple[str, str | None], tuple[Reader, frozenset[str]]] = {}
        answer_grades = []
        for question, reference, text in zip(questions, references, answers, strict=True):
            if (pair := (question, reference)) not in known:
                options = read_options(question)
                known[pair] = Reader(options, question), _right(reference, options)
            answer_grades.append(_grade(*known[pair], text, refusals))
        return to_grades(answer_grades)


def _right(reference: str | None, options: AnswerOptions) -> frozenset[str]:
    """Return the letters that are right; none where the reference names no option."""
    letters = set()
    for alias in aliases(reference) if reference and reference.strip() else ():
        text = plain(alias).strip().strip("*_`\"'").strip()
        if letter := _LETTER.fullmatch(text):
            name = letter[1].upper()
            # An option's own text may be a letter, but then it is one that no option has.
            option = name if not options or name in options.texts else options.named(text)
        elif option := options.named(text):
            pass
        elif lead := _LEAD.match(text):
            name = lead[1].upper()
            fits = not options or options.keys.get(name) == key(text[lead.end() :])
            option = name if fits else None
        if option:
            letters.add(option)
    return frozenset(letters)


def _grade(
    reader: Reader, right: frozenset[str], text: str, refusals: re.Pattern[str] | None
) -> AnswerGrade:
    if not right:
        return AnswerGrade(Grade.NONE, "the reference is neither a letter nor an option")
    text = final_text(text)
    chosen, firm = reader.chosen(text)
    if not chosen:
        return AnswerGrade(Grade.NOT_ATTEMPTED, "no option chosen")
    if len(chosen) > 1 or not firm:
        folded = fold(plain(text))
        if declines(folded, words(folded), refusals):
            return AnswerGrade(Grade.NOT_ATTEMPTED, "declined")
    if len(chosen) > 1:
        return AnswerGrade(Grade.INCORRECT, f"chose {' and '.join(chosen[:5])}")
    grade = Grade.CORRECT if chosen[0] in right else Grade.INCORRECT
    return AnswerGrade(grade, f"chose {chosen[0]}")
