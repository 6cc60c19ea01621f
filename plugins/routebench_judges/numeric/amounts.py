"""Read and compare the amounts of a calculation: exact, with fractions, percent and cents."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from routebench_judges.answers.finals import plain
from routebench_judges.answers.folding import fold, listed_words
from routebench_judges.answers.numbers import Quantity, quantities
from routebench_judges.answers.units import CURRENCY, UNIT, UNITS, compatible

_FRAC = re.compile(
    r"(?P<minus>-\s?)?\\[dtc]?frac\s*(?:\{\s*(?P<a>-?[\d.]+)\s*\}\s*\{\s*(?P<b>[\d.]+)\s*\}"
    r"|(?P<c>\d)\s*(?P<d>\d))"
)
_TAGGED = re.compile(r"<(?:final_)?answer>([^<>]{1,300})</(?:final_)?answer>", re.I)
_COUNTS = listed_words("one two three four five six seven eight nine ten eleven twelve")
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4}
_PARTS |= {
    word + end: n
    for n, word in enumerate(listed_words("third fourth fifth sixth seventh eighth ninth tenth"), 3)
    for end in ("", "s")
}
_PART = "|".join(sorted(_PARTS, key=len, reverse=True))
_SLASH = re.compile(
    rf"(?<![\w/.,:^])(?P<sign>-|minus\s)?(?P<cash>(?:{CURRENCY})\s?)?(?:(?P<whole>\d{{1,9}})\s)?"
    r"(?P<top>\d{1,40}(?:\.\d{1,40})?)\s?/\s?(?P<bottom>\d{1,40}(?:\.\d{1,40})?)"
    rf"(?![\w/^]|[.,]\d)(?:[\s-]?(?P<unit>{UNIT}))?"
)
_SPOKEN = re.compile(
    rf"(?<![\w/.,-])(?P<n>{'|'.join(_COUNTS)}|\d{{1,3}})[\s-](?P<part>{_PART})(?![^\W_])"
    rf"|(?<![\w/.,-])(?:an?\s)?(?P<bare>half|(?<=a\s)(?:{_PART}))(?=\s*(?:of\b|[.,;:!?)*\n]|$))"
)
_AND_PART = re.compile(
    rf"\s(?:and|&)\s(?P<n>an?|{'|'.join(_COUNTS)})?[\s-]?(?P<part>{_PART})(?![^\W_])"
)
_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+,\d{1,2}(?!\d)")  # 1 234,50
_CENTS = re.compile(r"\s?(?:cents?\b|¢|c\b(?=\s*(?:$|[.,;])))")
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MOST = 4_000  # numbers read in one text


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in a folded text, as it is written: 50% is 50, and `percent`."""

    value: Fraction
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    unit: str | None = field(default=None, compare=False)
    percent: bool = field(default=False, compare=False)
    cents: bool = field(default=False, compare=False)
    scale: int = field(default=0, compare=False)
    """The power of ten of its word: 6 in `3.5 million`, whose value is 3,500,000."""
    vague: bool = field(default=False, compare=False)
    """Whether it is an end of a range, or a bound such as `more than`."""
    spelled: bool = field(default=False, compare=False)
    """Whether it is written in words, or an ordinal."""
    of: Fraction | None = field(default=None, compare=False)
    """The 10 of `8 out of 10`."""


def folded(text: str) -> str:
    """Return a text in the form that amounts are read from."""
    if "\\" in text:
        text = _FRAC.sub(_slashed, text)
    text = fold(_TAGGED.sub(r"\\boxed{\1}", plain(text)))
    return _SPACED.sub(lambda match: match[0].replace(" ", "").replace(",", "."), text)


def amounts(text: str) -> list[Amount]:
    """Return every number of a folded text, in order."""
    parts = sorted(_fractions(text), key=lambda one: one.start)[:_MOST]
    # Of fractions in each other's place the first one counts.
    kept: list[Amount] = []
    for one in parts:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    starts = [one.start for one in kept]
    numbers = []
    taken: set[int] = set()
    for quantity in quantities(text)[:_MOST]:
        at = bisect_right(starts, quantity.start)
        whole = _whole(quantity, text)
        if at and quantity.start < kept[at - 1].end:
            continue
        if at < len(kept) and whole.end > kept[at].start:
            if whole.end == quantity.end:
                continue
            taken.add(at)  # the half of `two and a half`
        numbers.append(whole)
    numbers += [one for at, one in enumerate(kept) if at not in taken]
    return _shares(sorted(numbers, key=lambda one: one.start), text)


def _shares(numbers: list[Amount], text: str) -> list[Amount]:
    """Join the two numbers of a share, `8 out of 10`, into one."""
    made: list[Amount] = []
    for one in numbers:
        last = made[-1] if made else None
        if last and text[last.end : one.start] == " out of " and one.value and not last.of:
            made[-1] = replace(last, end=one.end, of=one.value)
        else:
            made.append(one)
    return made


def _slashed(match: re.Match[str]) -> str:
    top, bottom = match["a"] or match["c"], match["b"] or match["d"]
    sign = "-" if bool(match["minus"]) != top.startswith("-") else ""
    return f" {sign}{top.lstrip('-')}/{bottom} "


def _fractions(text: str) -> Iterator[Amount]:
    for match in _SLASH.finditer(text) if "/" in text else ():
        if Fraction(match["bottom"]):
            ratio, start = Fraction(match["top"]) / Fraction(match["bottom"]), match.start()
            value = int(match["whole"] or 0) + ratio
            if match["whole"] and ratio >= 1:  # two numbers, as in `41 42/2`
                value, start = ratio, match.start("top")
            unit = match["cash"] or match["unit"]
            name = UNITS.get(unit.strip()) if unit else None
            signed = -value if match["sign"] else value
            yield Amount(signed, start, match.end(), None if name == "%" else name, name == "%")
    for match in _SPOKEN.finditer(text):
        n, part = _count(match["n"] or "a"), match["part"] or match["bare"]
        # `one third` is a part, `two third` and `5 quarter` are none.
        if n == 1 or part.endswith("s"):
            digits = (match["n"] or "").isdigit()
            yield Amount(Fraction(n, _PARTS[part]), *match.span(), spelled=not digits)


def _count(word: str) -> int:
    return int(word) if word.isdigit() else 1 if word in ("a", "an") else _COUNTS.index(word) + 1


def _whole(one: Quantity, text: str) -> Amount:
    value, end = Fraction(one.value), one.end
    spelled = text[one.start : one.end]
    scale = next((n for name, n in _SCALES.items() if name in spelled), 0)
    if more := _AND_PART.match(text, end):  # two and a half
        part = Fraction(_count(more["n"] or "a"), _PARTS[more["part"]])
        value, end = value + (part if value >= 0 else -part) * 10**scale, more.end()
    return Amount(
        value,
        one.start,
        end,
        None if one.unit in ("%", "pp") else one.unit,
        one.unit == "%",
        bool(_CENTS.match(text, end)),
        scale,
        one.vague,
        one.spelled or one.ordinal or one.weak,
    )


@dataclass(frozen=True, slots=True)
class ComparisonRules:
    """The rules by which amounts are compared for one question."""

    percent: bool
    """Whether the question asks for a percentage."""
    dollars: bool
    scale: int
    """The power of ten of the unit that the question asks in, 6 for millions; else 0."""
    unit: str | None
    bounds: bool
    """Whether the question asks for a bound, so that `at least 5` is an answer."""
    tolerance: Fraction

    def agree(self, given: Amount, right: Amount) -> bool:
        """Return whether an amount is the right one in any of the ways that both may be read."""
        if not compatible(given.unit, right.unit or self.unit):
            return False
        return any(
            abs(one - other) <= self.tolerance * abs(other)
            for one, other in self._readings(given, right)
        )

    def _readings(self, given: Amount, right: Amount) -> Iterator[tuple[Fraction, Fraction]]:
        one, other = given.value, right.value
        if given.percent != right.percent:
            # 50% is 0.5, and where a percentage is meant it is 50 too.
            yield one / (100 if given.percent else 1), other / (100 if right.percent else 1)
            if not (self.percent or abs(other) > 1):
                return
        if given.cents != right.cents:
            dollars = self.dollars or "usd" in (given.unit, right.unit)
            if dollars:
                yield one / (100 if given.cents else 1), other / (100 if right.cents else 1)
                return
        yield one, other
        if given.of and not right.of:
            yield one / given.of, other
        if self.scale and given.scale == self.scale and not right.scale:
            yield one / 10**self.scale, other
