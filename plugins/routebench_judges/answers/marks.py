"""Mark what folding a text would lose: the case of short symbols, and addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from unicodedata import combining, normalize
from urllib.parse import unquote

from routebench_judges.answers.folding import listed_words
from routebench_judges.answers.numbers import NUMBER_WORDS

# A letter that no living language uses: a marked word is equal to no word of a text.
MARK = "\u01bf"
_ADDRESS_WORD = f"address{MARK}"

_SYMBOL = re.compile(r"\.?[^\W\d_]{1,3}")
_GLOSS = re.compile(r"\s\([^()]*\)$")
_SHORT = re.compile(r"(?<![^\W_])\.?[^\W\d_]{1,3}(?![^\W_])(?!['’](?!s\b)\w|#|\+\+)")
_ORDINARY = frozenset(
    listed_words(
        "a i am an as at be by do go ha he hi if in is it lo ma me my no of oh ok on or so to um up"
        " us we ye yo all and any are ask but can did few for get got had has her him his how its"
        " let new nor not now off old one our out per put say see set she six ten the too top try"
        " two use was way who why yes yet you"
    )
)
_INTERJECTIONS = frozenset(listed_words("ha hi no oh ok so um yes yo"))
_OPENS = re.compile(r"(?:^|[.!?:;\n])[\s\"'“”‘’*_`#>(\[•-]*$")
# What follows a word that is only mentioned: the end, a sign, or what it is the symbol of.
_MENTIONED = re.compile(
    r"\s*(?:$|[.,;:!?)\]\"'“”‘’*_`=\n(]|(?:is|was|stands|denotes|means|represents)\b"
    r"[^.\n]{0,60}\b(?:symbols?|codes?|abbreviation|acronym|letter|answer|element|for)\b)"
)
_SHOWN = re.compile(
    r"\b(?:is|was|symbol|letter|numeral|code|vitamin|type|class)\s[\"'“‘*_(]*$", re.I
)
_LEADS = frozenset({"answer", "final"})
_ASKS = re.compile(
    r"\b(?:symbols?|codes?|abbreviat\w*|acronyms?|initials|formula|letters?|notation|ticker"
    r"|numerals?|suffix|prefix|domain|iso|iata|icao)\b"
)

_POLAR = re.compile(
    r"(?:^|[,:]\s)\W*(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should)\b"
    r"|\byes or no\b|\btrue or false\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b(?:who|whom|whose|surname|(?:first|last|given|middle) name|month)\b", re.IGNORECASE
)

_HOST = (
    r"(?:[\w-]+\.)+(?:com|org|net|edu|gov|mil|int|info|io|ai|eu|uk|us|de|fr|it|es|nl|ch|at|be|se|no"
    r"|dk|fi|pl|cz|ru|jp|cn|in|au|ca|br|nz|za|ie|pt|tv|me|co)(?![\w-])"
)
_ADDRESS = re.compile(
    r"(?<![\w@./-])(?:https?://|www\.(?=\w)|doi:\s?(?=10\.)|10\.\d{4,9}/"
    rf"|{_HOST}(?!\.\w))[^\s<>\"“”`|]*",
    re.IGNORECASE,
)
_BEFORE_NAME = re.compile(r"(?:https?://)?(?:www\.)?(?:(?:dx\.)?doi\.org/|doi:\s?)?")


@dataclass(frozen=True)
class Marks:
    """The symbols and addresses among the right answers to one question."""

    symbols: frozenset[str]
    addresses: frozenset[str]
    wants_symbol: bool
    """Whether the question asks for a symbol, so that `CO` is not `Co`."""

    def __call__(self, text: str) -> str:
        """Return the text with a mark on each of these symbols and addresses."""
        if self.addresses:
            text = _ADDRESS.sub(self._address, text)
        if not self.symbols:
            return text
        low = {symbol.lower().lstrip(".") for symbol in self.symbols}
        uncased = text.islower() or (text.isupper() and not self.wants_symbol)

        def marked(match: re.Match[str]) -> str:
            word = _bare(match[0]).lower().lstrip(".")
            is_symbol = word in low and self._is_symbol(text, match, uncased)
            return match[0].lstrip(".") + MARK if is_symbol else match[0]

        return _SHORT.sub(marked, text)

    def _address(self, match: re.Match[str]) -> str:
        kept = _ending(match[0])
        same = _name(kept) in self.addresses
        return (_ADDRESS_WORD if same else "address") + match[0][len(kept) :]

    def _is_symbol(self, text: str, match: re.Match[str], uncased: bool) -> bool:
        word = _bare(match[0])
        low = word.lower().lstrip(".")
        if word in self.symbols or (word[0] == "." and word.lstrip(".") in self.symbols):
            before = text[max(0, match.start() - 40) : match.start()]
            # `US` and `IT` are no words of a sentence, `In` and `He` may be.
            capitals = word.isupper() and len(word) > 1 and word != "OK"
            if low not in _ORDINARY or word[0] == "." or capitals:
                return True
            if word == "I" and _SHOWN.search(before):
                return True
            if word != "I" and not _OPENS.search(before):
                return True
            if low in _INTERJECTIONS:
                return re.search(r"\w", text[match.end() : match.end() + 40]) is None
            return _MENTIONED.match(text, match.end()) is not None
        # A whole text without capitals, or all in capitals, says nothing by its case.
        if uncased and low not in _ORDINARY and word[0] != "." and f".{low}" not in self.symbols:
            return True
        around = re.findall(r"\w+", text[max(0, match.start() - 60) : match.start()].lower())
        alone = _LEADS.issuperset(around) and match.start() <= 60
        alone = alone and re.search(r"\w", text[match.end() : match.end() + 200]) is None
        return alone and (word.islower() or not self.wants_symbol or f".{low}" in self.symbols)


def marks(aliases: list[str], question: str) -> Marks | None:
    """Return the symbols and addresses among the right answers; None where there are none."""
    wants_symbol = asks_symbol(question)
    symbols = set()
    for alias in aliases:
        for form in (alias.strip(" \t\n,;:!?\"'*_`"), _GLOSS.sub("", alias.strip())):
            form = _bare(form.rstrip("."))
            pointed = form[:1] == "." and wants_symbol
            if _SYMBOL.fullmatch(form) and (form != form.lower() or pointed):
                symbols.add(form)
    symbols = {one for one in symbols if _by_case(one, wants_symbol, question)}
    addresses = {_name(alias.strip(" <>")) for alias in aliases if is_address(alias)}
    if not (symbols or addresses):
        return None
    return Marks(frozenset(symbols), frozenset(addresses), wants_symbol)


def _by_case(symbol: str, wants_symbol: bool, question: str) -> bool:
    """Return whether its case tells a symbol from a word; `Tin` and `Red` are words."""
    low = symbol.lower()
    if low in NUMBER_WORDS or (low in ("yes", "no") and _POLAR.search(question)):
        return False
    if low in _ORDINARY or symbol[0] == ".":
        return True
    if wants_symbol:
        return len(symbol) < 3 or not symbol.istitle()
    return _NAMED.search(question) is not None


def is_address(alias: str) -> bool:
    """Return whether a reference is a web address or a DOI, and nothing else."""
    alias = alias.strip(" <>")
    # `Dr.No` and `Amazon.com` are names.
    plain = alias.islower() or "/" in alias or alias[:4].lower() == "www."
    return plain and _ADDRESS.fullmatch(alias) is not None


def asks_symbol(question: str) -> bool:
    """Return whether a question asks for a symbol, a code or an abbreviation."""
    return _ASKS.search(question.lower()) is not None


def _bare(word: str) -> str:
    if word.isascii():
        return word
    return "".join(letter for letter in normalize("NFKD", word) if not combining(letter))


def _ending(address: str) -> str:
    """Return an address without the punctuation of the sentence around it."""
    end, extra = len(address), address.count(")") - address.count("(")
    while end and (address[end - 1] in ".,;:!?'’*_]}" or (address[end - 1] == ")" and extra > 0)):
        extra -= address[end - 1] == ")"
        end -= 1
    return address[:end]


def _name(address: str) -> str:
    """Return an address without its scheme, `www.` and final slash, for comparison."""
    name = unquote(_ending(address)).casefold()
    return name[_BEFORE_NAME.match(name).end() :].rstrip("/")  # type: ignore[union-attr]
