"""Recognise the language in which an answer is written, by its function words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from routebench_judges.answers.folding import fold, listed_words, words

ENGLISH = "en"
_FUNCTION_WORDS = {
    ENGLISH: "the of and is was in to it that by with for are were be been this as on at from "
    "which who a an he she his her its they has have had not no or but i you we their there "
    "one died born what when",
    "cs": "je byl byla bylo byli byly jsou se si v ve na z ze do od po pro za s k o kde ktery "
    "ktera ktere jako nebo ale ze to roku roce jeho jeji a i u pod mezi ktereho kterou "
    "mi jak ma mel podle pri teto tento tato jsem neni nebyl nebyla nebylo dne ziskal ziskala "
    "narodil narodila zemrel zemrela nazev jmenuje jmenoval jmenovala dva dve "
    "roky prvni studoval studovala obsahoval obsahuje napsal napsala vydal vysel",
    "sk": "je bol bola bolo boli su sa si v vo na z zo do od po pre za s k o kde ktory ktora "
    "ktore ako alebo ale ze to roku jeho jej a i u pod medzi "
    "nie mi ma mal podla pri tento tato som",
    "pl": "jest byl byla bylo byli sa sie w we na z ze do od po dla za przez o ktory ktora ktore "
    "jako lub ale ze to roku jego jej i a u oraz pod miedzy "
    "nie ma mial tej ten przy",
    "de": "der die das und ist war wurde in im von mit den dem des ein eine einen nicht zu zum "
    "auf fur als auch sich es er sie am bei nach aus oder",
    "nl": "de het een en is was werd in van met op te dat die niet voor zijn ook als er om door "
    "uit bij naar deze",
    "sv": "och ar var det en ett som i pa av till med den inte for han hon blev fran om vid att",
    "es": "el la los las de del y es fue en un una que por con para se su como no al lo era",
    "pt": "o a os as de do da dos das e foi em no na um uma que por com para se sua seu como nao "
    "ao era pelo pela",
    "it": "il la lo gli le di del della dei e fu in un una che per con si suo come non nel nella "
    "dal dalla era stato i al",
    "fr": "le la les de du des et est etait en un une que par avec pour dans il elle au sur pas "
    "qui a ete ne se son sa fut "
    "ce cest nest mais ou je nai",
    "ru": "в и на не что он она был была было были с по из для как это от году к его а о у во",
}
# Letters of few languages: a word in lower case that has one counts as a function word does.
_LETTERS = {
    "cs": "ěřů",
    "sk": "ľĺŕ",
    "pl": "łąęśźż",
    "de": "ß",
    "sv": "å",
    "es": "ñ¿",
    "pt": "ãõ",
}
_ACUTE = "áéíóú"
_SHARED_LETTERS = {"cs": "ěřůčšžýťďň", "sk": "ľĺŕčšžýťďňô"}
# Words of names in any language.
_PARTICLES = frozenset(
    listed_words(
        "de del della di da do dos das du des la le les el los las lo il i y e a o u en et und van"
        " von der den het ten ter al in no on to na se si as os of"
    )
)
_MOST_LETTERS = 3  # words that count by their letters
_QUOTED = re.compile(r"\"[^\"\n]{3,200}\"|“[^”\n]{3,200}”|„[^“”\n]{3,200}[“”]")
_LETTERS_ONLY = re.compile(r"(?<![^\W_])[^\W\d_]+")
_LANGUAGES = {
    word: [code for code, listed in _FUNCTION_WORDS.items() if word in listed_words(listed)]
    for listed in _FUNCTION_WORDS.values()
    for word in listed_words(listed)
}
_READ = 400  # words of an answer that are looked at
_LONGEST = 20_000  # characters
_LEAST = 2


def language(text: str) -> str | None:
    """Return the code of the language of a text; None where it has too few function words.

    English is the answer wherever no other language has more of them. Titles in quotes may be in
    another language and are left out where enough is written around them.
    """
    text = text[:_LONGEST]
    around = _QUOTED.sub(" ", text)
    return _language(around) or (_language(text) if around != text else None)


def _language(text: str) -> str | None:
    counts: Counter[str] = Counter()
    tokens = words(fold(text))[:_READ]
    for token, times in Counter(tokens).items():
        for code in _LANGUAGES.get(token, ()):
            counts[code] += times
    if not text.isascii() and not _clear(counts):
        counts.update(_by_letters(unicodedata.normalize("NFC", text), counts))
    most = max(counts.values(), default=0)
    if not most:
        return None
    if counts[ENGLISH] == most:
        return ENGLISH
    if most < _LEAST and not _tells(text):
        return None
    return next(code for code in _FUNCTION_WORDS if counts[code] == most)


def _clear(counts: Counter[str]) -> bool:
    """Return whether one language has so many more words that letters need not be looked at."""
    first, second = (*(count for _, count in counts.most_common(2)), 0, 0)[:2]
    return first - second > _MOST_LETTERS


def _tells(text: str) -> bool:
    """Return whether one function word is enough: no particle of a name, in a sentence."""
    tokens = _LETTERS_ONLY.findall(text)
    return len(tokens) > 2 and any(
        word in _LANGUAGES and word not in _PARTICLES for word in map(fold, tokens)
    )


def _by_letters(text: str, counts: Counter[str]) -> Counter[str]:
    """Return how many words in lower case have letters of a language, three at most."""
    found: Counter[str] = Counter()
    tokens = list(islice(_LETTERS_ONLY.findall(text), _READ))
    marked = [
        word.lower()
        for n, word in enumerate(tokens)
        if not word.isascii() and (word.islower() or not n)
    ]
    for code, letters in _LETTERS.items():
        shared = _SHARED_LETTERS.get(code)
        if shared is None and counts[code]:
            found[code] = min(1, _with_any(marked, letters))
        elif shared and (hooked := _with_any(marked, shared)):
            found[code] = min(_MOST_LETTERS, max(hooked, _with_any(marked, shared + _ACUTE)))
    # What both write tells them apart from others only.
    if _with_any(marked, _LETTERS["sk"]):
        found["sk"] += 1
    elif _with_any(marked, _LETTERS["cs"]):
        found["cs"] += 1
    return found


def _with_any(marked: Sequence[str], letters: str) -> int:
    return sum(not set(letters).isdisjoint(word) for word in marked)
