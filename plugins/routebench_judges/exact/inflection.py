"""Patterns for the forms that a name takes in the cases of a language."""

from __future__ import annotations

import re
from collections.abc import Callable

# Endings of names by what the name ends in: a consonant, or a vowel that gives way to the ending.
_CZECH = {
    "": "u em e ovi om i a uv ova ove ovou ovy ovych",
    "a": "y e i u o ou je ji ovi ova ove ovou",
    "o": "a u em e ovi om ova ove ovou",
    "e": "i im ich ym ych ymi em eho ho a ovi ova ove ovou u",
    "y": "u ech um ami ach eho emu em ym ho mu ou yho ymu yem yho ova ove ovou",
    "i": "iho imu im ho mu m ova ove ovou",
    "u": "u ua uovi uem uove",
}
_POLISH = {
    "": "u a em iem owi ie e y i",
    "a": "y i e ie o",
    "o": "a u em ie owi",
    "e": "ich ych ym ymi ego emu em go m a owi",
    "y": "ego emu ym ch ech ow om ami ach go m",
    "i": "iego iemu im ch ego emu ego go m",
}
_RUSSIAN = {
    "": "а у е ом ем ы и ов ам ами ах",
    "а": "ы и е у ой ою",
    "я": "и ю е ей ею",
    "о": "а у ом е",
    "ь": "я ю ем е и ью",
    "е": "я ю ем и их ых ым ыми",
    "ы": "ов ам ами ах",
    "и": "ям ями ях я ю ем е",  # й is folded into it
}
_GENITIVE = {"": "s", "a": "as", "o": "os", "e": "es", "i": "is", "y": "ys"}
_ENDINGS = {
    "cs": _CZECH,
    "sk": _CZECH,
    "pl": _POLISH,
    "ru": _RUSSIAN,
    "de": _GENITIVE,
    "nl": _GENITIVE,
    "sv": _GENITIVE,
}
# Endings that make another person's name: Martina, Emily, Mariane, Roberts, Cristiani.
_OF_OTHERS = {
    "cs": frozenset({"y", "e", "i", "o", "je", "ji", "im", "ich", "ym", "ych", "ymi"}),
    "pl": frozenset({"y", "e", "i", "o", "ie"}),
    "de": frozenset({"s", "as", "os", "es", "is", "ys"}),
}
_OF_OTHERS |= {"ru": frozenset({"ы", "и", "е"})}
_OF_OTHERS |= {"sk": _OF_OTHERS["cs"], "nl": _OF_OTHERS["de"], "sv": _OF_OTHERS["de"]}
_SOFTER = {"h": "z", "k": "c", "g": "z", "c": "c"}  # Praha, Praze
_FLEETING = re.compile(r"(?<=[^aeiouy])e([lkcn])$")  # Karel, Karla
_SOFT = "szxcj"
_YIELDING = ("a", "а", "я")  # vowels that other endings replace
_SHORTEST = 4
WOMAN = re.compile(r"ov(?:a|e|ou)$")


def inflects(language: str) -> bool:
    """Return whether names take endings in a language."""
    return language in _ENDINGS


def forms(
    word: str,
    language: str,
    person: bool = False,
    least: int = _SHORTEST,
    spelling: Callable[[str], str] = str,
) -> str:
    """Return a pattern for a folded word in any case; short ones and numbers only as they are.

    Of a person's name no form counts that is mostly another name; an `a` after a consonant does,
    and the caller weighs it.
    """
    listed = _ENDINGS.get(language)
    if len(word) < least or not word.isalpha():
        return re.escape(word)
    if listed is None:
        return spelling(word)
    last = word[-1] if word[-1] in listed else ""
    if not last and word[-1] in "aeiouyаеёиоуыэюя":
        return spelling(word)
    endings = listed[last].split()
    if person and not last.startswith(_YIELDING):
        kept = {"e", "i"} if word[-1] in _SOFT else set()  # Louise Armstronga
        endings = [one for one in endings if one not in _OF_OTHERS.get(language, ()) or one in kept]
    if not person:
        endings = [one for one in endings if not WOMAN.fullmatch(one)]
    stem = word[: len(word) - len(last)]
    kinds = [spelling(word), f"{spelling(stem)}(?:{'|'.join(endings)})"]
    if last == "a" and stem[-1] in _SOFTER and language != "ru":
        kinds.append(f"{stem[:-1]}{_SOFTER[stem[-1]]}e")
    if not last and language in ("cs", "sk", "pl") and _FLEETING.search(word):
        kinds.append(_FLEETING.sub(r"\1", word) + f"(?:{'|'.join(endings)})")
    return f"(?:{'|'.join(kinds)})"


def same_person(name: tuple[str, ...], found: tuple[str, ...]) -> bool:
    """Return whether the words found are a case of a person's name, not another person's.

    An `a` after a name is a case (`Martina Husa`) or a woman (`Martina`): it is a case only where
    the surname has an ending too. A surname in -ová is a woman's, whose first name has no such `a`.
    """
    ended = [
        wanted != one
        and ((one[-1:] in "aа" and wanted[-1:] not in "aа") or one in (f"{wanted}e", f"{wanted}i"))
        for wanted, one in zip(name, found, strict=True)
        if not WOMAN.search(one, len(wanted) - 1)
    ]
    if found[-1] == name[-1] + "u":  # Martinů is no case of Martin
        return False
    if not any(ended):
        return len(name) > 1 or not WOMAN.search(found[0]) or found == name
    if len(name) == 1 or found[-1] == name[-1] or WOMAN.search(found[-1][len(name[-1]) - 1 :]):
        return False
    # Each name before has an ending too, or is one that takes none.
    return all(
        one != wanted or wanted[-1] in "aeiouy" for wanted, one in zip(name, found, strict=True)
    )
