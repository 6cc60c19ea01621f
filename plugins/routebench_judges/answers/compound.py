"""References of two numbers that belong together: spans of years, a season and its episode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from routebench_judges.answers.folding import listed_words
from routebench_judges.answers.numbers import NUMBER_WORDS, quantities

# What stands between two years; of languages that the judge reads.
_TO = (
    r"\s?--?\s?|\s(?:to|until|till|through|az|do|bis|tot|al|a|hasta|ate|fino al|jusqua"
    r"|по|до)\s"
)
_AND = r",?\s(?:and|und|och|en|y|e|et|i|и)\s|\s?&\s?"
_YEAR_WORD = (
    r"(?:(?:the\s)?years?\s|roku\s|rok\s|roce\s|letech\s|v\sroce\s|in\s|v\s|dem\sjahr\s|jahr\s)"
)
_OPENED = re.compile(
    r"\b(?:between|mezi|medzi|miedzy|zwischen|tussen|mellan|entre|tra|fra|между)\s"
    rf"{_YEAR_WORD}?(?:years\s|lety\s|rokmi\s|latami\s|den\sjahren\s|(?:los\s)?anos\s)?$"
)
_YEARS = re.compile(
    rf"(?<![\d.,-])(?P<first>\d{{4}})(?:(?P<to>{_TO})|(?P<and>{_AND})){_YEAR_WORD}{{0,2}}"
    r"(?P<last>\d{4}|\d{2})(?![\d%]|[.,-]\d)"
)
_REFERENCE = re.compile(
    r"(?P<opened>(?:from|between|in)\s)?(?P<first>\d{4})\s?(?:(?P<and>and|&)|-|to|until|till"
    r"|through)\s?(?P<last>\d{4}|\d{2})"
)
_BETWEEN = re.compile(r"\b(?:between|from)\b")

_SEASONS = (
    r"(?:seasons?|series|serie\w{0,2}|seri|sezon\w{0,3}|sezona\w{0,3}|rad(?:a|u|y|e|ou)|staffel\w?|temporada"
    r"|saison|stagione|seizoen|sasong\w{0,2}|сезон\w{0,2})"
)
_EPISODES = (
    r"(?:episodes?|epizod\w{0,3}|dil\w{0,3}|cast\w{0,2}|folge\w?|episodi\w|episodio|capitulo|puntata"
    r"|aflevering|avsnitt\w{0,2}|odcin\w{0,3}|эпизод\w{0,2}|сери\w)"
)
_ORDERING = [word for word in NUMBER_WORDS if word.endswith(("th", "first", "second", "third"))]
_COUNTING = sorted(NUMBER_WORDS - set(_ORDERING), key=len, reverse=True)
_ORDINAL_WORDS = "|".join(sorted(_ORDERING, key=len, reverse=True))
_CARDINAL_WORDS = "|".join(_COUNTING)
_CARDINAL = (
    rf"(?:\d{{1,3}}(?!\d|[.,]\d)|(?:{_CARDINAL_WORDS})(?:-(?:{_CARDINAL_WORDS}))?(?![^\W_]))"
)
_ORDINAL = (
    rf"(?:\d{{1,3}}(?:st|nd|rd|th|\.)|(?:(?:{_CARDINAL_WORDS})-)?(?:{_ORDINAL_WORDS})(?![^\W_]))"
)
_NUMBERED = r"\s?(?:number\s|no\.?\s|nr\.?\s|c\.\s?|cislo\s|#)?"
_CODE = re.compile(r"(?<![^\W_])s?(?P<season>\d{1,2})\s?(?:e|x|ep)(?P<episode>\d{1,3})(?![^\W_])")
# `3rd season` and `season 3`, but not `episode 4` in `4th episode 3rd season`.
_PART = {
    kind: re.compile(
        rf"(?<![^\W_])(?:(?P<before>{_ORDINAL})\s{noun}(?![^\W_])"
        rf"|{noun}(?:{_NUMBERED})\"?(?:{kind}\s)?(?P<after>{_CARDINAL})(?![^\W_]|\.\s{other}))"
    )
    for kind, noun, other in (
        ("season", _SEASONS, _EPISODES),
        ("episode", _EPISODES, _SEASONS),
    )
}
_ONE_PART = re.compile(rf"(?P<kind>season|series|episode)\s(?P<number>{_CARDINAL})")
_SEASON_AND_EPISODE = re.compile(
    rf"\"?(?:season|series)\s(?P<season>{_CARDINAL})[\s,;:-]+\"?episode\s(?P<episode>{_CARDINAL})\"?"
    r"(?![.,]?\d)[\s,;:.-]*(?P<title>.*)",
    re.S,
)
_SIDES = r"\s?(?:x|×|\*|by|krat|na|mal|per|por|на)\s?"
_LENGTH = r"(?:\s?(?:[cm]?m|in|ft|cent\w+|mil\w+|met\w+|inch\w*|pixel\w*|px))?"
_SIDES_REFERENCE = re.compile(
    r"(?P<one>\d[\d.]*)(?:\s?[a-z]{1,2})?\s?[x×]\s?(?P<two>\d[\d.]*)(?:\s?[a-z]{1,11})?"
)
_SIDES_ANSWER = re.compile(
    rf"(?<![\d.,])(?P<one>\d[\d ]*(?:[.,]\d+)?){_LENGTH}{_SIDES}(?P<two>\d+(?:[.,]\d+)?)(?![\d])"
)
_ASKS_TITLE = frozenset(listed_words("title titled name named called"))


@dataclass(frozen=True)
class YearSpan:
    """Two years: a span, or a pair where both are asked for."""

    first: str
    last: str
    pair: bool

    @property
    def written(self) -> str:
        """Return it as a reference would write it."""
        return f"{self.first} {'and' if self.pair else 'to'} {self.last}"

    def rewrite(self, folded: str) -> str:
        """Return a folded answer whose first span, if it is this one, is written as here."""
        for match in _YEARS.finditer(folded):
            opened = _OPENED.search(folded, max(0, match.start() - 30), match.start())
            pair = match["and"] is not None and not opened
            first, last = match["first"], match["last"]
            last = first[: 4 - len(last)] + last
            fits = pair == self.pair or match["to"] == " a "  # `and` in some, `to` in others
            if fits and (first, last) == (self.first, self.last):
                return f"{folded[: match.start()]}{self.written}{folded[match.end() :]}"
            return folded
        return folded


@dataclass(frozen=True)
class SeasonAndEpisode:
    """The numbers of a season and of an episode of it; nothing for one that is not asked for."""

    season: str
    episode: str
    title: str = ""

    @property
    def parts(self) -> list[str]:
        """Return what an answer must name."""
        named = [self.title] if self.title else []
        numbered = (("season", self.season), ("episode", self.episode))
        return [*(f"{kind} {number}" for kind, number in numbered if number), *named]

    def rewrite(self, folded: str) -> str:
        """Return a folded answer in which both are written as here, if it names no others first."""
        text = _CODE.sub(r"season \g<season>, episode \g<episode>", folded)
        places: list[tuple[int, int, str]] = []
        for kind, wanted in (("season", self.season), ("episode", self.episode)):
            found = [(match, _plain(match)) for match in _PART[kind].finditer(text)]
            right = bool(found) and found[0][1] == wanted
            for match, number in found:
                written = number if right or number != wanted else "other"
                places.append((*match.span(), f"{kind} {written}"))
        kept, end = [], 0
        for start, stop, written in sorted(places):
            if start >= end:
                kept += [text[end:start], written]
                end = stop
        return "".join([*kept, text[end:]])


@dataclass(frozen=True)
class Dimensions:
    """Two sides of a thing, such as 480 x 800."""

    one: str
    two: str

    @property
    def written(self) -> str:
        """Return it as a reference would write it."""
        return f"{self.one} x {self.two}"

    def rewrite(self, folded: str) -> str:
        """Return a folded answer in which these sides, if they come first, are written as here."""
        match = _SIDES_ANSWER.search(folded)
        if match is None:
            return folded
        sides = [match[name].replace(" ", "").replace(",", ".") for name in ("one", "two")]
        if sides != [self.one, self.two]:
            return folded
        return f"{folded[: match.start()]}{self.written}{folded[match.end() :]}"


def dimensions(folded: str) -> Dimensions | None:
    """Return the two sides that a folded reference is; None for any other reference."""
    match = _SIDES_REFERENCE.fullmatch(folded)
    return Dimensions(match["one"], match["two"].rstrip(".")) if match else None


def year_span(folded: str, question: str) -> YearSpan | None:
    """Return the two years that a folded reference is; None for any other reference."""
    match = _REFERENCE.fullmatch(folded)
    if match is None:
        return None
    first, last = match["first"], match["last"]
    last = first[: 4 - len(last)] + last
    if not 1000 <= int(first) < int(last) <= 2100:
        return None
    spans = match["opened"] is not None or _BETWEEN.search(question) is not None
    return YearSpan(first, last, match["and"] is not None and not spans)


def season_and_episode(folded: str, question: Sequence[str]) -> SeasonAndEpisode | None:
    """Return the season and episode that a folded reference names; None for any other one."""
    if alone := _ONE_PART.fullmatch(folded):
        number = _figure(alone["number"])
        episode = alone["kind"] == "episode"
        return SeasonAndEpisode("" if episode else number, number if episode else "")
    match = _SEASON_AND_EPISODE.fullmatch(folded)
    if match is None:
        return None
    season, episode = _figure(match["season"]), _figure(match["episode"])
    title = match["title"].strip("\"' .()") if not _ASKS_TITLE.isdisjoint(question) else ""
    return SeasonAndEpisode(season, episode, title)


def _plain(match: re.Match[str]) -> str:
    return _figure(match["before"] or match["after"])


def _figure(number: str) -> str:
    read = quantities(number.rstrip("."))
    return str(int(read[0].value)) if len(read) == 1 else number.lstrip("0")
