"""Find quantities in folded text: digits or words, scaled, with their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Context, Decimal

from routebench_judges.answers.folding import listed_words
from routebench_judges.answers.units import CURRENCY, UNIT, UNITS, compatible

_DIGITS = 60  # longer ones are codes, not numbers, and would take long to compare
_EXACT = Context(prec=500)

_SMALL = listed_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
)
_TENS = listed_words("twenty thirty forty fifty sixty seventy eighty ninety")
_WORDS = {word: n for n, word in enumerate(_SMALL)}
_WORDS |= {word: 10 * n for n, word in enumerate(_TENS, 2)}
_WORDS |= {"nil": 0, "none": 0, "fourty": 40}
_ORDINALS = {word + "th": n for word, n in _WORDS.items() if word not in ("nil", "none")}
_ORDINALS |= {word[:-1] + "ieth": _WORDS[word] for word in _TENS}
_ORDINALS |= {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9}
_ORDINALS |= {"twelfth": 12}
_SCALES = {"dozen": 1, "hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SHORT = {"k": 3, "bn": 9, "mn": 6, "tn": 12, "mln": 6, "m": 6, "b": 9}

NUMBER_WORDS = frozenset(_WORDS) | frozenset(_ORDINALS) | frozenset(_SCALES)
NUMBER_WORDS |= {f"{scale}th" for scale in _SCALES}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text, from `start` to `end`."""

    start: int
    end: int
    value: Decimal
    last: int
    """Power of ten of the last digit written."""
    unit: str | None = None
    ordinal: bool = False
    weak: bool = False
    """Whether it is more likely a word of the sentence than a number: `one of`, `the first to`."""
    spelled: bool = False
    """Whether it is written in words."""
    vague: bool = False
    """Whether it is an end of a range or a bound, `more than`: not an answer by itself."""
    things: tuple[tuple[str, str], ...] = ()
    """Of a reference: the things it counts, by kind, as in `2 silver medals`."""

    def agrees(self, reference: Quantity) -> bool:
        """Return whether this number, rounded to the last digit of the reference, is equal to it.

        Both must be in the same unit, as far as both name one.
        """
        if self.vague or not self.fits(reference):
            return False
        if self.value == reference.value:
            return True
        twice = _EXACT.multiply(2, abs(_EXACT.subtract(self.value, reference.value)))
        step = Decimal(1).scaleb(reference.last)
        # Half of the last decimal may round either way; half a child is not one child.
        return twice <= step if reference.last < 0 else twice < step

    @property
    def like_a_year(self) -> bool:
        return 1000 <= self.value <= 2100 and self.value == int(self.value)

    def fits(self, reference: Quantity) -> bool:
        """Return whether both are in the same unit, as far as both name one."""
        return compatible(self.unit, reference.unit)


_WORD = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
_SCALE = "|".join(_SCALES)
_FIGURE = r"\d{1,3}(?:[ ']\d{3})+(?![\d.,]?\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*|\.\d+"
_SPAN = re.compile(
    # Not in the middle of a word, a code, a version or a fraction.
    rf"(?<![^\W_])(?<![^\W_][-./:,])(?P<sign>-|(?:minus|negative)\s)?(?P<cash>(?:{CURRENCY})\s?)?"
    rf"(?<![^\W_])(?:(?P<figure>{_FIGURE})"
    r"(?:\^\{?(?P<caret>-?\d{1,3})\}?|e(?P<exp>[-+]?\d{1,4})(?![^\W_])"
    r"|\s?(?:x|×|\*|·|\\times)\s?10\s?\^\s?\{?(?P<power>[-+]?\d{1,4})\}?)?"
    r"(?:(?P<th>st|nd|rd|th)|(?P<short>k|bn|mn|mln|tn|(?(cash)(?:m|b)|(?!)))(?![^\W_]))?"
    rf"(?![^\W_]*\d)(?P<scales>(?:[\s-](?:{_SCALE})(?![^\W_]))*)"
    rf"|(?P<words>(?:{_WORD})(?:(?:\sand\s|[\s-])(?:{_WORD}))*)(?![^\W_]))"
    rf"(?P<plus>\+)?(?:[\s-]?(?P<unit>{UNIT}))?"
)
_GROUPS = re.compile(
    r"(?:(?!0,)\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d{1,3}(?:[ ']\d{3})+)(?:\.\d+)?"
)
_EUROPEAN = re.compile(
    r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d{1,3}(?:[. ]\d{3})+,\d+|\d{1,3},(?:\d{1,2}|\d{4,})|0,\d+"
)
_PLAIN = re.compile(r"\d*\.?\d+")
_BOUND = re.compile(
    r"(?:more than|(?<!all )over|less than|fewer than|under|at least|at most|up to|above|below"
    r"|nearly|almost|exceeding|exceeded|beyond|[<>≥≤])\s*(?:the\s|a\s)?$"
)
_BOUND_AFTER = re.compile(r"\s(?:or|and) (?:more|less|fewer|above|over|so many)\b")
_TO = re.compile(r"(?:\s?--?\s?|\s(?:to|through|till|until)\s)$")
_BETWEEN = re.compile(r"\b(?:between|from)\s(?:about\s|around\s)?$")
_LOOSE_BEFORE = re.compile(r"\b(?:the|this|that|no|each|every|any|another|which)\s$")


_PARTS = {"ft": ("in", 12), "h": ("min", 60), "min": ("s", 60), "year": ("month", 12)}
_PARTS |= {"lb": ("oz", 16)}
_WITH = re.compile(r",?\s?(?:and\s|&\s)?")
_DASHED = re.compile(r"-\d")
_DASH_BEFORE = re.compile(r"\d-$")
_WORD_AFTER = re.compile(r"\s*[^\W_]")
_ONE_WORD = re.compile(_WORD)


def quantities(text: str) -> list[Quantity]:
    """Return every number of a folded text, in order; ends of ranges and bounds are `vague`."""
    numbers = [each for match in _SPAN.finditer(text) for each in _read(match, text)]
    numbers = _compounded(numbers, text)
    for n in range(1, len(numbers)):
        before, after = numbers[n - 1], numbers[n]
        gap = text[before.end : after.start]
        opened = gap == " and " and _BETWEEN.search(text[max(0, before.start - 20) : before.start])
        if len(gap) < 10 and (opened or _TO.fullmatch(gap)):
            numbers[n - 1 : n + 1] = [replace(before, vague=True), replace(after, vague=True)]
    return numbers


def _compounded(numbers: list[Quantity], text: str) -> list[Quantity]:
    """Join the parts of one quantity, such as `6 ft 4 in`."""
    made: list[Quantity] = []
    for one in numbers:
        last = made[-1] if made else None
        part = _PARTS.get(last.unit or "") if last else None
        if last and part and one.unit == part[0] and _WITH.fullmatch(text, last.end, one.start):
            value = last.value * part[1] + one.value
            one = replace(one, start=last.start, value=value, vague=last.vague or one.vague)
            made.pop()
        made.append(one)
    return made


def _read(match: re.Match[str], text: str) -> Iterator[Quantity]:
    start, end = match.start(), match.end()
    if match["words"]:
        yield from _from_words(match, text)
        return
    read = _figure(match["figure"])
    follows = text[end : end + 2]
    if read is None:
        yield from _listed(match)
        return
    if follows[:1] in "/:" and follows[1:].isdigit():
        return  # a fraction, a time or a score
    value, last = read
    if match["caret"]:
        if value != 10:
            return
        value, power = Decimal(1), int(match["caret"])
    else:
        power = int(match["exp"] or match["power"] or 0)
    for scale in match["scales"].replace("-", " ").split():
        value, last = (value * 12, last) if scale == "dozen" else (value, last)
        power += _SCALES[scale] if scale != "dozen" else 0
    power += _SHORT.get(match["short"] or "", 0)
    if abs(power) > 300:
        return
    value = value.scaleb(power, _EXACT)
    # `5 thousand` is exact, `3 million` and `120k` are as precise as they are written.
    exact = match["scales"].strip(" -") in ("thousand", "hundred", "dozen")
    unit, end = _unit(match, text)
    yield Quantity(
        start,
        end,
        -value if match["sign"] else value,
        min(last, 0) if exact else last + power,
        unit,
        ordinal=bool(match["th"]),
        vague=_vague(match, text, end),
    )


def _unit(match: re.Match[str], text: str) -> tuple[str | None, int]:
    if match["cash"]:
        return UNITS[match["cash"].strip()], match.end()
    name = match["unit"]
    # `5 in 1990`: a preposition, unless nothing follows.
    if name == "in" and _WORD_AFTER.match(text, match.end()):
        return None, match.start("unit")
    return (UNITS[name] if name else None), match.end()


def _vague(match: re.Match[str], text: str, end: int) -> bool:
    before = text[max(0, match.start() - 20) : match.start()]
    tail = text[end : end + 12]
    return bool(
        match["plus"]
        or _BOUND.search(before)
        or _BOUND_AFTER.match(tail)
        or _DASHED.match(tail)
        or _DASH_BEFORE.search(before)
    )


def _listed(match: re.Match[str]) -> Iterator[Quantity]:
    """Yield the numbers of a list without spaces, `1912,1913`; nothing for a code."""
    parts = match["figure"].split(",")
    values = [_figure(part) for part in parts] if len(parts) < 20 else [None]
    at = match.start("figure")
    if all(values):
        for part, read in zip(parts, values, strict=True):
            if read:
                yield Quantity(at, at + len(part), *read)
            at += len(part) + 1


def _from_words(match: re.Match[str], text: str) -> Iterator[Quantity]:
    whole = _spelled(match["words"])
    if whole is None:  # a list such as `five and six`
        for word in _ONE_WORD.finditer(match["words"]):
            if read := _spelled(word[0]):
                at = match.start("words")
                yield Quantity(at + word.start(), at + word.end(), Decimal(read[0]), 0)
        return
    value, last, ordinal = whole
    before = text[max(0, match.start() - 10) : match.start()]
    unit, end = _unit(match, text)
    yield Quantity(
        match.start(),
        end,
        Decimal(-value if match["sign"] else value),
        last,
        unit,
        ordinal=ordinal,
        spelled=True,
        weak=value == 1
        and not ordinal
        and (text[end : end + 4] == " of " or bool(_LOOSE_BEFORE.search(before))),
        vague=_vague(match, text, end),
    )


def _figure(text: str) -> tuple[Decimal, int] | None:
    """Return the value of digits with separators and the power of ten of the last digit.

    None for what is no number. A point is never dropped, so `1.234` is below two.
    """
    if len(text) > _DIGITS:
        return None
    if _PLAIN.fullmatch(text):
        plain = text
    elif _GROUPS.fullmatch(text):
        plain = text.replace(",", "").replace(" ", "").replace("'", "")
    elif _EUROPEAN.fullmatch(text):
        plain = text.replace(".", "").replace(" ", "").replace(",", ".")
    else:
        return None
    return Decimal(plain), -len(plain.partition(".")[2])


def _spelled(text: str) -> tuple[int, int, bool] | None:
    """Return value, power of ten of the last digit, and whether it is an ordinal.

    None for a list of numbers.
    """
    total = part = last = 0
    room, joined, ordinal = 1000, False, False  # the next small word must be below `room`
    for word in text.replace("-", " ").split():
        if ordinal:
            return None
        if word == "and":
            if not (total or part >= 100):
                return None
            joined = True
            continue
        ordinal = word in _ORDINALS or (word.endswith("th") and word[:-2] in _SCALES)
        scale = _SCALES.get(word.removesuffix("th") if ordinal else word)
        if scale is None:
            value = _ORDINALS[word] if ordinal else _WORDS[word]
            if value < room:
                part += value
            elif not total and 10 <= part < 100 and value >= 10 and not joined:
                part = part * 100 + value  # a year: nineteen eighty-four
            else:
                return None
            room, last = (10 if value >= 20 else 0), 0
        elif scale <= 2:
            part, room, last = (part or 1) * (12 if scale == 1 else 100), 100, 0
        else:
            total, part, room = total + (part or 1) * 10**scale, 0, 1000
            last = scale if scale > 3 else 0
    return total + part, last, ordinal
