"""Write in English what an answer in another language says in words that the rules read."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from importlib.resources import files

from routebench_judges.answers.dates import is_month
from routebench_judges.answers.folding import ARTICLES, fold, words
from routebench_judges.answers.references import Phrase, Reference
from routebench_judges.exact import foreign_values, glossary
from routebench_judges.exact.inflection import forms, inflects, same_person
from routebench_judges.exact.spelling import may_stand, spelt

_TOKEN = re.compile(r"[^\W\d_]+")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n(])[\s\"'*_]*$")
_NUMBER_BEFORE = re.compile(r"\d\s$")
_ONE_BEFORE = (" 1 ", "(1 ", "\n1 ")
_NAME_AFTER = re.compile(r"\s[\"'„“«*_(]*[A-ZÀ-ÖØ-ÞĀ-ſА-ЯЁ\d]")
# `Bombaj nebo také Mumbai` is one answer.
_ALSO = re.compile(
    r"\s(?:také|též|taky|tiež|auch|ook|även|también|também|anche|encore|również|także|также)\b"
)
# Before a name they make another place of it: South Korea, near Tunis.
_OTHER_PLACE = re.compile(
    r"\b(?:(?:sever|jizn|juzn|vychod|zapad|polnoc|poludn|zachod|wschod|nov[aeyo]|now[aey])\w*|(?:nord|sud|ost|west)\w*"
    r"|neu|nouvelle|nueva|nova|nuova|novo|norte|sur|sul|северн\w+|южн\w+|западн\w+|восточн\w+|нов\w+"
    r"|blizko|pobliz|nedaleko|kolem|vedle|u|kolo|obok|blisko|nahe|nabij|cerca de|perto de|pres de"
    r"|vicino a|около|вблизи|недалеко от|под)[\W_]+$"
)
_ENDS = re.compile(r"\s*(?:[.,;:!?…–—-]|$)")
# `57. místo`: a numeral with a point before a word in lower case, in languages that write so.
# Read as an ordinal only where one is asked for: `6. místo` is the number 6, too.
_ORDINAL = re.compile(r"(?<![\w.,])(\d{1,3})\.(?=\s([^\W\d_]+))")
# `d'Oxford`, which folding would make one word.
_ELIDED = re.compile(r"(?<![^\W_])((?:[cdjlmnst]|qu|dell|nell|all|sull|dall|un))['’](?=\w)", re.I)
_ELIDING = frozenset({"fr", "it"})
_SQUARE = re.compile(r"\b((?:kilo|centi|milli)?meters) square\b")
_ENGLISH_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_POINTED = frozenset({"cs", "sk", "de", "pl"})
_GAP = r"[\W_]+"
_PLACE = re.compile(
    r"\bwhere\b|\b(?:what|which|whose|name the|the name of the)\b(?:\s[\w'-]+){0,3}?\s"
    r"(?:city|cities|town|village|country|countries|state|province|district|county|region|continent|island|river|lake"
    r"|municipality|borough|place|capital|nation|territory|university|college|school|port|location)\b"
    r"|\b(?:what|which|name the|the name of the)\b(?:\s[\w'-]+){0,2}?\s(?:site|station|hospital|zoo"
    r"|cemetery|museum|hotel|park|square|street|stadium|theatre|theater|church|temple|prison|academy"
    r"|institute|airport|bridge|mountain|peak|bay|sea|ocean|desert|neighborhood|neighbourhood|suburb"
    r"|area|fort|castle|palace|battle)\b"
)
_LINKS = frozenset({"of", "the", "de", "in", "at"})
_JOINING = (
    r"(?:v|ve|w|we|in|im|von|van|of|de|del|della|degli|studi|di|da|do|du|des|der|dem|d|i|av|в)"
)
# `Kolumbijská univerzita v New Yorku` has a name already.
_ALONE = r"(?<!(?:sk|ck).[\W_])(?<!(?:sk|ck|ch|sc|is)..[\W_])(?<!(?:sk|ck|ch)...[\W_])"
# Oxfordská, Kolumbijská, Harvardova
_ADJECTIVE = r"(?:ov|ev|ij|j)?(?:sk|ck)(?:\w{1,3})|ov(?:a|y|e|u|ou|o|ych|ymi?)"
_SHORT = 3
_ISM = 6
# A further name within a person's: no short word, nor one of those that join two people.
_MIDDLE = r"(?:[^\W\d_]{4,}|[^\W\d_](?=\.))"
_NOT_MIDDLE = re.compile(
    r"\b(?:nebo|oder|eller|alebo|albo|oppure|byl\w?|jsou|jako|take|podle|spolu|proti|nikoli\w?|ktery"
    r"|ktera|jeho|jeji|with|wurde|sowie|avec|pour|para|como|sino|dans|also|auch|anche)\b"
)
_BARE = 5  # words of an answer that is a name alone
_LATIN = ("cs", "pl", "de", "es", "fr", "it", "pt", "nl", "sv", "sk")
_READ = 2000  # characters whose script is looked at
_KEPT = 5000  # patterns
_PACKAGE = "routebench_judges.exact"


def in_english(text: str, language: str, reference: Reference) -> str:
    """Return the folded answer with its numbers, `or`, `not` and the like in English.

    A form of a reference's name, in a case of the language or as the language calls the place, is
    written as in the reference.
    """
    text = unicodedata.normalize("NFC", text)
    if language in _POINTED and _wants_ordinal(reference):
        text = _ORDINAL.sub(_ordinal, text)
    if language in _ELIDING:
        text = _ELIDED.sub(r"\1 ", text)
    folded = fold(_TOKEN.sub(_translator(text, language), text))
    folded = foreign_values.rewritten(_SQUARE.sub(r"square \1", folded), language, reference)
    place = _PLACE.search(reference.question.folded) is not None
    for phrase in reference.phrases:
        for part in phrase.items or (phrase,):
            folded = _named(folded, part, language, place, reference.question.folded)
        if reference.one_answer and not phrase.items and " ".join(phrase.words) in folded:
            break
    return folded


def only_the_name(text: str, reference: Reference) -> bool:
    """Return whether a text of a few words is what some language calls the reference."""
    folded = fold(text)
    said = [word for word in words(folded) if word not in ARTICLES]
    if not 0 < len(said) <= _BARE or not any(map(str.isalpha, said)):
        return False
    for phrase in reference.phrases:
        if len(phrase.words) > _BARE or phrase.items:
            continue
        for language in languages_of(text, phrase.words):
            written = words(in_english(text, language, reference))
            kept = tuple(w for w in written if w not in ARTICLES and not w.isdigit())
            if kept == phrase.words:
                return True
    return False


def languages_of(text: str, name: tuple[str, ...]) -> Sequence[str]:
    """Return the languages in which a few words may be a name: by letters, or as they call it."""
    if any("а" <= letter <= "я" for letter in text.lower()):
        return ("ru",)
    plain = " ".join(name)
    called = [code for code in _LATIN if (code, plain) in _names()]
    return [*called, _LATIN[0]] if _LATIN[0] not in called else called


def other_script(text: str, reference: Reference, language: str | None) -> bool:
    """Return whether an answer writes names in another script than the reference does.

    Not where the reference is a value, or a place that the answer's language is known to call so.
    """
    if not reference.phrases or reference.quantities or reference.dates or reference.counts:
        return False
    if any(
        not word.isascii() or word.isdigit() or (language, " ".join(phrase.words)) in _names()
        for phrase in reference.phrases
        for word in phrase.words
    ):
        return False
    letters = [letter for letter in text[:_READ] if letter.isalpha()]
    return 2 * sum(unicodedata.name(one, "").startswith("LATIN") for one in letters) < len(letters)


def _ordinal(match: re.Match[str]) -> str:
    follows = match[2]
    if not follows.islower() or is_month(fold(follows)):
        return match[0]
    last = match[1][-1] if match[1][-2:-1] != "1" else ""
    return match[1] + {"1": "st", "2": "nd", "3": "rd"}.get(last, "th")


def _wants_ordinal(reference: Reference) -> bool:
    values = [*reference.quantities, *reference.counts]
    return any(one.ordinal for one in values) or any(
        _ENGLISH_ORDINAL.fullmatch(word) for phrase in reference.phrases for word in phrase.words
    )


def _translator(text: str, language: str) -> Callable[[re.Match[str]], str]:
    listed, conjunctions, denial = _wordings()[language]

    def translated(match: re.Match[str]) -> str:
        word = match[0]
        low = word.lower()
        if low not in listed and low not in conjunctions and low != denial:
            return word
        if not word.islower():
            before = text[max(0, match.start() - 8) : match.start()]
            if len(word) == 1 or not word.istitle() or not _SENTENCE_START.search(before):
                return word
            word = word.lower()
        if word in conjunctions:
            return "and" if _NAME_AFTER.match(text, match.end()) else match[0]
        if word == denial and _ENDS.match(text, match.end()):
            return "no"
        if _ALSO.match(text, match.end()):
            return match[0]
        there = listed.get(word) or ("not" if word == denial else None)
        if there == "year":
            near = text[max(0, match.start() - 16) : match.start()]
            if is_month(fold(near).split()[-1] if near.strip() else ""):
                return match[0]
            counted = _NUMBER_BEFORE.search(near) and not near.endswith(_ONE_BEFORE)
            return "years" if counted else "year"
        return there or match[0]

    return translated


@cache
def _wordings() -> dict[str, tuple[dict[str, str], frozenset[str], str]]:
    """Return by language the English for its words, its words for `and` and its `no`."""
    listed = tomllib.loads(files(_PACKAGE).joinpath("wordings.toml").read_text("utf-8"))
    return {
        code: (
            {
                word: english
                for english, ones in table.items()
                if english not in ("no", "and")
                for word in ones.split()
            },
            frozenset(table["and"].split()),
            table["no"],
        )
        for code, table in listed.items()
    }


@cache
def _names() -> dict[tuple[str, str], list[str]]:
    """Return what a language calls a place or a language, by its code and the English name."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in files(_PACKAGE).joinpath("names.tsv").read_text("utf-8").splitlines():
        english, code, name = line.split("\t")
        found.setdefault((code, english), []).append(name)
    return found


def _named(folded: str, phrase: Phrase, language: str, place: bool, asked: str) -> str:
    plain = " ".join(phrase.words)
    if phrase.plain in folded:
        return folded
    for pattern in _exonyms(plain, language):
        folded = pattern.sub(lambda match: match[0] if _elsewhere(match) else plain, folded)
    if plain.endswith("ism") and " " not in plain and len(plain) > _ISM:
        folded = _movement(plain).sub(plain, folded)
    if _kind_beside(phrase.words, language, folded):
        described = _described(phrase.words, language)
        folded = described.sub(plain, folded) if described else folded
    may = may_stand(phrase.words, folded)
    cases = _cases(phrase.words, language, not place) if may else None
    if cases is not None:

        def nominative(match: re.Match[str]) -> str:
            same = match.groups() == phrase.words or _elsewhere(match)
            same = same or _NOT_MIDDLE.search(match[0]) is not None
            if same or not (place or same_person(phrase.words, match.groups())):
                return match[0]
            return plain

        folded = cases.sub(nominative, folded)
    # `Columbia University v New Yorku` has an English name: the words of no other are sought there.
    things, _ = _kinds()
    english = any(word in things and f"{word} " in folded for word in phrase.words)
    if glossary.knows(language) and plain not in folded and not english:
        folded = glossary.translated(folded, phrase.words, language, asked, _may_be, _any_form)
    return folded


@lru_cache(_KEPT)
def _movement(plain: str) -> re.Pattern[str]:
    """Return a pattern for what ends in -ism as other languages end it: `surrealismu`."""
    return re.compile(_whole(rf"{spelt(plain[:-3])}i[sz]m(?:us|u|em|e|es|o|os|a|i|y)?"))


def _kind_beside(name: Sequence[str], language: str, folded: str) -> bool:
    """Return whether what is a name's own, beside a noun, may stand in a folded text."""
    things, people = _kinds()
    own = [word for word in name if word not in things and word not in people]
    own = [word for word in own if word not in _LINKS]
    if len(own) == len(name):
        return False
    return may_stand(own, folded) or (language, " ".join(own)) in _names()


def _may_be(word: str, language: str, folded: str) -> bool:
    return may_stand((word,), folded) or (language, word) in _names()


@lru_cache(_KEPT)
def _any_form(word: str, language: str) -> str:
    """Return a pattern for a word of a name in any case and spelling, or as it is called there."""
    called = [one.pattern for one in _exonyms(word, language)]
    return "|".join([forms(word, language, spelling=spelt), *called])


@lru_cache(_KEPT)
def _described(name: tuple[str, ...], language: str) -> re.Pattern[str] | None:
    """Return a pattern for a name beside a noun that is translated: `Universität Oxford`."""
    things, people = _kinds()
    kinds = [word for word in name if word in things or word in people]
    own = [word for word in name if word not in kinds and word not in _LINKS]
    if len(kinds) != 1 or not own or max(len(word) for word in own) < 4:
        return None
    (kind,) = kinds
    listed = (things | people)[kind]
    noun = rf"(?:{'|'.join(listed)})\w{{0,8}}"
    if kind not in listed:  # `Columbia University v New Yorku` is an English name
        noun = rf"(?!{kind}(?![^\W_])){noun}"
    own_plain = " ".join(own)
    called = [
        _GAP.join(forms(word, language, kind in people, spelling=spelt) for word in own),
        *(one.pattern for one in _exonyms(own_plain, language)),
    ]
    if kind in things and inflects(language) and len(own) == 1:
        stems = [own_plain, *_names().get((language, own_plain), ())]
        called += [rf"{spelt(stem.rstrip('aeiouy'))}(?:{_ADJECTIVE})" for stem in stems]
    either = f"(?:{'|'.join(called)})"
    inner = r"[^\W_]+" if kind in people else _JOINING
    between = rf"{_GAP}(?:{inner}{_GAP}){{0,2}}"
    return re.compile(_whole(rf"(?:{_ALONE}{noun}{between}{either}|{either}{_GAP}{noun})"))


@cache
def _kinds() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the nouns that stand beside names of things and of people, in other languages."""
    listed = tomllib.loads(files(_PACKAGE).joinpath("kinds.toml").read_text("utf-8"))
    things, people = (
        {english: others.split() for english, others in listed[part].items()}
        for part in ("things", "people")
    )
    return things, people


def _elsewhere(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 24) : match.start()]
    return _OTHER_PLACE.search(before) is not None


@lru_cache(_KEPT)
def _exonyms(plain: str, language: str) -> list[re.Pattern[str]]:
    """Return patterns for what a language calls a place, in any case."""
    return [
        re.compile(_whole(_GAP.join(forms(word, language, least=3) for word in name.split())))
        for name in _names().get((language, plain.removeprefix("republic of ")), ())
    ]


@lru_cache(_KEPT)
def _cases(name: tuple[str, ...], language: str, person: bool) -> re.Pattern[str] | None:
    """Return a pattern for a name in any case, a group for each word; None where it has none."""
    # Two names together are hardly another person's, whatever their spelling.
    spelling: Callable[[str], str] = spelt if not person or len(name) > 1 else str
    if person and len(name) > 2:
        spelling = partial(spelt, least=_SHORT + 1)
    # A first name of three letters has endings too, where a surname stands beside it.
    least = _SHORT if person and len(name) > 1 and len(name[-1]) > _SHORT else _SHORT + 1
    kinds = [forms(word, language, person, least, spelling) for word in name]
    if kinds == [re.escape(word) for word in name]:
        return None
    gap = _GAP
    if person and len(name) == 2 and min(map(len, name)) > _SHORT:
        gap = rf"{_GAP}(?:{_MIDDLE}{_GAP}){{0,2}}"
    return re.compile(_whole(gap.join(f"({one})" for one in kinds)))


def _whole(pattern: str) -> str:
    return rf"(?<![^\W_]){pattern}(?![^\W_])"
