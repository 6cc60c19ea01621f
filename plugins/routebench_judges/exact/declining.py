"""Tell a refusal in another language than English from an answer that is only in doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from routebench_judges.answers.folding import fold, words
from routebench_judges.answers.refusals_elsewhere import GUESSES, REFUSES

_SENTENCE_END = re.compile(r"(?<!\d)(?<!\b[A-ZČŠŽ])[.!?]+[\"')*”]*\s+|\n+")
# `It is not known that he ever did` denies.
_KNOWN_OTHERWISE = re.compile(
    r"\b(?:neni (?:mi )?(?:\w+ )?znamo|nie je zname|nie wiadomo|nicht bekannt|niet bekend|inte kant"
    r"|nest pas connu|no se sabe|nao se sabe|non e noto|не известно),? (?:ze|aby|dass|dat|att|que"
    r"|che|чтобы|что)\b"
)
_FEW = 6  # words before a doubt, `Oxford, but I am not sure`
_READ = 6000  # characters of an answer
# `Although I cannot be sure, it was X.`
_CONCEDED = re.compile(
    r"\W*(?:acko\w*|prestoze|i kdyz|aj ked|hoci|chociaz|mimo ze|obwohl|auch wenn|hoewel|aven om"
    r"|aunque|si bien|bien que|quoique|embora|ainda que|sebbene|anche se|хотя)\b"
)
_WORD = re.compile(r"[^\W_]+")
_LIKE = str.maketrans("cwy", "kvi")  # Colombia, Kolumbie
# What else refuses, in sentences; of folded texts.
_ALSO_REFUSES = re.compile(
    # Czech and Slovak
    r"\b(?:nemohu|nemuzu|nemuzeme|nemozem|nedokazu|nedokazeme|nelze) (?:\w+ ){0,9}(?:citovat"
    r"|reprodukovat|jmenovat|vybavit|vyhledat|zarucit|garantovat|byt jist\w*|prohlasit|tvrdit)\b"
    r"|\bnepodarilo (?:\w+ ){0,3}(?:dohledat|najit|zjistit|overit|nalezt|urcit)\b|\bnevybavuji\b"
    r"|\bch(?:y)?bi (?:\w+ ){0,5}(?:informac\w+|udaj\w*|data)\b|\bmi chybi\b|\bneni mi znam\w*"
    r"|\bpostrada\w+ (?:\w+ ){0,3}(?:kontext\w*|informac\w*)"
    r"|\bvyzad(?:uj\w+|oval\w*) (?:\w+ ){0,6}(?:overen\w+|vyzkum\w*|resers\w*|patran\w+"
    r"|zkouman\w+|pristup\w*)"
    r"|\b(?:neni|nejsou|nebyl[aoiy]?) (?:\w+ ){0,8}(?:zrejm\w+|jasn\w+|dolozen\w*|jednoznacn\w+"
    r"|zminen\w*|specifikovan\w*|zaznamenan\w*|dohledateln\w*|znam\w*|mozne|urcit)\b"
    r"|\b(?:neni|nejsou|nebyl[aoiy]?) v (?:mych|me|mem|dotazu|otazce)\b"
    r"|\bmusim (?:\w+ ){0,2}overit\b|\bbych nechtela?\b"
    r"|\bdoporucuji overit (?:\w+ ){0,3}(?:primo|v)\b|\bnemam (?:\w+ ){0,4}overen\w+"
    r"|\bmusela? bych\b|\bbych musela?\b"
    r"|\bneznam(?:e|y|a|ych)\b|\bneodpovida mym\b"
    r"|\bneviem (?:\w+ ){0,4}|\bnemam (?:\w+ ){0,4}informaci\w+"
    # German and Dutch
    r"|\b(?:ist|sind|war|wurden?) (?:\w+ ){0,9}(?:nicht|nirgends) (?:\w+ ){0,3}(?:bekannt"
    r"|verfugbar|dokumentiert|uberliefert|klar|angegeben|moglich)\b|\bmir fehl(?:t|en)\b"
    r"|\bliegen (?:\w+ ){0,3}(?:keine|nicht)\b|\blasst sich (?:\w+ ){0,5}nicht\b"
    r"|\bis (?:\w+ ){0,6}niet (?:\w+ ){0,3}(?:bekend|beschikbaar|gedocumenteerd|duidelijk)\b"
    # Swedish
    r"|\bjag vet (?:\w+ ){0,2}inte\b|\bjag (?:kan|har) (?:\w+ ){0,3}(?:inte|ingen)\b"
    r"|\binte (?:\w+ ){0,3}(?:kant|kand|tillganglig\w*)\b|\btyvarr\b"
    # French
    r"|\bnest pas (?:\w+ ){0,4}(?:connue?s?|disponibles?|possible|precisee?s?|claire?s?"
    r"|documentee?s?)\b|\bne sont pas (?:\w+ ){0,4}(?:connue?s|disponibles|documentee?s)\b"
    r"|\bil me manque\b|\bpas pu (?:\w+ ){0,2}(?:trouver|determiner|verifier)\b"
    # Spanish, Portuguese and Italian
    r"|\bno (?:esta|estan|es|se|fue) (?:\w+ ){0,4}(?:disponibles?|claro|clara|documentad\w+"
    r"|conocid\w+|posible|especificad\w+|sabe|conoce)\b|\bno (?:pude|he podido)\b|\bme faltan?\b"
    r"|\bnao (?:esta|estao|e|foi|se) (?:\w+ ){0,4}(?:disponive\w+|claro|clara|documentad\w+"
    r"|conhecid\w+|possivel|especificad\w+|sabe)\b|\bnao consegui\b"
    r"|\bnon (?:e|sono|si) (?:\w+ ){0,4}(?:disponibil\w+|chiar\w+|documentat\w+|not[aoei]"
    r"|possibile|specificat\w+|sa)\b|\bnon sono riuscit\w\b|\bmi manca(?:no)?\b"
    # Polish and Russian
    r"|\bnie (?:jest|sa|zostal\w*) (?:\w+ ){0,5}(?:znan\w+|dostepn\w+|jasn\w+"
    r"|udokumentowan\w+|mozliwe|podan\w+)\b|\bbrakuje mi\b|\bnie udalo (?:\w+ ){0,2}sie\b"
    r"|\bне (?:\w+ ){0,3}(?:указан\w*|известн\w*|доступн\w*|ясно|задокументирован\w*)\b"
    r"|\bневозможно (?:\w+ ){0,3}(?:определить|установить|сказать)\b"
)


class Refusal(NamedTuple):
    """The sentences of an answer that do not refuse, and whether it refuses all the same."""

    declined: bool
    said: str


def refusal(text: str, question: Sequence[str], numbers: int) -> Refusal | None:
    """Return how an answer refuses; None where no sentence of it does.

    It declines unless it commits before, or guesses after and does not take it back. Where the
    answer wants a number of at least so many digits, only one that is not of the question commits.
    """
    sentences = [one for one in _SENTENCE_END.split(text[:_READ]) if one.strip()]
    known = set(question) | {word.rstrip("stndrh") for word in question}
    known = known if numbers else {_key(word) for word in question}
    leads = [_lead(sentence, known, numbers) for sentence in sentences]
    refused = [n for n, lead in enumerate(leads) if lead is not None]
    if not refused:
        return None
    first = refused[0]
    lead = leads[first] or ""
    parts = [
        (sentence if one is None else one) if n <= first or one is None else ""
        for n, (sentence, one) in enumerate(zip(sentences, leads, strict=True))
    ]
    guesses = [n for n, one in enumerate(parts) if _guesses(one, known, numbers)]
    early = any(_offers(one, known, numbers) for one in (sentences[:first] or [lead])[:1])
    committed = early if numbers else first > 1
    guessed = bool(guesses) and (guesses[0] <= first or guesses[-1] > refused[-1])
    said = [one for one, refuses in zip(sentences, leads, strict=True) if refuses is None]
    if len(_WORD.findall(lead)) < _FEW:
        said.insert(0, lead)
    return Refusal(not (committed or guessed), ". ".join(said))


def _lead(sentence: str, known: set[str], numbers: int) -> str | None:
    """Return the words of a sentence before it refuses; None where it does not."""
    folded = _KNOWN_OTHERWISE.sub(lambda match: "_" * len(match[0]), fold(sentence))
    found = [match for rule in (REFUSES, _ALSO_REFUSES) if (match := rule.search(folded))]
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
    return GUESSES.search(fold(sentence)) is not None and _offers(sentence, known, numbers)


def _offers(sentence: str, known: set[str], numbers: int) -> bool:
    """Return whether a sentence has a number, or a name, that the question has not."""
    if numbers:
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
