"""The words of a short final answer, in a form in which equal answers are equal texts."""

from __future__ import annotations

import re

from routebench_judges.answers.dates import Date, dates
from routebench_judges.answers.folding import fold, listed_words, words
from routebench_judges.answers.marked import marked_finals
from routebench_judges.answers.refusals import declines

_LONGEST = 24  # words: more are an explanation, and no two of them are alike
_EMPTY = frozenset(
    listed_words(
        "a an the it its is was are were be been in on at of by to for and this that these those he"
        " she they his her their answer question as who which what when where"
    )
)


def final_phrase(question: str, text: str, refusals: re.Pattern[str] | None = None) -> str | None:
    """Return the final answer in a text without its reasoning; None where it declines.

    It is what the text marks as final, else the whole of a short text: one date in ISO form, or
    the words that neither stand in the question nor say nothing, in their order.
    """
    marked = marked_finals(text)
    if len(marked) > 1:
        return None
    folded, asked = fold(marked[0] if marked else text), words(fold(question))
    said = words(folded)
    if len(said) > _LONGEST or declines(folded, said, refusals, f" {' '.join(asked)} "):
        return None
    found = dates(folded)
    if len(found) == 1 and (iso := _iso(found[0])):
        return iso
    known = _EMPTY | set(asked)
    return " ".join([word for word in said if word not in known] or said) or None


def _iso(date: Date) -> str | None:
    """Return a whole date in ISO form; None for one of which a part is missing or in doubt."""
    if date.vague or date.other or None in (date.year, date.month, date.day):
        return None
    return f"{date.year:04}-{date.month:02}-{date.day:02}"
