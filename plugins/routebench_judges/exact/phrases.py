"""Read the words around an answer: do they decline it, negate it or offer another one?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Literal

from routebench_judges.answers.folding import listed_words, words
from routebench_judges.answers.refusals import DECLINING, EMPTY, SCOPE_END, mentioned

_NEGATED = re.compile(
    r"(?:\b(?:not(?! (?:only|just|until|before|sure|certain)\b)|never|neither|nor|cannot|"
    r"rather than|instead of|(?<!none )(?<!nobody )(?<!nothing )other than|except|unlike"
    r"|different from|excluding|apart from)|\b(?:is|was|are|were|do|does|did|ca|could|wo|"
    r"would|has|have|had)nt|\bi (?:\w+ )?doubt)\s(?:[^\W_]+-?[^\W_]*\s){0,4}$|\bnon-$"
)
_DENIED = re.compile(
    r"\s?(?:is|was|are|were|did|does|has)(?:\snot|nt)\b(?! only\b)|\s?(?:is|was) (?:wrong|"
    r"incorrect|false)\b"
)
_CORRECTED = re.compile(
    r"(?:[.,;:!?…\n-]\s?|\s)(?:no,? wait|wait,? no|scratch that|correction|i meant?|"
    r"make that|or rather"
    r"|on second thought)(?![^\W_])|[.!?;]\s?or (?:was|is) it\b"
    r"|[.,;:!?…\n-]\s?(?:no|wait|sorry|nope)\s?[,.!?…:-]"
)
_TIES = frozenset(
    listed_words(
        "or no wait actually rather maybe perhaps possibly sorry either it was is in the around "
        "about probably even on a an also of at by and year nope mean i not"
    )
)
_JOINS = frozenset({"or", "no", "wait", "actually", "rather", "sorry", "and", "mean", "nope"})
_OR_AFTER = re.compile(
    r"[\s\"'*_)]*,?\s\(?(?:and/)?or\s(?!so\b|not\b|more\b|simply\b|just\b)|\s?/\s?(?=\w)"
)
_OR_LATER = re.compile(r"(?:\s?,\s[^,.;:()\n]{1,30}){1,6},?\sor\s\w+(?:\s\w+)?")
_OR_BEFORE = re.compile(
    r"(?P<left>\w+)[\"'*_)]*,?\sor\s(?P<inner>(?:\w+\s){0,2})[\"'*_(]*$|\w\s?/\s?$"
)
_COPULAS = frozenset(listed_words("is was are were be became"))
# `No. 5` and `Dr. No`, where the point or the word is of a name.
_NUMERO = re.compile(r"\s?\d")
NUMBERED = re.compile(r",\s?no\.\s?")
_TITLED = re.compile(r"\b(?:dr|mr|mrs|ms|prof|sgt|capt|st)$")
_LIST_LEADS = frozenset(
    listed_words(
        "answer final the a an maybe perhaps probably possibly likely i think believe guess both"
        " well correct"
    )
)
_ITEM_LEADS = _LIST_LEADS | {"is", "are", "or", "and", "it", "was"}
_AND_AFTER = re.compile(r"[\s\"'*_)]*(?:,[^,.;:]{1,40}){0,4},?\s(?:and|&)\s(?P<rest>.*)")
_AND_BEFORE = re.compile(r"(?P<rest>[^.;:]*)\s(?:and|&)\s(?:the\s|an?\s)?[\"'*_(]*$")
_EITHER = re.compile(r"\beither\s(?:\w+\s){0,2}[\"'*_(]*$")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+\S.*$", re.MULTILINE)
_SENTENCE = frozenset(
    listed_words(
        "is was are were be has have had in of on at by to for with from as it its he his she her "
        "they their who which that this did does do"
    )
)
_TRIGGERS = frozenset(
    listed_words(
        "or not never no neither nor cannot rather instead other except unlike different "
        "excluding apart either wait sorry correction scratch make mean meant second nope wrong "
        "incorrect false and non know sure unsure whether if isnt wasnt arent werent dont doesnt "
        "didnt doubt cant couldnt wont wouldnt hasnt havent hadnt say find confirm verify"
    )
)

_LIST_END = re.compile(r"[\s.!*_`\"']+$")
# Lines that end like sentences are no items of a list.
_SPOKEN = re.compile(r"^[^\n]*[.!?:][*_\"')]*[ ]*$", re.MULTILINE)
_ITEM_END = re.compile(r"[.!?](?:\s|$)|\n\n")
# What opens a list of candidates.
_CANDIDATES = re.compile(
    r"\b(?:candidates?|possibilit(?:y|ies)|(?:possible|potential|likely|plausible) (?:answers?"
    r"|options?|\w+s)|contenders"
    r"|(?:my |best )?guesses|options?|choices|shortlist|top \d+|alternatives|suspects|answers"
    r"|(?:several|various|multiple|many|different) \w+)"
    r"(?: (?:are|include|includes|were|would be|might be|could be)\s?:?|\s?:)\s"
    r"|\bamong (?=\w[^.]{0,80}\sand\s)"
)
_UNDECIDED = re.compile(
    r"\b(?:between|among)\b[^.!?\n]{0,120}\b(?:cannot|cant|can not|unable|hard|impossible"
    r"|difficult|not sure"
    r"|unsure|dont know|do not know)\b"
)
_GUESS = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|(?:might|could|may)(?: (?:also|even|just as well))* be)"
    r"(?: (?:the|it|was|is|in|at|by|also))*\s(?P<what>[^,.;:!?\n]{1,40})"
)
_OR_GUESS = re.compile(
    r"[\s\"'*_)]*,?\s(?:or )?(?:possibly|maybe|perhaps)\s(?P<what>\w+(?:\s\w+){0,2})\s*(?:$|[.?!])"
)
_PLACES = frozenset(
    listed_words(
        "france germany italy spain austria switzerland portugal belgium netherlands england "
        "scotland wales"
        " ireland uk usa us australia canada mexico brazil argentina chile peru colombia cuba "
        "japan china india"
        " pakistan bangladesh nepal korea thailand vietnam indonesia malaysia philippines "
        "singapore iran iraq"
        " israel turkey egypt morocco algeria tunisia nigeria ghana kenya ethiopia uganda "
        "tanzania zimbabwe"
        " greece poland hungary romania bulgaria serbia croatia slovenia slovakia czechia "
        "ukraine russia sweden"
        " norway denmark finland iceland estonia latvia lithuania luxembourg malta cyprus "
        "europe asia africa"
        " america california texas florida ohio illinois michigan pennsylvania massachusetts "
        "virginia maryland"
        " georgia washington oregon nevada arizona utah colorado kansas missouri iowa minnesota "
        "wisconsin indiana"
        " kentucky tennessee alabama mississippi louisiana oklahoma nebraska montana idaho "
        "wyoming maine vermont"
        " connecticut delaware hawaii alaska ontario quebec alberta bavaria queensland victoria"
    )
) | {
    "united states",
    "united kingdom",
    "new zealand",
    "south africa",
    "new york",
    "new jersey",
    "new mexico",
    "north carolina",
    "south carolina",
    "rhode island",
    "west virginia",
    "sri lanka",
    "saudi arabia",
    "south korea",
    "north korea",
    "hong kong",
    "united states of america",
    "czech republic",
    "new hampshire",
    "british columbia",
    "nova scotia",
    "new south wales",
    "costa rica",
    "puerto rico",
    "northern ireland",
}


Polarity = Literal["asserted", "negated", "declined"]


def quiet(tokens: Iterable[str]) -> bool:
    """Return whether no word among these can change how an answer is meant: a fast way out."""
    return _TRIGGERS.isdisjoint(tokens)


def polarity(folded: str, start: int, end: int, question: str = "") -> Polarity:
    """Return whether the words from `start` to `end` are asserted, negated or declined.

    What only repeats the question, whose words are `question`, neither negates nor declines.
    """
    before = SCOPE_END.split(folded[max(0, start - 120) : start])[-1]
    at = start - len(before)
    for match in DECLINING.finditer(before):
        if match[0].startswith("as a"):
            continue
        if not mentioned(folded, at + match.start(), at + match.end(), question):
            return "declined"
    negated = _NEGATED.search(before)
    if (negated and not _repeated(negated[0], question)) or _DENIED.match(folded, end):
        return "negated"
    return "asserted"


def _repeated(negated: str, question: str) -> bool:
    """Return whether a negation is the question's and ends before the answer."""
    run = words(negated)
    return any(
        (size > 2 or run[size] in _COPULAS) and f" {' '.join(run[:size])} " in question
        for size in range(2, len(run))
    )


def alternative(
    folded: str, start: int, end: int, same: re.Pattern[str], question: str = ""
) -> bool:
    """Return whether another answer is joined to these words by `or`; `same` finds aliases."""
    after = _OR_AFTER.match(folded, end)
    if after and not same.match(folded, after.end()):
        return True
    listed = _OR_LATER.match(folded, end)
    if listed and all(
        _other(part, same) for part in re.split(r",|\bor\b", listed[0]) if part.strip()
    ):
        return True
    before = folded[max(0, start - 200) : start]
    joined = _OR_BEFORE.search(before)
    if joined and joined["inner"]:
        inner = joined["inner"].split()
        # `Physiology or Medicine was X`: what `or` joins is not X.
        if (not {"it", "maybe", "perhaps", "possibly"} & set(inner) and _COPULAS & set(inner)) or (
            f" {joined['left']} or {inner[0]} " in question
        ):
            return False
    if joined:
        others = list(same.finditer(before))
        return not (others and others[-1].end() >= joined.start() - 2)
    return bool(_EITHER.search(before) and " or " in SCOPE_END.split(folded[end : end + 120])[0])


def lists_others(folded: str, tokens: list[str], size: int, same: re.Pattern[str]) -> bool:
    """Return whether the answer is a bare list that holds more than the reference.

    A list is `X and Y`, or bullets.
    """
    if len(tokens) <= size + 10 and ("and" in tokens or "&" in folded) and len(folded) < 400:
        text = " ".join(folded.split())
        for hit in islice(same.finditer(text), 20):
            before, after = text[: hit.start()], text[hit.end() :]
            item = before.endswith(", ") and _other(before, same)  # `X, the reference and Y`
            if (
                (item or _lead(before))
                and (beside := _AND_AFTER.match(after))
                and _other(beside[0], same)
            ):
                return True
            if not words(after) and (beside := _AND_BEFORE.search(before)):
                lead = beside["rest"].split()
                while lead and lead[0].strip(",") in _LIST_LEADS:
                    del lead[0]
                if _other(" ".join(lead), same):
                    return True
    bullets = [match[0] for match in _BULLET.finditer(folded)]
    if len(bullets) < 2:
        return False
    hits = [bool(same.search(bullet)) for bullet in bullets]
    return any(hits) and not all(hits) and not same.search(_BULLET.sub(" ", folded))


def undecided(folded: str, same: re.Pattern[str]) -> bool:
    """Return whether the answer cannot choose, as in `between X and Y I cannot decide`."""
    match = _UNDECIDED.search(folded)
    return match is not None and same.search(match[0]) is not None


def enumerates(folded: str, same: re.Pattern[str]) -> bool:
    """Return whether the answer lists or guesses several things, the reference among them."""
    return _enumerated(folded, same) or _guessed(folded, same)


def _enumerated(folded: str, same: re.Pattern[str]) -> bool:
    """Return whether the answer, or its sentence of candidates, lists others beside the reference.

    Two names with a comma between them may be a place and its country, or a name and a title.
    """
    text = _LIST_END.sub("", folded.strip())
    led = _CANDIDATES.search(text)
    if led and (hit := same.search(text, led.end())):
        between = text[led.end() : hit.start()]
        end = _ITEM_END.search(text, hit.end())
        items = _items(text[led.end() : end.start() if end else len(text)], ",;|/\n", True)
        if not _SENTENCE & set(words(between)) and _mixed(items, same, 2):
            return True
    if len(text) > 400:
        return False
    for signs, least in ((";|", 2), ("?", 2), ("\n", 2), (",", 3)):
        listed = _SPOKEN.sub("", folded.strip()) if signs == "\n" else text
        items = _items(listed, signs, False) if re.search(f"[{signs}]", listed) else []
        if len(items) < least or not _mixed(items, same, least):
            continue
        if signs == "\n" and len(items) == 2 and same.fullmatch(items[0]):
            continue
        if signs == "," and len(items) == 3 and items[-1] in _PLACES:
            continue
        if not any(same.fullmatch(item) for item in items):
            continue
        if signs != "," or not any(len(item) < 4 or item[0].isdigit() for item in items):
            return True
    return False


def _items(text: str, signs: str, joined: bool) -> list[str]:
    """Split a list at signs, and at `and` or `or` before its last item, or anywhere if `joined`."""
    parts = [part for part in re.split(f"[{re.escape(signs)}]+", text) if part.strip()]
    if parts and (joined or len(parts) > 1):
        parts[-1:] = re.split(r"(?:^|\s)(?:and|or)\s", parts[-1])
    kept = [" ".join(word for word in words(part) if word not in _ITEM_LEADS) for part in parts]
    return [part for part in kept if part]


def _mixed(items: Sequence[str], same: re.Pattern[str], least: int) -> bool:
    """Return whether short items without a verb, as many as `least`, name several things."""
    short = all(len(item.split()) < 5 and _SENTENCE.isdisjoint(item.split()) for item in items)
    right = [bool(same.search(item)) for item in items]
    return short and len(items) >= least and any(right) and not all(right)


def _guessed(folded: str, same: re.Pattern[str]) -> bool:
    """Return whether several guesses are made, as in `maybe X, maybe Y`."""
    guesses = [match["what"] for match in islice(_GUESS.finditer(folded), 50)]
    right = [bool(same.match(guess)) for guess in guesses]
    if any(right) and not all(right):
        others = [guess for guess, one in zip(guesses, right, strict=True) if not one]
        return any(_SENTENCE.isdisjoint(words(other)[:2]) for other in others)
    for hit in islice(same.finditer(folded), 20):
        if (after := _OR_GUESS.match(folded, hit.end())) and not same.search(after[0]):
            return _SENTENCE.isdisjoint(words(after["what"]))
    return False


def _lead(text: str) -> bool:
    return text.rstrip(" \"'*_(").endswith(":") or _LIST_LEADS.issuperset(words(text))


def _other(text: str, same: re.Pattern[str]) -> bool:
    """Return whether a part of a list names something else, and is no clause."""
    tokens = [word for word in words(text) if word != "and"]
    return 0 < len(tokens) < 6 and _SENTENCE.isdisjoint(tokens) and not same.search(text)


def segments(folded: str, question: str = "") -> list[tuple[int, int]]:
    """Split the answer where it corrects itself, as in `1912, no, 1913`."""
    cuts = [0]
    for match in _CORRECTED.finditer(folded):
        if not _part_of_a_name(folded, match, question):
            cuts += [match.start(), match.end()]
    cuts.append(len(folded))
    spans = list(zip(cuts[::2], cuts[1::2], strict=True))
    return [
        (a, b)
        for a, b in spans
        if not EMPTY.issuperset(re.findall(r"\w+", folded[a:b])) and re.search(r"\w", folded[a:b])
    ]


def _part_of_a_name(folded: str, match: re.Match[str], question: str) -> bool:
    """Return whether what reads as a correction is a title: `Prelude, No. 4`, `Dr. No.`"""
    tokens = words(match[0])
    if tokens == ["no"] and match[0][-1] == "." and _NUMERO.match(folded, match.end()):
        return True
    if match[0][0] == "." and _TITLED.search(folded, max(0, match.start() - 5), match.start()):
        return True
    before = words(folded[max(0, match.start() - 30) : match.start()])[-1:]
    after = words(folded[match.end() : match.end() + 30])[:1]
    return bool(before and f" {' '.join(before + tokens)} " in question) or bool(
        after and f" {' '.join(tokens + after)} " in question
    )


def tied(between: str) -> bool:
    """Return whether the words between two values make them two answers to one question."""
    if len(between) > 60:
        return False
    inner = re.findall(r"[^\W_]+", between)
    if not inner:
        return not re.search(r"[()=]", between)
    return _TIES.issuperset(inner) and not _JOINS.isdisjoint(inner)
