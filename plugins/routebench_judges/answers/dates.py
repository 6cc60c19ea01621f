"""Find dates in folded text, in the formats in which people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from routebench_judges.answers.folding import listed_words

Order = Literal["either", "day", "month"]

MONTHS = listed_words(
    "january february march april may june july august september october november december"
)
_MONTH_NUMBER = {name[:3]: n for n, name in enumerate(MONTHS, 1)}
_DAY_WORDS = listed_words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
    " fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_DAYS = {word: n for n, word in enumerate(_DAY_WORDS, 1)}
_DAYS |= {f"twenty{gap}{word}": 20 + n for n, word in enumerate(_DAY_WORDS[:9], 1) for gap in "- "}
_ELSEWHERE = """
january leden ledna lednu januar janvier enero gennaio janeiro januari stycznia января
february unor unora unoru februar fevrier febrero febbraio fevereiro februari lutego февраля
march brezen brezna breznu marz mars marzo marco maart marca марта
april duben dubna dubnu avril abril aprile kwietnia апреля
may kveten kvetna kvetnu mai mayo maggio maio mei maja мая
june cerven cervna cervnu juni juin junio giugno junho czerwca июня
july cervenec cervence cervenci juli juillet julio luglio julho lipca июля
august srpen srpna srpnu aout agosto augustus sierpnia августа
september zari septembre septiembre settembre setembro wrzesnia сентября
october rijen rijna rijnu oktober octobre octubre ottobre outubro pazdziernika октября
november listopad listopadu novembre noviembre novembro listopada ноября
december prosinec prosince prosinci dezember decembre diciembre dicembre dezembro grudnia декабря
january januara styczen styczniu январь январе
february februara luty lutym февраль феврале
march marci marcu marzec март марте
april aprila aprili kwiecien kwietniu апрель апреле
may maj maju маи мае
june juna czerwiec czerwcu июнь июне
july jula lipiec lipcu июль июле
august augusta augusti sierpien sierpniu август августе
september setiembre septembra septembri wrzesien wrzesniu сентябрь сентябре
october oktobra oktobri pazdziernik pazdzierniku октябрь октябре
november novembra novembri listopadzie ноябрь ноябре
december decembra decembri grudzien grudniu декабрь декабре
"""
# Folded names in Czech, Slovak, German, Dutch, Swedish, French, Spanish, Portuguese, Italian,
# Polish and Russian, also after `in`.
_FOREIGN = {
    name: MONTHS.index(english) + 1
    for english, *names in (line.split() for line in _ELSEWHERE.strip().splitlines())
    for name in names
}
# Names of other things too: months only where a day stands before them.
_UNSURE = frozenset(
    listed_words(
        "mars marco mai maja mei maio marca marci marcu maj maju мае luty juna jula aprila augusta"
        " augusti lipcu"
    )
)
_DAYS |= {"thirtieth": 30, "thirty-first": 31, "thirty first": 31}
_DECADES = {
    word: 10 * n
    for n, word in enumerate(listed_words("twenties thirties forties fifties sixties seventies"), 2)
} | {"eighties": 80, "nineties": 90}


@dataclass(frozen=True, slots=True)
class Date:
    """A date in a text; parts that are not written are None, years before Christ negative."""

    start: int
    end: int
    year: int | None = None
    month: int | None = None
    day: int | None = None
    decade: bool = False
    bare: bool = False
    """Whether it is digits only, which may be a year or any number."""
    vague: bool = False
    """Whether it is an end of a span of years, or a bound such as `before`."""
    other: tuple[int, int] | None = None
    """The other reading (month, day) of digits that do not say which is which."""

    def agrees(self, reference: Date) -> bool:
        """Return whether every part of the reference is the same here; more detail is fine."""
        if self.vague or self.decade != reference.decade:
            return False
        if reference.year is not None and self.year != reference.year:
            return False
        return any(
            reference.month in (None, month) and reference.day in (None, day)
            for month, day in ((self.month, self.day), self.other or (self.month, self.day))
        )

    def same(self, other: Date) -> bool:
        """Return whether year, month and day are equal."""
        return (self.year, self.month, self.day) == (other.year, other.month, other.day)

    def conflicts(self, other: Date) -> bool:
        """Return whether a part that both give differs."""
        pairs = [(self.year, other.year)]
        if not (self.other or other.other):
            pairs += [(self.month, other.month), (self.day, other.day)]
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def covers(self, reference: Date) -> bool:
        """Return whether every part that the reference gives is given here too."""
        return all(
            getattr(reference, part) is None or getattr(self, part) is not None
            for part in ("year", "month", "day")
        )


_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_FOREIGN_MONTH = r"(?:" + "|".join(sorted(_FOREIGN, key=len, reverse=True)) + r")\b\.?"
_FOREIGN_ALONE = (
    r"(?:" + "|".join(sorted(set(_FOREIGN) - _UNSURE, key=len, reverse=True)) + r")\b\.?"
)
_DAY = (
    r"(?:\d{1,2}(?:st|nd|rd|th)?\b|(?:" + "|".join(sorted(_DAYS, key=len, reverse=True)) + r")\b)"
)
_ERA = r"\s?(?:b\.?c\.?e|b\.?c|a\.?d|c\.?e)(?![^\W_])\.?"


def _year(name: str) -> str:
    return rf"(?P<{name}>(?:\d{{3,4}}(?![^\W_])|\d{{1,4}}(?={_ERA}))(?:{_ERA})?)"


_GAP = r"(?:\s?,\s?|\s|\s?,?\s(?:of|in)(?:\sthe\syear)?(?:\sof)?\s)"
_SPAN = re.compile(
    r"(?<![\w.,$€£-])(?<!\d/)(?:"
    rf"(?P<d1>{_DAY})(?:\sday)?(?:\sof)?[\s-](?P<m1>{_MONTH})(?:(?:{_GAP}|-){_year('y1')})?"
    rf"|(?P<d8>\d{{1,2}}(?:er|º|°)?)\.?\s(?:de\s)?(?P<m8>{_FOREIGN_MONTH})"
    rf"(?:(?:{_GAP}|\s(?:del?|roku|r\.)\s){_year('y8')})?"
    rf"|(?P<m9>{_FOREIGN_ALONE})(?:{_GAP}|\s(?:del?|roku|r\.)\s){_year('y9')}"
    rf"|(?P<m2>{_MONTH})\s(?:the\s)?(?P<d2>{_DAY})(?:{_GAP}{_year('y2')})?"
    rf"|(?P<m3>{_MONTH}){_GAP}{_year('y3')}"
    rf"|{_year('y6')}[\s,]\s?(?P<m6>{_MONTH})\s(?P<d6>{_DAY})"
    r"|(?P<y4>\d{4})(?P<s4>[-/.])(?P<m4>\d{1,2})(?P=s4)(?P<d4>\d{1,2})(?![\d])"
    r"|(?P<p5>\d{1,2})(?P<s5>[-/.])\s?(?P<q5>\d{1,2})(?P=s5)\s?(?P<y5>\d{4})(?!\d)"
    r"|(?P<decade>'?\d{2}0|\d0)'?s\b"
    r"|(?P<named>twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)\b"
    r"|a\.?d\b\.?\s(?P<ad>\d{1,4})(?!\w)"
    rf"|{_year('y7')}"
    r")"
)
_BOUND = re.compile(r"\b(?:before|after|prior to|later than|earlier than)\s(?:the year\s)?$")
_YEARS = ("y1", "y2", "y3", "y4", "y5", "y6", "y8", "y9")
_DASHED = re.compile(r"-\d")
_BETWEEN = re.compile(r"\b(?:between|from)\s$")
_TO = re.compile(r"\s?--?\s?|\s(?:to|through|till|until)\s")


def is_month(word: str) -> bool:
    """Return whether a folded word is the name of a month in one of the languages read."""
    return word in _FOREIGN or word in MONTHS


def month_number(word: str) -> int | None:
    """Return the number of the month that a folded word names in one of the languages read."""
    return _FOREIGN.get(word) or (MONTHS.index(word) + 1 if word in MONTHS else None)


def dates(text: str, order: Order = "either") -> list[Date]:
    """Return every date and every possible year of a folded text, in order."""
    all_dates = [date for match in _SPAN.finditer(text) if (date := _read(match, text, order))]
    for n in range(1, len(all_dates)):
        before, after = all_dates[n - 1], all_dates[n]
        gap = text[before.end : after.start]
        opened = gap == " and " and _BETWEEN.search(text[max(0, before.start - 9) : before.start])
        if len(gap) < 10 and (opened or _TO.fullmatch(gap)):
            all_dates[n - 1 : n + 1] = [replace(before, vague=True), replace(after, vague=True)]
    return all_dates


def _read(match: re.Match[str], text: str, order: Order) -> Date | None:
    start, end = match.span()
    vague = bool(_DASHED.match(text, end) or _BOUND.search(text[max(0, start - 25) : start]))
    if alone := match["y7"]:
        return Date(start, end, _era(alone), bare=alone.isdigit(), vague=vague)
    if digits := match["decade"]:
        return Date(start, end, int(digits.strip("'")), decade=True, vague=vague)
    if named := match["named"]:
        return Date(start, end, _DECADES[named], decade=True, vague=vague)
    if era := match["ad"]:
        return Date(start, end, int(era), vague=vague)
    written = next((match[name] for name in _YEARS if match[name]), None)
    year = _era(written) if written else None
    month = day = other = None
    if name := match["m1"] or match["m2"] or match["m3"] or match["m6"]:
        month = _MONTH_NUMBER[name[:3]]
        day = _day(match["d1"] or match["d2"] or match["d6"])
    elif name := match["m8"] or match["m9"]:
        month, day = _FOREIGN[name.rstrip(".")], _day(match["d8"])
    elif match["m4"]:
        month, day = int(match["m4"]), int(match["d4"])
    elif match["p5"]:
        one, two = int(match["p5"]), int(match["q5"])
        month, day = (one, two) if order == "month" or (two > 12 and one <= 12) else (two, one)
        # A 13th month is no reading; where both could be the month, either fits.
        other = (day, month) if order == "either" and max(one, two) <= 12 else None
    if not _possible(month, day):
        return None
    return Date(start, end, year, month, day, vague=vague, other=other)


def _possible(month: int | None, day: int | None) -> bool:
    return (month is None or 1 <= month <= 12) and (day is None or 1 <= day <= 31)


def _era(text: str) -> int:
    if text.isdigit():
        return int(text)
    year = int("".join(letter for letter in text if letter.isdigit()))
    return -year if "b" in text else year


def _day(text: str | None) -> int | None:
    if text is None:
        return None
    return _DAYS.get(text) or int(re.sub(r"\D", "", text))
