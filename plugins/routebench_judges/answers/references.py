"""Parse a reference into the phrases, quantities and dates that an answer must give."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cached_property

from routebench_judges.answers.compound import (
    Dimensions,
    SeasonAndEpisode,
    YearSpan,
    dimensions,
    season_and_episode,
    year_span,
)
from routebench_judges.answers.dates import Date, Order, dates
from routebench_judges.answers.folding import ARTICLES, fold, listed_words, words
from routebench_judges.answers.marks import MARK, Marks, asks_symbol, marks
from routebench_judges.answers.numbers import Quantity, quantities
from routebench_judges.answers.titles import (
    asks_person,
    names_of,
    title_of,
    without_titles,
)
from routebench_judges.answers.units import requested_unit, things
from routebench_judges.answers.variants import variants

_LEAD = re.compile(
    r"(?:in|on|about|around|approximately|approx\.?|roughly|circa|ca?\.|~|#|no\.\s?|number\s)\s*"
    r"(?=[\d(]|[a-z]+)"
)
_POINT = re.compile(r"(?<!\.)\.$")
_COUNT = re.compile(
    r"\bhow (?:many|much|long|old|tall|far|high|big|large|heavy|deep|wide)\b|\bnumber\b|\bid\b"
    r"|\bpopulation\b|\bamount\b|\brank\b|\bposition\b|\bage\b"
)
_TIME = re.compile(r"\b(?:years?|when|dates?|decade|century)\b")
_ASKS_YEAR = re.compile(
    r"\b(?:what|which)\b(?:\s\w+){0,3}?\s(?:years?|dates?|decade|century)\b"
    r"|(?:^|[,.;?:]\s|\band\s|\bor\s)when\b|\bthe (?:\w+ )?(?:year|date)\b(?! \d)"
)
_ASKS_ONLY_YEAR = re.compile(
    r"^(?!.*\b(?:month|day|date)\b).*\b(?:what|which)(?:\swas|\sis)?(?:\sthe)?\syear\b", re.S
)
_PERSON = re.compile(
    r"\b(?:who|whom|whose|(?:first|last|full|sur) ?name|surname|person|man|woman|author|recipient"
    r"|winner|scientist|artist|actor|actress|singer|politician|player|director|president|architect)\b"
)
_NOT_MIDDLE = (
    r"(?!and\b|or\b|not\b|is\b|was\b|by\b|with\b|but\b|to\b|for\b|in\b|as\b|who\b|met\b|at\b|on\b)"
)
# Questions that several things answer, in any order.
_SEVERAL = re.compile(
    r"\b(?:two|both|three|names|parents|sons|daughters|children|teams|authors|languages|countries"
    r"|cities|winners)\b"
)
# The words of a name begin with capitals, its particles apart.
_CAPITALS = re.compile(
    r"[A-ZÀ-Þ\"“'(][^\s]*(?:\s(?:[A-ZÀ-Þ\"“'(][^\s]*|d[aeio]s?|del|della|v[ao]n|der|den|bin|al|el|la|le|y))*"
)
_CALLED = r"(?:[^\W\d_]+|[\"“(][^\W\d_]+[\"”)])"  # Henry "Buster" Smith
# `Baltimore, Maryland` where only the city is asked for.
_TOWN_AND_COUNTRY = re.compile(r"([^\W\d_][^,()\d]{2,40}), [^,()\d]{2,40}")
_ASKS_TOWN = re.compile(
    r"^(?!.*\b(?:and|or) (?:what |which )?(?:u\.s\. )?(?:state|country|county|province|region)\b)"
    r".*\b(?:what|which)\s(?:[\w'-]+\s){0,2}?(?:city|town|village)\b",
    re.S,
)
_KEYS = frozenset(listed_words("major minor flat sharp level levels"))
_STOP = frozenset(
    listed_words(
        "the and was were what which who whom whose when where how did does for with from that "
        "this his her their its into are has had have been many much year date day month name "
        "number"
    )
)
POLAR = frozenset({"yes", "no", "true", "false"})


@dataclass(frozen=True)
class ParsedQuestion:
    """A folded question, and what is read out of it to compare answers with."""

    folded: str

    @cached_property
    def words(self) -> list[str]:
        return words(self.folded)

    @cached_property
    def plain(self) -> str:
        return f" {' '.join(word for word in self.words if word not in ARTICLES)} "

    @cached_property
    def whole(self) -> str:
        return f" {' '.join(self.words)} "

    @cached_property
    def keys(self) -> set[str]:
        """Return the first letters of its content words."""
        return beginnings(self.words)

    @cached_property
    def quantities(self) -> list[Quantity]:
        return quantities(self.folded)

    @cached_property
    def dates(self) -> list[Date]:
        return dates(self.folded)


def beginnings(tokens: list[str]) -> set[str]:
    """Return the first letters of content words, so that `die` matches `died`."""
    kept = [word for word in tokens if len(word) > 2 and word not in _STOP]
    return {word[:4] for word in kept} | {word[:3] for word in kept if len(word) <= 5}


@dataclass(frozen=True)
class Phrase:
    """Words that must stand in the answer, in order and whole."""

    words: tuple[str, ...]
    articles: bool
    """Whether its articles count, as in `vitamin A` and `The The`."""
    items: tuple[Phrase, ...] = ()
    """The parts of a list such as `Sonipat, Ghaziabad, Hisar`: in any order, all of them."""
    person: bool = False
    title: str = ""
    """The office of somebody whose surname this is: nobody else's counts, `General Reed`."""

    alone: bool = False
    """Marks a town without its country; no country, and no other town, may follow it."""

    plain: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", f" {' '.join(self.words)} ")

    @property
    def single(self) -> bool:
        return len(self.words) == 1 and len(self.words[0].rstrip(MARK)) == 1

    @cached_property
    def pattern(self) -> str:
        """Return a pattern for it in a folded text; a person may have middle names."""
        gap = r"[\W_]+" if self.articles else r"[\W_]+(?:(?:the|an?)[\W_]+)*"
        body = gap.join(re.escape(word) for word in self.words)
        if self.person:
            # An initial may be written out: `Brian T. Burgess`, `Brian Thomas Burgess`.
            *first, last = (
                re.escape(word) + (r"[^\W\d_]*" if len(word) == 1 and at else "")
                for at, word in enumerate(self.words)
            )
            if any(len(word) == 1 for word in self.words[1:-1]):
                body += "|" + gap.join([*first, last])
            between = rf" (?:{_NOT_MIDDLE}(?:[^\W\d_]\. ?|{_CALLED}[ -])){{1,2}}"
            body += "|" + gap.join(first) + between + last
        sharp = r"(?!#|\+\+)" if self.single else ""
        return rf"(?<![^\W_])(?:{body})(?![^\W_]){sharp}"

    @cached_property
    def ending(self) -> re.Pattern[str]:
        """Return a pattern for it at the end of a clause, or before a year."""
        return re.compile(
            rf"{self.pattern}[\"'*_)]*(?:\s*[.!;\n]|\s*$"
            r"|\s(?:in|v|ve|im|en|em|nel|w|в)\s(?:the\s)?(?:year\s)?\d{4})"
        )

    @cached_property
    def wide(self) -> re.Pattern[str] | None:
        return re.compile(self.pattern) if self.person else None


@dataclass(frozen=True)
class Reference:
    """The right answers to one question, by what kind of value they are."""

    question: ParsedQuestion
    phrases: list[Phrase] = field(default_factory=list)
    quantities: list[Quantity] = field(default_factory=list)
    dates: list[Date] = field(default_factory=list)
    counts: list[Quantity] = field(default_factory=list)
    """Bare numbers that may be years too; the form of the answer decides which they are."""
    marks: Marks | None = None
    compound: YearSpan | SeasonAndEpisode | Dimensions | None = None
    """Two numbers that an answer may join in many ways."""
    one_answer: bool = False
    """Marks phrases that are forms of one text: where one stands, the others need no search."""

    @cached_property
    def asks_symbol(self) -> bool:
        return asks_symbol(self.question.folded)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Return a pattern for any of the phrases in a folded text."""
        parts = [part for phrase in self.phrases for part in (phrase.items or (phrase,))]
        return re.compile("|".join(dict.fromkeys(part.pattern for part in parts)))

    @property
    def several(self) -> bool:
        """Return whether a right answer is a list of parts, all of which must be given."""
        return any(phrase.items for phrase in self.phrases)

    @cached_property
    def named(self) -> bool:
        """Return whether the question itself names the answer."""
        return any(phrase.plain in self.question.plain for phrase in self.phrases)

    @cached_property
    def rival(self) -> str | None:
        """Return the other choice of a question that names two, `X or Y` or `X and Y`."""
        for phrase in self.phrases:
            text = self.question.plain
            at = text.find(phrase.plain)
            if at < 0:
                continue
            after = text[at + len(phrase.plain) :].split()
            before = text[:at].split()
            if len(after) > 1 and after[0] in ("or", "and"):
                return after[1]
            if len(before) > 1 and before[-1] in ("or", "and"):
                return before[-2]
        return None


def aliases(reference: str) -> list[str]:
    """Return the right answers that a reference lists: a JSON list of strings, or the text."""
    if reference.lstrip()[:1] == "[":
        try:
            listed = json.loads(reference)
        except (ValueError, RecursionError):
            return [reference]
        if isinstance(listed, list) and listed and all(isinstance(one, str) for one in listed):
            return listed
    return [reference]


def parse_reference(reference: str, question: str, order: Order, middle_names: bool) -> Reference:
    """Sort the right answers of a reference into phrases, quantities and dates.

    The reference is a text, or a JSON list of texts that are all right. `order` tells which part
    of a date such as 4/7/1776 comes first, `middle_names` whether an answer may give a person
    further names.
    """
    alternatives = aliases(reference)
    lowered, one_answer = fold(question), len(alternatives) == 1
    alternatives += [more for one in alternatives for more in variants(one, lowered)]
    marked = marks(alternatives, question)
    parsed = ParsedQuestion(fold(marked(question) if marked else question))
    result = Reference(parsed, marks=marked, one_answer=one_answer)
    for alias in alternatives:
        text = marked(alias) if marked else alias
        folded = _stripped(fold(text))
        date = _date(folded, parsed, order)
        quantity = _quantity(folded, parsed) if date is None or date.bare else None
        if date:
            result.dates.append(date)
            if date.year and _ASKS_ONLY_YEAR.search(parsed.folded):
                result.dates.append(replace(date, month=None, day=None))
            if quantity and not _ASKS_YEAR.search(parsed.folded):
                result.counts.append(quantity)
        elif quantity:
            result.quantities.append(quantity)
        else:
            result.phrases.extend(_phrases(text, folded, parsed, middle_names))
            result = _with_compound(result, folded)
    result.phrases[:] = dict.fromkeys(result.phrases)
    return result


def _with_compound(reference: Reference, folded: str) -> Reference:
    """Return the reference with the two numbers that a folded alias joins, if it joins two."""
    question = reference.question
    if sides := dimensions(folded):
        reference.phrases.append(Phrase(tuple(sides.written.split()), False))
        return replace(reference, compound=sides)
    if span := year_span(folded, question.folded):
        reference.phrases.append(Phrase(tuple(span.written.split()), False))
        return replace(reference, compound=span)
    if parts := season_and_episode(folded, question.words):
        items = tuple(_phrase("", words(part), False) for part in parts.parts)
        whole = tuple(word for item in items for word in item.words)
        reference.phrases.append(Phrase(whole, False, items=items))
        return replace(reference, compound=parts)
    return reference


def _stripped(folded: str) -> str:
    """Strip punctuation around a folded text, but not the point of `.500`."""
    kept = folded.strip().strip(".,;:!?\"'*_`").strip()
    at = folded.find(kept)
    return f".{kept}" if kept[:1].isdigit() and _POINT.search(folded[:at]) else kept


def _date(folded: str, question: ParsedQuestion, order: Order) -> Date | None:
    core = folded[lead.end() :] if (lead := _LEAD.match(folded)) else folded
    candidates = dates(core, order)
    if len(candidates) != 1:
        return None
    (date,) = candidates
    if date.start or date.end < len(core) or date.vague:
        return None
    asks_count = _COUNT.search(question.folded) and not _ASKS_YEAR.search(question.folded)
    if date.bare and (asks_count or not _TIME.search(question.folded)):
        likely = date.year is not None and 1000 <= date.year <= 2100
        return date if likely and not _COUNT.search(question.folded) else None
    return date


def _quantity(folded: str, question: ParsedQuestion) -> Quantity | None:
    core = folded[lead.end() :] if (lead := _LEAD.match(folded)) else folded
    candidates = quantities(core)
    if len(candidates) != 1 or re.match(r"0\d", core):  # `007` is a code
        return None
    (number,) = candidates
    if number.start or number.vague:
        return None
    rest = words(core[number.end :])
    counted = bool(_COUNT.search(question.folded)) and len(rest) <= 3
    if rest and not (set(rest) <= set(question.words) or counted):
        return None
    unit = number.unit or requested_unit(question.folded)
    return replace(number, unit=unit, weak=False, things=tuple(things(core, number.end)))


def _phrases(alias: str, folded: str, question: ParsedQuestion, middle_names: bool) -> list[Phrase]:
    tokens = words(folded)
    if not tokens:
        return []
    asked = _PERSON.search(question.folded) is not None or asks_person(question.folded)
    person = asked and all(word.isalpha() for word in tokens)
    phrases = [_phrase(alias, tokens, person and middle_names and 2 <= len(tokens) <= 4)]
    items = re.split(r"\s*[,;]\s*(?:and\s|&\s)?|\s(?:and|&)\s", folded)
    parts = [words(item) for item in items]
    several = re.search("[,;]", folded) or _SEVERAL.search(question.folded)
    years = year_span(folded, question.folded) is not None
    if len(parts) > 1 and all(parts) and not years and (several or min(map(len, parts)) > 1):
        phrases.append(
            replace(
                phrases[0],
                items=tuple(
                    _phrase("", part, middle_names and asked and 2 <= len(part) <= 4)
                    for part in parts
                ),
                person=False,
            )
        )
    if (town := _TOWN_AND_COUNTRY.fullmatch(folded)) and _ASKS_TOWN.search(question.folded):
        phrases.append(replace(_phrase("", words(town[1]), False), alone=True))
    trimmed = without_titles(tokens) if person else list(tokens)
    if person and len(trimmed) > 2:
        trimmed = [w for n, w in enumerate(trimmed) if len(w) > 1 or n in (0, len(trimmed) - 1)]
    named = person and middle_names and _CAPITALS.fullmatch(alias.strip()) is not None
    gloss = words(re.sub(r"\s\([^()]*\)$", "", folded))
    phrases += [
        replace(_phrase("", other, False), title=title_of(tokens) if len(other) == 1 else "")
        for other in (trimmed, gloss)
        if other and other != tokens and f" {' '.join(other)} " not in question.plain
    ]
    if named:
        phrases += [
            Phrase(tuple(other), True)  # no articles stand in names
            for other in names_of(trimmed, question.folded)
            if other != tokens and f" {' '.join(other)} " not in question.plain
        ]
    return phrases


def _phrase(alias: str, tokens: list[str], person: bool) -> Phrase:
    kept = tuple(word for word in tokens if word not in ARTICLES)
    # A capital A inside or at the end is a letter, not an article; so is one before `major`.
    letter = re.search(r"\S\s+A\b(?!\s+[A-Z][a-z])", alias) or (
        len(tokens) > 1 and tokens[0] == "a" and tokens[1] in _KEYS
    )
    if letter or not kept or tokens[-1] in ARTICLES:
        return Phrase(tuple(tokens), True)
    return Phrase(kept, False, person=person)
