"""Names of people: their titles, and which parts of a name are enough."""

from __future__ import annotations

import re
from collections.abc import Sequence

from routebench_judges.answers.folding import listed_words

# A surname alone is enough after these titles; after the others two names are wanted.
_OFFICES = frozenset(
    listed_words(
        "dr doctor prof professor president premier minister senator governor justice judge mayor"
        " coach general colonel major captain lieutenant admiral commander sergeant rev reverend"
        " bishop archbishop cardinal ambassador chancellor"
    )
)
_TITLES = _OFFICES | frozenset(
    listed_words(
        "mr mrs ms miss sir dame lord lady king queen prince princess emperor empress pope baron"
        " baroness count countess duke duchess sheikh swami father brother sister mother pastor"
        " the painter author writer actor actress singer composer"
    )
)
_ROLES = listed_words(
    "king queen prince princess lawyer attorney engineer painter composer writer poet sculptor"
    " photographer wife husband father mother son daughter uncle aunt brother sister grandfather"
    " grandmother friend astronomer mathematician physicist chemist biologist philosopher founder"
    " ceo chairman chairperson speaker host officer engraver inventor explorer astronaut referee"
    " cricketer footballer boxer dancer comedian journalist novelist playwright screenwriter"
    " producer conductor pianist drummer guitarist activist taxonomist botanist geologist"
)
_ASKS_OFFICE = re.compile(rf"\b(?:{'|'.join(sorted([*_OFFICES, *_ROLES]))})\b")
_ASKS_FULL_NAME = re.compile(r"\b(?:full|middle|complete|entire|whole|birth|real|given)\b")
_SUFFIXES = frozenset(listed_words("jr sr ii iii iv junior senior"))
_NOT_PEOPLE = frozenset(
    listed_words(
        "and or of the for in at from with to on by no not house team club band group university"
        " college school institute academy court museum church hospital street road avenue bridge"
        " prize award committee party company council hall center centre library society station"
        " department office ministry foundation association union league park island river lake"
        " city town village district county province state region island ocean sea mountain hotel"
        " series season episode album song film"
    )
)
# Beginnings of titles in several languages, none of which is another office's.
_TITLE_BEGINNINGS = {
    "president": "president prezident presid presid prasident президент",
    "general": "general генерал",
    "colonel": "colonel plukovn oberst coronel pulkown полковник",
    "captain": "captain kapitan kapit capit капитан",
    "king": "king kral konig krol король",
    "queen": "queen kralovn konigin reina regin rainha krolow королев",
    "premier": "premier премьер",
    "minister": "minist министр",
    "judge": "judge justice soudc richter juge juez giudic sedzi судья",
    "senator": "senator senat сенатор",
    "bishop": "bishop biskup bischof eveque obispo vescov епископ",
}
# English first names and what those who bear them are called.
_SHORT = """
william bill will billy
robert bob bobby rob
richard dick rick richie
james jim jimmy
john jack johnny
edward ed eddie ted
charles charlie chuck
thomas tom tommy
david dave
michael mike mick
joseph joe joey
daniel dan danny
samuel sam
benjamin ben
donald don
ronald ron ronnie
kenneth ken
steven steve
stephen steve
gregory greg
jeffrey jeff
andrew andy
anthony tony
christopher chris
frederick fred
gordon gord
gerald gerry jerry
lawrence larry
leonard len leo
matthew matt
nicholas nick
patrick pat
peter pete
philip phil
raymond ray
timothy tim
walter walt
alexander alex
albert al bert
arthur art
franklin frank
francis frank
harold harry hal
henry harry hank
elizabeth liz beth betty
margaret maggie meg peggy
katherine kate kathy
catherine kate cathy
jacqueline jackie
deborah debbie
susan sue
barbara barb
patricia pat patty
jennifer jen jenny
rebecca becky
victoria vicky
theodore ted theo
"""
_CALLED: dict[str, list[str]] = {}
for _line in _SHORT.split("\n"):
    _full, *_shorts = _line.split() or [""]
    for _one in _shorts:
        _CALLED.setdefault(_full, []).append(_one)
        _CALLED.setdefault(_one, []).append(_full)
_ALIKE = {"justice": "judge", "premier": "minister"}
_PREFIXES = [(one, kind) for kind, ones in _TITLE_BEGINNINGS.items() for one in ones.split()]
_NEAR = 3


def asks_person(question: str) -> bool:
    """Return whether a folded question asks for somebody by office or role, `which president`."""
    return _ASKS_OFFICE.search(question) is not None


def without_titles(name: Sequence[str]) -> list[str]:
    """Return the words of a person's name without the titles that lead it."""
    kept = list(name)
    if not _NOT_PEOPLE.isdisjoint(name[1:]):
        return kept
    while len(kept) > 1 and kept[0] in _TITLES:
        if len(kept) == 2 and (kept[0] not in _OFFICES or len(kept[1]) < 4):
            break
        del kept[0]
    return kept


def names_of(name: Sequence[str], question: str) -> list[list[str]]:
    """Return further forms of a person's name, none of which could be another person's.

    The surname first; a usual short form of the first name; and where the whole name is not asked
    for, initials for the names between first name and surname, or none of these.
    """
    kept = list(name[:-1] if len(name) > 2 and name[-1] in _SUFFIXES else name)
    if len(kept) < 2 or not _NOT_PEOPLE.isdisjoint(kept) or kept[0] in _TITLES:
        return []
    first, *between, last = kept
    if min(len(first), len(last)) < 3:
        return []
    forms = [[last, first]] if not between and min(len(first), len(last)) > 3 else []
    shorter = []
    if 1 <= len(between) <= 2 and not _ASKS_FULL_NAME.search(question):
        shorter = [[first, last], [first, *(one[0] for one in between), last]]
        shorter.append([*(one[0] for one in kept[:-1]), last])
    called = _CALLED.get(first, ())
    return forms + shorter + [[short, *one[1:]] for one in (kept, *shorter[:1]) for short in called]


def title_of(name: Sequence[str]) -> str:
    """Return the office that a name of two words, `President Reed`, leads with; or nothing."""
    return name[0] if len(name) == 2 and name[0] in _OFFICES else ""


def other_title(title: str, surname: str, tokens: Sequence[str]) -> bool:
    """Return whether another title than this one stands right before every such surname."""
    places = [n for n, word in enumerate(tokens) if word == surname]
    kind = _ALIKE.get(title, title)
    return bool(places) and all(
        any(_ALIKE.get(one, one) != kind for one in _titles(tokens[max(0, n - _NEAR) : n]))
        for n in places
    )


def _titles(tokens: Sequence[str]) -> list[str]:
    return [kind for word in tokens for prefix, kind in _PREFIXES if word.startswith(prefix)]
