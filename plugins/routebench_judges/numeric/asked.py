"""The unit that a question asks for, to tell a result from other numbers beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from routebench_judges.answers.folding import listed_words
from routebench_judges.answers.units import requested_unit
from routebench_judges.numeric.amounts import Amount, amounts

_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
_MONEY = re.compile(
    r"\bhow much (?:\w+ ){0,4}(?:money|cost|pay|paid|earn|spend|save|make|owe|charge|profit"
    r"|change|does (?:it|this|that)"
    r" cost|dollars)\b|\b(?:price|cost|revenue|profit|salary|income|bill|dollars|wages?|earnings"
    r"|budget)\b|\$"
)
_PERCENT = re.compile(
    r"\b(?:what|which|how (?:many|much))\b[^.?!]{0,40}\bper\s?cent|\bpercentage\b|%"
)
_THING = re.compile(
    r"\bhow many (?:more |fewer |less |total |full |whole |additional |extra |of (?:the|his|her"
    r"|their) )*"
    r"(?P<thing>[a-z]+(?: [a-z]+)?)"
)
_AFTER = re.compile(r"(?:[\s*_-]+[a-z]+){1,3}")
_LINKS = frozenset(
    listed_words(
        "in of at on after for per from to by with and or is are was were a an the does do"
    )
)


@dataclass(frozen=True)
class Asked:
    """The quantity that a question wants."""

    money: bool = False
    thing: str | None = None
    """The beginning of the word for what is counted, such as `appl`."""
    unit: str | None = None
    percent: bool = False
    given: frozenset[Fraction] = frozenset()
    """The numbers of the question itself."""

    def result(self, numbers: Sequence[Amount], text: str) -> Amount:
        """Return the one of a sentence's numbers that answers the question, or else the last."""
        after_equals = [one for one in numbers if text.rfind("=", 0, one.start) > numbers[0].start]
        if after_equals:
            at = text.rfind("=", 0, numbers[-1].start)
            return next((one for one in numbers if one.start > at), numbers[-1])
        kinds = (
            [one for one in numbers if self.unit and one.unit == self.unit],
            [one for one in numbers if self.percent and one.percent],
            [one for one in numbers if self.thing and self._counts(one, text)],
            [one for one in numbers if self.money and one.unit in ("usd", "eur", "gbp")],
            [one for one in numbers if one.value not in self.given]
            if numbers[-1].value in self.given
            else [],
        )
        for fitting in kinds:
            if len({one.value for one in fitting}) == 1:
                return fitting[-1]
        return numbers[-1]

    def _counts(self, one: Amount, text: str) -> bool:
        near = _AFTER.match(text, one.end)
        for word in re.findall(r"[a-z]+", near[0]) if near else ():
            if word in _LINKS:
                return False
            if self.thing and word.startswith(self.thing):
                return True
        return False


def read_asked(question: str) -> Asked:
    """Return what a folded question asks for, by its last sentence that asks."""
    sentences = [one for one in _SENTENCE.split(question) if one.strip()]
    asks = ([one for one in sentences if one.rstrip().endswith("?")] or sentences[-1:] or [""])[-1]
    things = [match["thing"].split() for match in _THING.finditer(asks)]
    words = [word for word in (things[0] if len(things) == 1 else []) if word not in _LINKS]
    thing = words[0][: max(3, len(words[0]) - 2)] if words else None
    return Asked(
        money=bool(_MONEY.search(asks)),
        thing=thing,
        unit=requested_unit(question),
        percent=bool(_PERCENT.search(asks)),
        given=frozenset(one.value for one in amounts(question)),
    )
