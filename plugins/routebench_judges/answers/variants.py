"""The other forms in which a right answer may be given, read out of its reference alone."""

from __future__ import annotations

import re

from routebench_judges.answers.dates import dates
from routebench_judges.answers.folding import fold, listed_words, words

_DOTTED = re.compile(r"(?<![^\W_])(?:[A-Z]\.){2,}(?![^\W_])")
_WEEKDAY = re.compile(r"^(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+(?=\S)", re.I)
# `Carolyn "Mountain Girl" Adams`: a nickname between two parts of a name.
_NICKNAME = re.compile(r"(?<=\w)\s[\"“(][^\"“”()]{2,30}[\"”)]\s(?=[A-Z])")
_TITLE_AND_MORE = re.compile(r"^(?P<title>[^:]{12,}?):\s+\S")
_LED_COUNT = re.compile(r"^(?P<count>\d+|[A-Za-z]+)(?:\s[-–—]\s|:\s|\s?\()(?=[^\W\d_])")
_HOW_MANY = re.compile(r"\bhow many\b")
_OTHER_UNIT = re.compile(
    r"^(?P<one>\W?\d[^()]{0,24}[a-z²]\.?)\s\((?P<other>\W?\d[^()]{0,24}[a-z²]\.?)\)$", re.I
)
# `SH207` and `SH-207`, `Law No: 117-17` and `Law 117-17`.
_CODE = re.compile(r"^([A-Z]{1,4})-?(\d{1,5})$")
_NUMERO = re.compile(r"(?<=[a-z]\s)No\.?:\s?(?=\d)")
_ALSO = re.compile(
    r"^(?P<name>[^()]{2,}?)\s\((?:or|aka|a\.k\.a\.|also(?: known as| called)?|formerly"
    r"|now|known as|née|born)\s(?P<other>[^()]{2,60})\)$",
    re.I,
)
_ASKS = re.compile(r"\b(?:what|which|who|whom|whose|how|where|when|why)\b")
_ASKS_WHO = re.compile(r"\W*(?:who|whom)\b")
_QUOTED = re.compile(r"[\"“][^\"“”]*[\"”]")
_NAME = re.compile(r"(?:[A-ZÀ-Þ][\w'’-]*\.?)(?:\s(?:[A-ZÀ-Þ][\w'’-]*\.?|de|van|von|der|al|bin))+")
_ASKS_DATE = re.compile(r"\b(?:when|day|date|dates|month|year|years)\b")
_DIMENSIONS = re.compile(r"^(?P<sides>[\d.,]+(?:\s?[x×]\s?[\d.,]+)+)\s?[a-z]{1,11}$", re.I)
_STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California",
    "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia",
    "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa",
    "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine", "MD": "Maryland",
    "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire",
    "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina",
    "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania",
    "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee",
    "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington",
    "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
}  # fmt: skip
_IN_STATE = re.compile(rf"(?<=\w), ?(?P<code>{'|'.join(_STATES)})\.?$")
# Common nouns that say what kind of thing a name is: `LET function`, `Hofukuji temple`.
_KINDS = frozenset(
    listed_words(
        "function formula command temple shrine church monastery language voice line style system"
        " method technique theorem theory algorithm model program software team club company band"
        " group river lake mountain island village town city district province county region state"
        " family genus species order breed tree wood cheese type blood instrument drum guitar"
        " award prize medal magazine journal newspaper school college university hospital prison"
        " bridge tower castle palace museum gallery theater theatre hotel party movement school"
    )
)
_ALIKE = {"function": "formula", "formula": "function", "shrine": "temple", "temple": "shrine"}


def variants(alias: str, question: str) -> list[str]:
    """Return further texts that say what a reference says; `question` is folded.

    None of them may name less than the reference where the rest tells two answers apart.
    """
    text = alias.strip().rstrip(".") if not _DOTTED.search(alias[-6:]) else alias.strip()
    found = [
        _DOTTED.sub(lambda match: match[0].replace(".", ""), text),
        _WEEKDAY.sub("", text),
        _NICKNAME.sub(" ", text),
        _CODE.sub(r"\1 \2", text),
        _NUMERO.sub("", text),
        _IN_STATE.sub(lambda match: f", {_STATES[match['code']]}", text),
    ]
    asked = words(question)
    titled = _TITLE_AND_MORE.match(text)
    told = titled and not any(map(str.isdigit, titled["title"]))
    if titled and told and len(words(titled["title"])) > 3 and "full" not in asked:
        found.append(titled["title"])
    counted = _LED_COUNT.match(text)
    if counted and _HOW_MANY.search(question):
        found.append(counted["count"])
    if units := _OTHER_UNIT.match(text):
        found += [units["one"], units["other"]]
    if also := _ALSO.match(text):
        found += [also["name"], also["other"]]
    if sides := _DIMENSIONS.match(text):
        found.append(sides["sides"])
    found += _without_kind(text, asked)
    if text == "New York City" and "city" in asked:
        found.append("New York")
    if person := _the_person(text, question):
        found.append(person)
    if dated := _the_date(text, question):
        found.append(dated)
    return [one for one in dict.fromkeys(found) if one and one not in (alias, text)]


def _without_kind(text: str, asked: list[str]) -> list[str]:
    """Return a name without the kind of thing that the question asks for."""
    head, _, kind = text.rpartition(" ")
    if kind not in _KINDS or not (kind in asked or _ALIKE.get(kind) in asked):
        return []
    if len(re.findall(r"\w", head)) < 3 or head.split()[-1].lower() in ("of", "the", "a", "an"):
        return []
    return [head] if set(words(fold(head))) - set(asked) else []


def _the_person(text: str, question: str) -> str | None:
    """Return the one name of a reference that is a sentence, where only a person is asked for."""
    if len(text.split()) < 6 or not _ASKS_WHO.match(question) or len(_ASKS.findall(question)) != 1:
        return None
    asked = set(words(question))
    names = [
        match[0]
        for match in _NAME.finditer(_QUOTED.sub(" ", text))
        if asked.isdisjoint(words(fold(match[0])))
    ]
    return names[0] if len(names) == 1 else None


def _the_date(text: str, question: str) -> str | None:
    """Return the one date of a reference that is a sentence, where a date alone is asked for."""
    folded = fold(text)
    asks = len(_ASKS.findall(question)) == 1 and _ASKS_DATE.search(question)
    if len(words(folded)) < 6 or not asks:
        return None
    found = [date for date in dates(folded) if not date.bare]
    if len(found) != 1 or found[0].vague or found[0].day is None or found[0].year is None:
        return None
    return folded[found[0].start : found[0].end]
