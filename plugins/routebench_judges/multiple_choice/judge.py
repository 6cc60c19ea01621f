"""A judge for multiple choice: the option that an answer settles on, wherever it says so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from routebench.hookspecs import hookimpl
from routebench.records import Grade, Grades
from routebench_judges.answers.finals import plain, spoken
from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.refusals import declines
from routebench_judges.answers.targets import aliases
from routebench_judges.answers.verdicts import Verdict, grades
from routebench_judges.multiple_choice.choosing import Reader
from routebench_judges.multiple_choice.options import Listed, key, listed

_LONGEST = 60_000
"""Characters of an answer that are read: its first and its last ones."""
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
        phrases = "|".join(re.escape(fold(phrase)) for phrase in self.options.refusals)
        refusals = re.compile(phrases) if phrases else None
        known: dict[tuple[str, str | None], tuple[Reader, frozenset[str]]] = {}
        found = []
        for question, reference, text in zip(questions, references, answers, strict=True):
            if (pair := (question, reference)) not in known:
                options = listed(question)
                known[pair] = Reader(options, question), _right(reference, options)
            found.append(_verdict(*known[pair], text, refusals))
        return grades(found)


def _right(reference: str | None, options: Listed) -> frozenset[str]:
    """The letters that are right; none where the reference names no option."""
    found = set()
    for alias in aliases(reference) if reference and reference.strip() else ():
        text = plain(alias).strip().strip("*_`\"'").strip()
        if letter := _LETTER.fullmatch(text):
            name = letter[1].upper()
            # An option's own text may be a letter, but then it is one that no option has.
            own = name if not options or name in options.texts else options.named(text)
        elif own := options.named(text):
            pass
        elif lead := _LEAD.match(text):
            name = lead[1].upper()
            fits = not options or options.keys.get(name) == key(text[lead.end() :])
            own = name if fits else None
        if own:
            found.add(own)
    return frozenset(found)


def _verdict(
    reader: Reader, right: frozenset[str], text: str, refusals: re.Pattern[str] | None
) -> Verdict:
    if not right:
        return Verdict(Grade.NONE, "the reference is neither a letter nor an option")
    text = spoken(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n\n{text[-_LONGEST // 2 :]}"
    chosen, firm = reader.chosen(text)
    if not chosen:
        return Verdict(Grade.NOT_ATTEMPTED, "no option chosen")
    if len(chosen) > 1 or not firm:
        folded = fold(plain(text))
        if declines(folded, words(folded), refusals):
            return Verdict(Grade.NOT_ATTEMPTED, "declined")
    if len(chosen) > 1:
        return Verdict(Grade.INCORRECT, f"chose {' and '.join(chosen[:5])}")
    return Verdict(Grade.CORRECT if chosen[0] in right else Grade.INCORRECT, f"chose {chosen[0]}")
