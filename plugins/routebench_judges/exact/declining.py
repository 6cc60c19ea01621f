"""Tell a refusal in another language than English from an answer that is only in doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.refusals_elsewhere import GUESSES, REFUSES
from routebench_judges.exact.refusing import ALSO_REFUSES, DENIES, GIVES_NOTHING, HINTS

_SENTENCE_END = re.compile(
    r"(?:(?<!\d)(?<!\b[A-ZČŠŽ])[.!?]+|(?<=\d{4})\.(?=\s+[A-ZÀ-ÖØ-ÞĀ-ž]))[\"')*”]*\s+|\n+"
)
# `It is not known that he ever did` denies.
_KNOWN_OTHERWISE = re.compile(
    r"\b(?:neni (?:mi )?(?:\w+ )?znamo|nie je zname|nie wiadomo|nicht bekannt|niet bekend|inte kant"
    r"|nest pas connu|no se sabe|nao se sabe|non e noto|не известно),? (?:ze|aby|dass|dat|att|que"
    r"|che|чтобы|что)\b"
)
_UNKNOWN = re.compile(r"<unknown>|&lt;unknown&gt;", re.I)
_OFTEN = 2  # sentences that say that nothing is known
_FEW = 6  # words before a doubt, `Oxford, but I am not sure`
_READ = 6000  # characters of an answer
# `Although I cannot be sure, it was X.`
_CONCEDED = re.compile(
    r"\W*(?:acko\w*|prestoze|i kdyz|aj ked|hoci|chociaz|mimo ze|obwohl|auch wenn|hoewel|aven om"
    r"|aunque|si bien|bien que|quoique|embora|ainda que|sebbene|anche se|хотя)\b"
)
_WORD = re.compile(r"[^\W_]+")
_LIKE = str.maketrans("cwy", "kvi")  # Colombia, Kolumbie
# A guess that names no one and no number: `někdo z nich`, `mezi 5 a 12 lety`.
_VAGUE = re.compile(
    r"\b(?:nejak\w+|nekter\w+|nekdo|nekym|neco|nekdy (?:mezi|v prubehu)|mezi \d+ a \d+|v radu"
    r"|mene nez|vice nez|prumerne|bylo by to|archiv\w*|obvykle|irgend\w+|quelques?"
    r"|algun\w*|qualche|jakis\w*|jakas)\b"
)
_NUMERALS = re.compile(
    r"\b(?:jed(?:en|n[aouy]|noho)|dv(?:a|e|ou)|tri|tremi|ctyr\w*|pet|sest|sedm|osm|devet|deset)\b"
)


class Refusal(NamedTuple):
    """The sentences of an answer that do not refuse, and whether it refuses all the same."""

    declined: bool
    said: str


def refusal(text: str, question: Sequence[str], numbers: int, language: str) -> Refusal | None:
    """Return how an answer refuses; None where no sentence of it does.

    It declines unless it commits before, or guesses after and does not take it back. Where the
    answer wants a number of at least so many digits, only one that is not of the question commits.
    """
    sentences = [one for one in _SENTENCE_END.split(text[:_READ]) if one.strip()]
    known = set(question) | {word.rstrip("stndrh") for word in question}
    known = known if numbers else {_key(word) for word in question}
    leads = [_lead(sentence, known, numbers, language) for sentence in sentences]
    refused = [n for n, lead in enumerate(leads) if lead is not None]
    if not refused:
        return None
    first = refused[0]
    denied = first > 0 and language in HINTS and DENIES.search(fold(sentences[0])) is not None
    lead = leads[first] or ""
    parts = [
        (sentence if one is None else one) if n <= first or one is None else ""
        for n, (sentence, one) in enumerate(zip(sentences, leads, strict=True))
    ]
    guesses = [n for n, one in enumerate(parts) if _guesses(one, known, numbers)]
    early = any(_offers(one, known, numbers) for one in (sentences[:first] or [lead])[:1])
    # A name in the first sentences is an answer, unless it is background of what is not known.
    nothing = sum(GIVES_NOTHING.search(fold(sentences[n])) is not None for n in refused)
    named = first > 1 and nothing < _OFTEN and (early or not nothing)
    committed = early if numbers else named
    guessed = bool(guesses) and (guesses[0] <= first or guesses[-1] > refused[-1])
    said = [one for one, refuses in zip(sentences, leads, strict=True) if refuses is None]
    if len(_WORD.findall(lead)) < _FEW:
        said.insert(0, lead)
    return Refusal(not (committed or guessed or denied), ". ".join(said))


def _lead(sentence: str, known: set[str], numbers: int, language: str) -> str | None:
    """Return the words of a sentence before it refuses; None where it does not."""
    if "unknown" in sentence.lower() and _UNKNOWN.search(sentence):
        return ""
    folded = fold(sentence)
    hints = HINTS.get(language)
    if hints and not any(hint in folded for hint in hints):
        return None
    folded = _KNOWN_OTHERWISE.sub(lambda match: "_" * len(match[0]), folded)
    found = [match for rule in (REFUSES, ALSO_REFUSES[language]) if (match := rule.search(folded))]
    if not found:
        return None
    # As many words of what is written: folding may change its length.
    ends = [0, *(match.end() for match in _WORD.finditer(sentence))]
    start, end = min(match.start() for match in found), max(match.end() for match in found)
    if _CONCEDED.match(folded) and _offers(
        sentence[ends[min(len(ends) - 1, len(_WORD.findall(folded[:end])))] :], known, numbers
    ):
        return None
    return sentence[: ends[min(len(ends) - 1, len(_WORD.findall(folded[:start])))]]


def _guesses(sentence: str, known: set[str], numbers: int) -> bool:
    folded = fold(sentence)
    vague = _VAGUE.search(folded) or _UNKNOWN.search(sentence)
    return bool(GUESSES.search(folded)) and not vague and _offers(sentence, known, numbers)


def _offers(sentence: str, known: set[str], numbers: int) -> bool:
    """Return whether a sentence has a number, or a name, that the question has not."""
    if numbers:
        if numbers == 1 and _NUMERALS.search(fold(sentence)):
            return True
        return any(
            word[:1].isdigit() and word not in known and len(word) >= numbers
            for word in words(fold(sentence))
        )
    return any(
        word[:1].isupper() and len(word) > 2 and _key(fold(word)) not in known
        for word in _WORD.findall(sentence)[1:]
    )


def _key(word: str) -> str:
    """Return a word's beginning as it is spelled alike in several languages."""
    return word[:3].translate(_LIKE)
