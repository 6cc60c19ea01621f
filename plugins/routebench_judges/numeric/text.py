"""Find the numbers that an answer gives as its result, from the firmest statements down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from routebench_judges.answers.finals import MOST, boxes, meant, settled
from routebench_judges.answers.refusals import DECLINING
from routebench_judges.numeric.amounts import Amount, amounts, folded
from routebench_judges.numeric.asked import Asked

_FINAL = re.compile(
    r"####|\bfinal (?:answer|result|value|total)\b(?: (?:to|for|of|here)\b[^.:;\n]{0,80}?)?"
    r"[\"*_`\s]*(?:\b(?:is|are|was|would be|will be|must be|should be)\b|[:=]|->?)?"
)
_MAIN = re.compile(
    r"\b(?:answer|ans)\b"
    r"(?:,? (?:to|for|of|here|then|therefore|thus|in|as|rounded)\b[^:;\n]{0,80}?)?"
    r"[\"*_`\s,]*(?:\b(?:is|are|was|(?:would|will|must|should|has to) (?:\w+ )?be|comes to"
    r"|equals)\b|[:=]|-+>?|→)"
)
_SKIP = re.compile(
    r"(?:[\s*_`:\"'“”(\[$>→≈~]|=(?!=)|\b(?:approximately|approx\.?|about|around|roughly|exactly"
    r"|equal|equals|is|be|that|thus|therefore|simply|just|only|in total|total of|number of|it|he"
    r"|she|they|we|there|are|so|clearly|the|a|to|would|will|have|has|had|needs?|costs?|gets?"
    r"|option|[nxyz])\b)*"
)
_LINE = re.compile(r"[^\n]+")
_NUMBERED = re.compile(r"[\s*]*\d+[.)][\s*]+\S")
_UNIT_ONLY = re.compile(r"(?:[\s*_`]+[^\W\d_]+){0,3}[\s*_`\"'.!)]*")
_REASON = re.compile(r"\b(?:because|since|as|given|where|so)\b|\s\(")
_ASIDE = re.compile(r"\([^()\n]{0,300}\)")
_SENTENCE = re.compile(r"\n|[.!?;](?=\s|$)")
_OPERATOR = re.compile(
    r"(?:\s*[-+/x×÷·^]|\s\*|\*(?!\*)|\s(?:of|times|plus|minus|divided by|multiplied by|over))\s*"
    r"[($]?\s*\d"
)
_RANGE = re.compile(r"\s?--?\s?(\d{1,15})(?![\d=]|\s?=)")
_NOT = re.compile(r"\b(?:not|never|isnt|cannot|cant|neither|unclear|unknown)\b")
_ALSO = re.compile(r"[\s*_`]*(?:,?\s*(?:or|and)\s+|/\s*|,\s*(?=[-$]?\d))[(*_`]*(?:also\s)?")
_OR = re.compile(
    r"[\s*_`]*(?:[a-z]+\s)?,?\s*or\s(?:maybe\s|possibly\s|perhaps\s|even\s)?[\s*_`$€£]*"
)
_ENDED = re.compile(r"[\s*_`)\"']*(?:[a-z]+\s*)?(?:$|[.!?;\n)])")
_STOP = re.compile(r"\n|[.!?](?=\s|$)")
# Between a doubt and a number in one sentence: `some do not come, so 80`, `the unknown is 80`.
_SETTLES = re.compile(
    r"=|[,;:]\s*(?:so|then|thus|hence|therefore|but|and so|yet|still|which makes|leaving)\b"
)
_VALUED = re.compile(r"(?:\s\w+){0,2}\s(?:is|are|equals)\s")
_RESULT = re.compile(
    r"=|\b(?:is|are|was|were|equals?|so|thus|therefore|hence|total|makes?|gives?|gets?|leaves?|left|has|have"
    r"|had|needs?|costs?|pays?|earns?|spends?|takes?|there|answer|remain\w*|we (?:get|find|have)"
    r"|must|will|would)\b|^\W*[$€£]?[\d.,]+\W*$"
)
_FIRM = re.compile(r"=|\b(?:so|thus|therefore|hence|total|answer)\b|^\W*[$€£]?[\d.,]+\W*$")
# The beginning of a refusal rather than of a calculation.
_APOLOGY = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an ai|unfortunately|i (?:cant|cannot|can not|am unable"
    r"|am not able)|im (?:unable|not able)|i (?:dont|do not) (?:know|have))\b"
)
_BOLD = re.compile(r"\*\*([^*\n]{1,120})\*\*")
_BOUND = re.compile(r"\b(?:at (?:least|most)|up to|minimum of|maximum of)\s*(?:the\s|a\s)?[$€£]?$")


@dataclass(frozen=True, slots=True)
class Statement:
    """The amounts that one statement gives: several where it does not tell which one counts."""

    amounts: tuple[Amount, ...]
    several: bool = False
    """Whether it gives them all as the answer, as in `3 or 4`."""


class Text:
    """An answer, and the numbers in it."""

    def __init__(self, text: str) -> None:
        self.folded = folded(text)
        self.amounts = amounts(self.folded)

    def marked(self) -> list[Statement]:
        """Return its final statements: boxes, `####` and `final answer`, or else weaker ones."""
        for statements in (self._boxed() + self._cued(_FINAL), self._cued(_MAIN) + self._alone()):
            if final := settled(self.folded, sorted(statements, key=lambda each: each[0])):
                return final
        return []

    def last(self, asked: Asked) -> Statement | None:
        """Return the bold number of the last line, or else that of the last sentence with numbers.

        Of several in that sentence it is the one that the question asks for, or the last; what
        stands in brackets comes after what does not.
        """
        line = next((line for line in reversed(self.folded.split("\n")) if line.strip()), "")
        bold = [amounts(part)[:1] for part in _BOLD.findall(line) if amounts(part)[:1]]
        bold = [one for one in bold if one[0].start <= 1 and not one[0].vague]
        if len(bold) == 1:
            parts = [amounts(part) for part in _BOLD.findall(line) if amounts(part)]
            if len(parts) == 1 and len(parts[0]) == 2 and _OR.search(line):
                return Statement(tuple(parts[0]), several=True)
            return Statement((bold[0][0],))
        asides = [match.span() for match in islice(_ASIDE.finditer(self.folded), MOST)]
        open_ = [
            one for one in self.amounts if not any(a <= one.start < b for a, b in asides)
        ] or self.amounts
        plainly = [one for one in open_ if not one.spelled] or open_
        firm = [one for one in plainly if not one.vague] or plainly
        if len(firm) > 1 and _OR.fullmatch(self.folded, firm[-2].end, firm[-1].start):
            return Statement((firm[-2], firm[-1]), several=True)
        if not firm:
            return None
        stops = [match.end() for match in _STOP.finditer(self.folded, 0, firm[-1].start)]
        within = [one for one in firm if one.start >= (stops[-1] if stops else 0)]
        return Statement((asked.result(within, self.folded),))

    def concluded(self, last: Statement, refusals: re.Pattern[str] | None) -> bool:
        """Return whether the last number is a result that follows on words of doubt.

        That is `We don't know the total yet. So there are 80`, but not `I don't know how the 80
        are counted`.
        """
        amount = last.amounts[0]
        parts = [match.end() for match in _STOP.finditer(self.folded, 0, amount.start)]
        start = parts[-1] if parts else 0
        end = _STOP.search(self.folded, amount.end)
        stop = end.start() if end else len(self.folded)
        if refusals is not None and refusals.search(self.folded):
            return False
        if end and DECLINING.search(self.folded, end.start()):
            return False
        doubts = list(DECLINING.finditer(self.folded, start, stop))
        if doubts:
            gap = self.folded[doubts[-1].end() : max(amount.start, doubts[-1].end())]
            if not (_SETTLES.search(gap) or _VALUED.fullmatch(gap)):
                return False
        sentence = self.folded[start:stop]
        if not doubts and not _RESULT.search(sentence):
            return False
        return not (_APOLOGY.search(self.folded[:start]) and not _FIRM.search(sentence))

    def bound(self, amount: Amount) -> bool:
        """Return whether an amount stands as a bound, `at least 5`."""
        return bool(_BOUND.search(self.folded[max(0, amount.start - 20) : amount.start]))

    def _boxed(self) -> list[tuple[int, Statement]]:
        statements = ((box.start, Text(box.text)._statement(0)) for box in boxes(self.folded))
        return [(at, each) for at, each in statements if each]

    def _cued(self, cue: re.Pattern[str]) -> list[tuple[int, Statement]]:
        statements = []
        for match in islice(cue.finditer(self.folded), MOST):
            statement = self._statement(match.end())
            if statement and meant(self.folded, match.start()):
                statements.append((match.end(), statement))
        return statements

    def _alone(self) -> list[tuple[int, Statement]]:
        """Return the first or last line, of several, that is a number and its unit."""
        lines = [line for line in _LINE.finditer(self.folded) if line[0].strip(" *_`")]
        statements = []
        for line in (lines[0], lines[-1]) if len(lines) > 1 else ():
            numbers = [one for one in self.amounts if line.start() <= one.start < line.end()]
            if len(numbers) == 1 and not numbers[0].vague and _NUMBERED.match(line[0]) is None:
                before = self.folded[line.start() : numbers[0].start]
                after = self.folded[numbers[0].end : line.end()]
                if not before.strip(" *_`\"'#(") and _UNIT_ONLY.fullmatch(after):
                    statements.append((line.start(), Statement((numbers[0],))))
        return statements

    def _statement(self, at: int) -> Statement | None:
        """Return the statement after a cue, to the end of the sentence; None without a number."""
        start = at + len(_SKIP.match(self.folded, at)[0])  # type: ignore[index]
        end = _SENTENCE.search(self.folded, start)
        stop = min(end.start() if end else len(self.folded), start + 400)
        numbers = [one for one in self.amounts if at <= one.start < stop]
        if not numbers:
            return None
        if _NOT.search(self.folded, start, numbers[0].start):
            return None  # `the answer is not 18`
        direct = numbers[0].start <= start
        reason = _REASON.search(self.folded, numbers[0].end, stop) if direct else None
        equals = self.folded.rfind("=", start, reason.start() if reason else stop)
        if after := [one for one in numbers if one.start > equals >= 0]:
            return self._one(after[0])
        if direct:
            return self._one(numbers[0])
        if len({one.value for one in numbers}) == 1:
            return Statement((numbers[0],))
        return Statement(tuple(numbers))

    def _one(self, first: Amount) -> Statement:
        """Return the number a statement begins with, and others that it gives beside it."""
        span = _RANGE.match(self.folded, first.end)
        if span and int(span[1]) > first.value:
            return Statement((first,))
        if _OPERATOR.match(self.folded, first.end):
            return Statement(())
        if (also := _ALSO.match(self.folded, first.end)) and not first.vague:
            more = [one for one in self.amounts if also.end() - 1 <= one.start <= also.end()]
            either = re.search(r"\bor\b", also[0])
            if more and (either or _ENDED.match(self.folded, more[0].end)):
                return Statement((first, more[0]), several=True)
        return Statement((first,))
