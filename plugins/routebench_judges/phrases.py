"""What the words around an answer do to it: declining, negating, offering another one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from routebench_judges.folding import listed_words

_DECLINING = re.compile(
    r"\bneed to (?:search|research|verify|look|check)\b|\bnot possible to\b"
    r"|\bcannot (?:\w+ ){0,2}(?:state|give)\b|"
    r"\bneed (?:more|additional|further|some) (?:information|context|details?)\b"
    r"|\b(?:could you|can you|please) (?:please )?(?:clarify|provide|specify|give|rephrase)\b|"
    r"\bidk\b|\bn/a\b|\bno (?:idea|clue|answer|comment|record|records|data|information|info|"
    r"knowledge)\b|\b(?:(?:do|does|did|would|could)(?:nt| not)|cant|"
    r"can not) (?:\w+ ){0,2}(?:know|recall|remember|have|find|say|tell|answer|provide|"
    r"determine|confirm|verify|identify|access|possess|recognize|understand|pinpoint|"
    r"be determined|be sure|help)\b|\bcannot (?:\w+ ){0,2}(?:know|recall|remember|find|say|"
    r"tell|answer|provide|determine|confirm|verify|identify|access|help|be determined|be known"
    r"|be answered|be certain|be sure|assist|pinpoint)\b|\b(?:not|never|isnt|"
    r"n't) (?:\w+ ){0,2}(?:sure|certain|aware|familiar|known|available|clear|able|possible to|"
    r"enough information|publicly|specified|confident|documented|disclosed)\b|\b(?:unable|"
    r"unsure|uncertain|unaware|unknown|undetermined|unclear|undisclosed|unspecified|"
    r"unavailable)\b|\bas an? (?:ai|artificial|(?:large )?language model|llm)\b|\bi(?:m|"
    r" am) an? (?:ai|language model)\b|\b(?:i )?apologi[sz]e\b|\bhard to say\b|"
    r"\bdifficult to (?:say|determine)\b|\bit depends\b|\bwho knows\b|\bbeats me\b|"
    r"\black (?:\w+ ){0,2}(?:information|knowledge|data)\b|\bno (?:\w+ ){1,3}(?:information|"
    r"data|record|records|knowledge|answer)\b|\bbeyond my knowledge\b|"
    r"\binsufficient (?:information|data)\b|\bdecline to\b|\bwont answer\b|\bwithout (?:more|"
    r"further|additional) (?:context|information)\b"
)
_DECLINE_WORDS = frozenset(
    listed_words(
        "need clarify specify please rephrase "
        "idk n no dont doesnt didnt wouldnt couldnt cant can cannot not never isnt unable unsure "
        "uncertain unaware unknown undetermined unclear undisclosed unspecified unavailable ai "
        "artificial language llm apologize apologise hard difficult depends knows beats lack "
        "beyond insufficient decline wont without sorry do does did would could isn"
    )
)
_ATTEMPT = re.compile(
    r"\b(?:but|however|though|although|still)\b[\s,]*(?:(?:i|my|it|he|she|they|that|this|"
    r"the|perhaps"
    r"|maybe|probably|possibly|likely|about|around|approximately)\b|$|[^a-z])"
    r"|\b(?:i (?:think|believe|guess|suspect|would say|would guess)|id (?:say|guess)"
    r"|(?:my )?best guess|my guess|probably|likely|perhaps|maybe|possibly|might be|may be|could be"
    r"|may have been|might have been)\b"
)
_ADVICE = re.compile(
    r"\b(?:check|consult|recommend|suggest|search|visit|contact|look|refer|verif\w+|help|assist"
    r"|provide|tell|share|offer|more (?:context|information)|sources?|cannot|can't|dont|do not)\b"
)
# How a refusal begins: `based on the information in the question, …`.
_PREAMBLE = frozenset(
    listed_words(
        "as while although if based according given regarding concerning to information question"
        " research context unfortunately"
    )
)
_EMPTY = frozenset(
    listed_words(
        "maybe perhaps possibly probably sorry im unfortunately hmm well answer the is it be "
        "could might may anything anyone anybody something someone somebody many things various a "
        "an i think that there are pass skip null none tbd na n not sure idk"
    )
)
_SCOPE_END = re.compile(r"[.,;:!?\n()]|\b(?:but|however|though)\b")

_NEGATED = re.compile(
    r"(?:\b(?:not(?! (?:only|just|until|before|sure|certain)\b)|never|neither|nor|cannot|"
    r"rather than|instead of|other than|except|unlike"
    r"|different from|excluding|apart from)|\b(?:is|was|are|were|do|does|did|ca|could|wo|"
    r"would|has|have|had)nt)\s(?:[^\W_]+-?[^\W_]*\s){0,4}$|\bnon-$"
)
_DENIED = re.compile(
    r"\s?(?:is|was|are|were|did|does|has)(?:\snot|nt)\b(?! only\b)|\s?(?:is|was) (?:wrong|"
    r"incorrect|false)\b"
)
_CORRECTED = re.compile(
    r"(?:[.,;:!?…\n-]\s?|\s)(?:no,? wait|wait,? no|scratch that|correction|i meant?|"
    r"make that|or rather"
    r"|on second thought)(?![^\W_])|[.,;:!?…\n-]\s?(?:no|wait|sorry|nope)\s?[,.!?…:-]"
)
_TIES = frozenset(
    listed_words(
        "or no wait actually rather maybe perhaps possibly sorry either it was is in the around "
        "about probably even on a an also of at by and year nope mean i not"
    )
)
_JOINS = frozenset({"or", "no", "wait", "actually", "rather", "sorry", "and", "mean", "nope"})
_OR_AFTER = re.compile(
    r"[\s\"'*_)]*,?\s(?:and/)?or\s(?!so\b|not\b|more\b|simply\b|just\b)|\s?/\s?(?=\w)"
)
_OR_BEFORE = re.compile(r"\w[\"'*_)]*,?\sor\s(?:\w+\s){0,2}[\"'*_(]*$|\w\s?/\s?$")
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
        "didnt cant couldnt wont wouldnt hasnt havent hadnt say find confirm verify"
    )
)


def quiet(found: Iterable[str]) -> bool:
    """Whether no word among these could turn an answer around; the fast way out."""
    return _TRIGGERS.isdisjoint(found)


def standing(folded: str, start: int, end: int) -> str:
    """How the words from `start` to `end` are meant: `said`, `negated` or `declined`."""
    before = _SCOPE_END.split(folded[max(0, start - 120) : start])[-1]
    if any(not found[0].startswith("as a") for found in _DECLINING.finditer(before)):
        return "declined"
    if _NEGATED.search(before) or _DENIED.match(folded, end):
        return "negated"
    return "said"


def alternative(folded: str, start: int, end: int, same: re.Pattern[str]) -> bool:
    """Whether another answer stands beside these words, joined by `or`; `same` are its aliases."""
    after = _OR_AFTER.match(folded, end)
    if after and not same.match(folded, after.end()):
        return True
    before = folded[max(0, start - 200) : start]
    joined = _OR_BEFORE.search(before)
    if joined:
        others = list(same.finditer(before))
        return not (others and others[-1].end() >= joined.start() - 2)
    return bool(_EITHER.search(before) and " or " in _SCOPE_END.split(folded[end : end + 120])[0])


def listed(folded: str, found: list[str], size: int, same: re.Pattern[str]) -> bool:
    """Whether the answer is a bare list, `X and Y` or bullets, with others than the reference."""
    if "and" in found and size < len(found) <= size + 5 and _SENTENCE.isdisjoint(found):
        around = [part for part in re.split(r"\band\b|&", folded) if re.search(r"\w", part)]
        return any(not same.search(part) for part in around)
    bullets = [match[0] for match in _BULLET.finditer(folded)]
    if len(bullets) < 2:
        return False
    hits = [bool(same.search(bullet)) for bullet in bullets]
    return any(hits) and not all(hits) and not same.search(_BULLET.sub(" ", folded))


def segments(folded: str) -> list[tuple[int, int]]:
    """The answer cut where it corrects itself, as in `1912, no, 1913`."""
    cuts = [0]
    for found in _CORRECTED.finditer(folded):
        cuts += [found.start(), found.end()]
    cuts.append(len(folded))
    spans = list(zip(cuts[::2], cuts[1::2], strict=True))
    return [
        (a, b)
        for a, b in spans
        if not _EMPTY.issuperset(re.findall(r"\w+", folded[a:b])) and re.search(r"\w", folded[a:b])
    ]


def tied(between: str) -> bool:
    """Whether the words between two values of one kind make them two answers to one question."""
    if len(between) > 60:
        return False
    inner = re.findall(r"[^\W_]+", between)
    if not inner:
        return not re.search(r"[()=]", between)
    return _TIES.issuperset(inner) and not _JOINS.isdisjoint(inner)


def declines(folded: str, found: list[str], extra: re.Pattern[str] | None) -> bool:
    """Whether an answer without the reference attempts nothing: it refuses, or says nothing."""
    if not found or (len(found) < 8 and _EMPTY.issuperset(found)):
        return True
    if extra is not None and extra.search(folded):
        return True
    if _DECLINE_WORDS.isdisjoint(found):
        return False
    first = _DECLINING.search(folded)
    return first is not None and not _attempted(folded, first)


def _attempted(folded: str, first: re.Match[str]) -> bool:
    # `London, but I'm not sure`: a few words and then the doubt.
    lead = re.split(
        r"[.,;:!?\n-]|\bbut\b|\bthough\b", folded[max(0, first.start() - 300) : first.start()]
    )
    said = [word for part in lead[:-1] for word in re.findall(r"\w+", part)]
    if 0 < len(said) < 12 and _PREAMBLE.isdisjoint(said) and not _EMPTY.issuperset(said):
        return True
    rest = folded[first.end() : first.end() + 400]
    # `I'm not sure. London.`
    for sentence in re.split(r"[.!?]\s|\n", rest)[1:] if len(rest) < 80 else ():
        said = re.findall(r"\w+", sentence)
        if 0 < len(said) < 4 and not _EMPTY.issuperset(said) and not _ADVICE.search(sentence):
            return True
    return any(
        not _ADVICE.search(clause) and not _DECLINING.search(clause)
        for found in _ATTEMPT.finditer(rest)
        if len(clause := _SCOPE_END.split(rest[found.end() - 1 :], maxsplit=1)[0]) > 2
    )
