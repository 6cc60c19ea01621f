"""Values of answers in other languages, written as the rules read them in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache

from routebench_judges.answers.dates import MONTHS, month_number
from routebench_judges.answers.references import Reference

_WORD = re.compile(r"[^\W\d_]+")
_COMMA = re.compile(r"(?<![\d.,])(\d{1,3}),(\d{3})(?![\d.,]?\d)")
_YEAR_FIRST = re.compile(
    r"(?P<year>\b\d{4}),? (?:dne |am |el |le |il |den )?(?P<day>\d{1,2})\.? ?(?:de )?"
    r"(?P<month>[^\W\d_]{3,})(?!\s\d{4})"
)
_ANY_COMMA = re.compile(r"(?<![\d.,])(\d+),(\d+)(?![\d.,]?\d)")
# A preposition of one letter after a number is no unit: `1933 v Chicagu`, volts.
_PREPOSITION = re.compile(r"(?<=\d)(\s)(?=[vskzwouaiyen]\s[^\W\d_]{2})")
_ONES = {
    "cs": r"jed(?:en|n[aouy]|noho|nomu|nom|nim|ne|ni|nu)",
    "sk": r"jed(?:en|n[aouy]|neho|nemu|nom|nym|nej)",
    "pl": r"jed(?:en|n[aoy]|nego|nemu|nym|nej)",
    "de": r"ein(?:e|en|em|er|es|s)?",
    "nl": r"een",
    "sv": r"en|ett",
    "es": r"un[ao]?",
    "pt": r"um|uma",
    "it": r"un[ao]?",
    "fr": r"une?",
    "ru": r"од(?:ин|на|но|ну|ной|ного)",
}
_OF = r"(?!\s(?:z|ze|zo|von|der|of|de|des|di|dei|delle|av|van|из)\s)"
_ZEROS = {
    "cs": r"zadn(?:[yaeiou]|eho|emu|ou|ych|ym|ymi)|nul(?:a|u|y|ou|ovy|ove)|nikdo|nikoho",
    "sk": r"ziadn(?:[yaeiou]|eho|emu|ou|ych|ym|ymi)|nul(?:a|u|y|ou)|nikto|nikoho",
    "pl": r"zadn(?:[yaei]|ego|ej|ych|ym)|zero|nikt|nikogo",
    "de": r"kein(?:e|en|em|er|es)?|null|niemand(?:en)?",
    "nl": r"geen|nul|niemand",
    "sv": r"inga|ingen|inget|noll",
    "es": r"ningun[ao]?|cero|nadie",
    "pt": r"nenhum[a]?|zero|ninguem",
    "it": r"nessun[ao]?|zero",
    "fr": r"aucune?|zero|personne",
    "ru": r"ни одн\w+|ноль|никто|никого",
}
_NO_FACTS = (
    r"(?!\s(?:\w+\s)?(?:informac|udaj|zaznam|zminky|zdroj|data|dat|pristup|detail|konkretn|presn|angaben|daten"
    r"|dat[oi]s|donnees|даннных))"
)
_NOT = re.compile(r"\b(?:not|nema\w*|nejsou|neni|neby\w+|ne\w{3,12})\s(?=(?:\w+\s){0,4}none\b)")


def rewritten(folded: str, language: str, reference: Reference) -> str:
    """Return a folded answer with its values as in English, those that the reference wants."""
    folded = _PREPOSITION.sub(r"\1_", folded)
    values = [*reference.quantities, *reference.counts]
    exact = {one.value for one in values}
    if exact:
        folded = _COMMA.sub(_point_if(lambda number: Decimal(number) in exact), folded)
        if exact == {1}:
            folded = _pattern(_ONES[language], _OF).sub("one", folded)
    zero = exact == {0} or any(phrase.words in _NOBODY for phrase in reference.phrases)
    if zero:
        folded = _pattern(_ZEROS[language], _NO_FACTS).sub("none", folded)
        folded = _NOT.sub("", folded)
        if any(phrase.words in _NOBODY for phrase in reference.phrases):
            folded = folded.replace("none", "no one", 1)
    decimals = {word for phrase in reference.phrases for word in phrase.words if "." in word}
    if decimals:
        folded = _ANY_COMMA.sub(_point_if(lambda number: number in decimals), folded)
    if reference.dates:
        folded = _YEAR_FIRST.sub(_day_first, folded)
    return _month(folded, reference)


def _day_first(match: re.Match[str]) -> str:
    """Write `1973, dne 25. ledna` as `25. ledna 1973`."""
    month = month_number(match["month"])
    return f"{match['day']}. {match['month']} {match['year']}" if month else match[0]


_NOBODY = {("no", "one"), ("nobody",)}


@cache
def _pattern(words: str, unless: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b{unless}")


def _point_if(wanted: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    def pointed(match: re.Match[str]) -> str:
        number = f"{match[1]}.{match[2]}"
        return number if wanted(number) else match[0]

    return pointed


def _month(folded: str, reference: Reference) -> str:
    """Write the wanted month in English, where it is the first that the answer names."""
    wanted = {
        MONTHS.index(phrase.words[0]) + 1
        for phrase in reference.phrases
        if len(phrase.words) == 1 and phrase.words[0] in MONTHS
    }
    if not wanted or " month" not in reference.question.folded:
        return folded
    named = [
        (match, month) for match in _WORD.finditer(folded) if (month := month_number(match[0]))
    ]
    if not named or named[0][1] not in wanted:
        return folded
    match, month = named[0]
    return f"{folded[: match.start()]}{MONTHS[month - 1]}{folded[match.end() :]}"
