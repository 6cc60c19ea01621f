"""The `multiple-choice` judge: grades the option that an answer settles on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from routebench.hookspecs import hookimpl
from routebench.records import Grade, Grades
from routebench_judges.answers.finals import plain, shortened
from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.grades import AnswerGrade, to_grades
from routebench_judges.answers.references import aliases
from routebench_judges.answers.refusals import declines, phrase_pattern
from routebench_judges.answers.traces import FinalAnswers, final_answer, tidied
from routebench_judges.multiple_choice.choosing import Reader
from routebench_judges.multiple_choice.options import AnswerOptions, key, read_options

_VERSION = 2  # of the rules: grades of another version are other grades
_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\]]?[.:]?")
_LEAD = re.compile(r"[(\[]?([A-Za-z])[)\].:]+\s*(?=\S)")


class MultipleChoice:
    """CORRECT, INCORRECT or NOT_ATTEMPTED by the option that an answer settles on, in English.

    The reference is a letter or the text of an option that the question lists; a JSON list holds
    all that are right. Two different choices are INCORRECT, none is NOT_ATTEMPTED. A reference
    that is neither a letter nor one of the options is ungraded, and so is a number that may be an
    index, unless `index_from` says from where options are counted.
    """

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        index_from: Literal[0, 1] | None = Field(
            None, description="references are indices of options, counted from 0 or from 1"
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
        known: dict[tuple[str, str | None], tuple[Reader, frozenset[str] | AnswerGrade]] = {}
        answer_grades = []
        finals = self._finals.read(answers)
        for question, reference, final in zip(questions, references, finals, strict=True):
            if (pair := (question, reference)) not in known:
                asked = tidied(question)
                options = read_options(asked)
                right = _right(reference, options, self.options.index_from)
                known[pair] = Reader(options, asked), right
            reader, right = known[pair]
            if isinstance(right, AnswerGrade):
                answer_grades.append(right)
            elif final.reason:
                answer_grades.append(AnswerGrade(Grade.NOT_ATTEMPTED, final.reason))
            else:
                answer_grades.append(_grade(reader, right, final.text, refusals))
        return to_grades(answer_grades)

    def finals(self, questions: Sequence[str], answers: Sequence[str]) -> list[str | None]:
        """Return the letter of the one option that each answer settles on."""
        refusals = phrase_pattern(self.options.refusals)
        readers: dict[str, Reader] = {}
        letters = []
        for question, answer in zip(questions, answers, strict=True):
            if question not in readers:
                asked = tidied(question)
                readers[question] = Reader(read_options(asked), asked)
            letters.append(_letter(readers[question], final_answer(answer).text, refusals))
        return letters


def _letter(reader: Reader, text: str, refusals: re.Pattern[str] | None) -> str | None:
    """Return the letter that is graded; None where there is none, or more than one."""
    text = shortened(text)
    choice = reader.chosen(text) if text else None
    if choice is None or len(choice.letters) != 1:
        return None
    if not choice.firm:
        folded = fold(plain(text))
        if declines(folded, words(folded), refusals):
            return None
    return choice.letters[0]


def _right(
    reference: str | None, options: AnswerOptions, index_from: int | None
) -> frozenset[str] | AnswerGrade:
    """Return the letters that are right, or the grade of all answers where that is not known."""
    letters = set()
    for alias in aliases(reference) if reference and reference.strip() else ():
        text = plain(tidied(alias)).strip().strip("*_`\"'").strip()
        number = int(text) if text.isdecimal() and len(text) < 4 else None
        if number is not None and index_from is not None:
            option = options.at(number - index_from)
        elif number is not None and options.may_index(number):
            return _INDEX
        else:
            option = _option(text, options)
        if option:
            letters.add(option)
    return frozenset(letters) or _NO_OPTION


def _option(text: str, options: AnswerOptions) -> str | None:
    """Return the letter of the option that a reference names."""
    if letter := _LETTER.fullmatch(text):
        name = letter[1].upper()
        # An option's own text may be a letter, but then it is one that no option has.
        return name if not options or name in options.texts else options.named(text)
    if option := options.named(text):
        return option
    if lead := _LEAD.match(text):
        name = lead[1].upper()
        fits = not options or options.keys.get(name) == key(text[lead.end() :])
        return name if fits else None
    return None


_NO_OPTION = AnswerGrade(Grade.NONE, "the reference is neither a letter nor an option")
_INDEX = AnswerGrade(
    Grade.NONE,
    "the reference may be an index: --set multiple-choice.index_from=0 (or 1) says so",
)


def _grade(
    reader: Reader, right: frozenset[str], text: str, refusals: re.Pattern[str] | None
) -> AnswerGrade:
    text = shortened(text)
    choice = reader.chosen(text)
    chosen = choice.letters
    if not chosen:
        if choice.unread:
            return AnswerGrade(Grade.NONE, "a language whose words for a choice are not known")
        return AnswerGrade(Grade.NOT_ATTEMPTED, "no option chosen")
    if len(chosen) > 1 or not choice.firm:
        folded = fold(plain(text))
        if declines(folded, words(folded), refusals):
            return AnswerGrade(Grade.NOT_ATTEMPTED, "declined")
    if len(chosen) > 1:
        named = " and ".join(chosen[:5])
        if choice.torn:
            return AnswerGrade(Grade.NONE, f"{named} are equally likely to be meant")
        return AnswerGrade(Grade.INCORRECT, f"chose {named}")
    grade = Grade.CORRECT if chosen[0] in right else Grade.INCORRECT
    return AnswerGrade(grade, f"chose {chosen[0]}")
