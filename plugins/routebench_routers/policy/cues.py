"""Cues in a query's words, and a sentence that names them, made from the query alone.

The sentence is composed of fixed phrases, one per cue, so that a small language model can learn
to write it, and so that every cue it names can be checked against the query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from routebench_routers.policy.vocabulary import (
    COMPARED,
    INSIDE,
    OPENING,
    SUPERLATIVES,
    TOPICS,
)

SHORT, LONG = 9, 20
"""Words up to which a query is short, and from which it is long."""
LIMIT = 4000
"""Characters that are searched for cues; words are counted in the whole text."""
STEPS = 2
"""Minimum number of links between clauses for the cue of several steps."""

_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")
_YEAR = re.compile(r"\b(?:1\d{3}|20\d{2})(?:s\b|\b(?![.,]?\d))")
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_DAY = re.compile(rf"\b{_MONTH}\s+\d{{1,2}}\b|\b\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}\b")
_DATE = re.compile(r"\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b|\b\d{4}-\d{1,2}-\d{1,2}\b")
_CENTURY = re.compile(r"\b(?:century|centuries|decade)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?:st|nd|rd|th|%)?(?![\w])")
_CAPITAL = re.compile(r"[A-ZÀ-ÖØ-ÞĀ-ž][\w'’.\-]*")
_LINK = re.compile(
    r"\bof\s+(?:the|a|an|his|her|their|its)\b|\b(?:that|who|whom|whose|which|where|when)\b|"
    r"\b(?:before|after|while|during|until|since)\b|['’]s\s+[a-z]",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"```|\b(?:code|python|javascript|typescript|java|sql|regex|regexp|compiler?|debug|"
    r"algorithm|script|html|css|json|api|c\+\+|bash|rust|function\s+(?:in|that|to|which))(?!\w)|"
    r"\b\w+\(\w*\)|\bdef\s+\w+|\bimport\s+\w+\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_TERM = r"[(\[]?\s?[-−]?\d[\d.,]{0,20}\s?[)\]]?"
_SUM = re.compile(
    rf"{_TERM}\s*[+*×÷·^]\s*{_TERM}"
    rf"|{_TERM}\s+[-−/]\s+{_TERM}\s*(?:[=?+*/]|$)"
    rf"|{_TERM}\s*[-−/]\s*{_TERM}\s*="
    r"|\b\d[\d.,]{0,20}\s+(?:plus|minus|times|multiplied\s+by|divided\s+by|modulo|mod)\s+[-−]?\d"
    r"|\b\d[\d.,]{0,20}\s*(?:%|percent|per\s+cent)\s+of\s+\$?\d"
    r"|\b(?:square|cube)\s+root\s+of\s+\d|\bsum\s+of\s+\d",
    re.IGNORECASE,
)
_MATHS = re.compile(
    r"\b(?:calculate|compute|solve|equation|integral|derivative|algebra|calculus|theorem|prove|"
    r"polynomial|matrix|logarithm|probability|maths?)\b",
    re.IGNORECASE,
)

_PHRASES = {
    "short": "short",
    "middling": "mid-length",
    "long": "long",
    "name": "a name",
    "names": "several names",
    "date": "a date",
    "number": "a number",
    "steps": "several steps",
    "comparison": "a comparison",
    "code": "code",
    "arithmetic": "arithmetic",
    "maths": "maths",
}
_LENGTHS = ("short", "middling", "long")
_TOPIC = "about "
_SAID = {
    cue: re.compile(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", re.IGNORECASE)
    for cue, phrase in _PHRASES.items()
} | {
    f"topic:{topic}": re.compile(rf"\b{_TOPIC}{re.escape(topic)}\b", re.IGNORECASE)
    for topic in TOPICS
}
_ORDER = (
    *_LENGTHS,
    *(f"topic:{topic}" for topic in TOPICS),
    *(cue for cue in _PHRASES if cue not in _LENGTHS),
)
_SUGGESTS = {
    "standard": "Looks like common knowledge.",
    "complex": "Looks like a detail that few know.",
    "ambiguous": "Looks hard to pin down.",
}


@dataclass(frozen=True, slots=True)
class Cues:
    """The cues found in a query."""

    words: int
    numbers: int
    """Number of numbers that are no dates."""
    dates: int
    """Number of years, decades, centuries and days."""
    names: tuple[str, ...]
    """Runs of capitalised words, except the first word of a sentence by itself."""
    topic: str | None
    """The topic of `TOPICS` with the most words in the query."""
    links: int
    """Number of words such as `of the`, `that`, `whose`, `after`, which link clauses."""
    comparison: bool
    code: bool
    arithmetic: bool
    """A sum, product or percentage written out."""
    maths: bool

    def present(self) -> tuple[str, ...]:
        """Return the cues that a sentence may name, in the order in which it names them."""
        length = 0 if self.words <= SHORT else 1 if self.words < LONG else 2
        found = [_LENGTHS[length]]
        found += [f"topic:{self.topic}"] if self.topic else []
        found += ["name"] if len(self.names) == 1 else ["names"] if self.names else []
        for cue, there in (
            ("date", self.dates),
            ("number", self.numbers),
            ("steps", self.links >= STEPS),
            ("comparison", self.comparison),
            ("code", self.code),
            ("arithmetic", self.arithmetic),
            ("maths", self.maths),
        ):
            found += [cue] if there else []
        return tuple(found)


def cues(text: str) -> Cues:
    """Find the cues of a query."""
    words, text = len(text.split()), text[:LIMIT]
    known = {word.casefold() for word in _WORD.findall(text)}
    dated = re.sub("|".join(p.pattern for p in (_DAY, _DATE)), " \0 ", text)
    years = _YEAR.findall(dated)
    rest = _YEAR.sub(" ", dated).replace("\0", " ")
    return Cues(
        words=words,
        numbers=len(_NUMBER.findall(rest)),
        dates=dated.count("\0") + len(years) + len(_CENTURY.findall(text)),
        names=tuple(_names(text)),
        topic=_topic(known),
        links=len(_LINK.findall(_opened(text))),
        comparison=not known.isdisjoint(COMPARED | SUPERLATIVES),
        code=_CODE.search(text) is not None,
        arithmetic=arithmetic(text) is not None,
        maths=_MATHS.search(text) is not None,
    )


def arithmetic(text: str) -> str | None:
    """Return the first sum, product or percentage written out in a text; None without one.

    >>> arithmetic("What is 17 * 23?"), arithmetic("Who won in 1914-1918 or on 9/11?")
    ('17 * 23', None)
    """
    found = _SUM.search(text[:LIMIT])
    return found.group().strip(" ?=") if found else None


def reasoning(text: str, policy: str) -> str:
    """Return a sentence on the query's cues, and one on what the policy suggests.

    >>> reasoning("Who wrote Emma?", "standard")
    'Short question about books, with a name. Looks like common knowledge.'
    """
    length, *rest = cues(text).present()
    topic = [cue for cue in rest if cue.startswith("topic:")]
    parts = [_PHRASES[cue] for cue in rest if cue in _PHRASES]
    told = f"{_PHRASES[length].capitalize()} question"
    told += "".join(f" {_TOPIC}{cue.partition(':')[2]}" for cue in topic)
    told += f", with {_joined(parts)}" if parts else ""
    return f"{told}. {_SUGGESTS[policy]}"


def named(reasoning: str) -> tuple[str, ...]:
    """Return the cues that a reasoning names, in the order of `Cues.present`.

    The reasoning may be one that a model wrote.
    """
    return tuple(cue for cue in _ORDER if _SAID[cue].search(reasoning))


def grounded(reasoning: str, text: str) -> float:
    """Return the share of a reasoning's cues that the query has; NaN where it names none."""
    told = named(reasoning)
    there = set(cues(text).present())
    return sum(cue in there for cue in told) / len(told) if told else float("nan")


def _joined(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _opened(text: str) -> str:
    """Remove the question word at the beginning, which links nothing, and the word after it."""
    return re.sub(r"^\W*\w+(?:\s+\w+)?", "", text, count=1)


def _topic(words: set[str]) -> str | None:
    """Return the first of the topics with the most distinct words in the query, or None."""
    # Add singulars of plurals: the lists hold one form of most words.
    words = words | {word[:-1] for word in words if word.endswith("s")}
    found = {topic: len(words & own) for topic, own in TOPICS.items()}
    top = max(found.values())
    return next(topic for topic, count in found.items() if count == top) if top else None


def _names(text: str) -> Iterator[str]:
    run: list[str] = []
    gap: list[str] = []
    opens, alone = True, False
    for raw in text.split():
        word = raw.strip("\"'“”‘’()[]{}«»¿¡*_")
        bare = word.rstrip(".,;:!?")
        starts = _CAPITAL.match(bare) is not None and not re.fullmatch(_MONTH, bare)
        if starts and not (opens and bare.casefold() in OPENING):
            alone = alone or (opens and not run and not bare.isupper())
            run += [*gap, bare] if run else [bare]
            gap = []
        elif run and bare.casefold() in INSIDE:
            gap.append(bare)
        else:
            yield from _ended(run, alone)
            run, gap, alone = [], [], False
        # A. Wallis Myers, Dr. Icban: the full stop of an abbreviation ends no name.
        short = len(bare) < 2 or bare in ("Dr", "Mr", "Mrs", "St")
        if run and word != bare and not short:
            yield from _ended(run, alone)
            run, gap, alone = [], [], False
        opens = word != bare and word[-1] in ".!?:" and not short
    yield from _ended(run, alone)


def _ended(run: list[str], alone: bool) -> Iterator[str]:
    """Yield the run as a name, unless it is only the first word of a sentence."""
    if run and not (alone and len(run) == 1) and run != ["I"]:
        yield " ".join(run)
