"""An answer as the rules read it, and the grades that they share."""

from __future__ import annotations

import re
from functools import cached_property

from routebench.records import Grade
from routebench_judges.answers.dates import Date, Order, dates
from routebench_judges.answers.folding import ARTICLES
from routebench_judges.answers.grades import AnswerGrade
from routebench_judges.answers.numbers import Quantity, quantities
from routebench_judges.exact import phrases

MANY = 200  # values looked at in one answer
TWO = AnswerGrade(Grade.INCORRECT, "two answers")
DECLINED = AnswerGrade(Grade.NOT_ATTEMPTED, "declined, reference only mentioned")
_SIGNS = re.compile("[/&]")


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
