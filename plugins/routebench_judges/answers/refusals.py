"""Recognise answers that attempt nothing: refusals, and words without content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from routebench_judges.answers.folding import ARTICLES, fold, listed_words, words
from routebench_judges.answers.refusals_elsewhere import declines_elsewhere

DECLINING = re.compile(
    r"\b(?:need to (?:search|research|verify|look|check)\b|not possible to\b|"
    r"cannot (?:\w+ ){0,2}(?:state|give)\b|need (?:more|additional|further|some) (?:information|"
    r"context|details?)\b|(?:could you|can you|please) (?:please )?(?:clarify|provide|specify|"
    r"give|rephrase)\b|idk\b|n/a\b|no (?:idea|clue|answer|comment|record|records|data|information|"
    r"info|knowledge)\b|(?:(?:do|does|did|would|could)(?:nt| not)|cant|"
    r"can not) (?:\w+ ){0,2}(?:know|recall|remember|have(?! been\b)|find|say|tell|answer|provide|"
    r"determine|confirm|verify|identify|access|possess|recognize|understand|pinpoint|"
    r"be determined|be sure|help)\b|cannot (?:\w+ ){0,2}(?:know|recall|remember|find|say|tell|"
    r"answer|provide|determine|confirm|verify|identify|access|help|be determined|be known|"
    r"be answered|be certain|be sure|assist|pinpoint)\b|(?:not|never|isnt|"
    r"n't) (?:\w+ ){0,2}(?:sure|certain|aware|familiar|known|available|clear|able|possible to|"
    r"enough information|publicly|specified|confident|documented|disclosed)\b|(?:unable|unsure|"
    r"uncertain|unaware|unknown|undetermined|unclear|undisclosed|unspecified|unavailable)\b|"
    r"as an? (?:ai|artificial|(?:large )?language model|llm)\b|i(?:m| am) an? (?:ai|"
    r"language model)\b|(?:i )?apologi[sz]e\b(?! for (?:the|my|any) (?:confusion|mistake|error|"
    r"earlier|previous)\b)|hard to say\b|difficult to (?:say|determine)\b|it depends\b|"
    r"who knows\b|beats me\b|lack (?:\w+ ){0,2}(?:information|knowledge|data)\b|"
    r"no (?:\w+ ){1,3}(?:information|data|record|records|knowledge|answer)\b|"
    r"beyond my knowledge\b|insufficient (?:information|data)\b|decline to\b|wont answer\b|"
    r"without (?:more|further|additional) (?:context|information)\b|(?:not|isnt|"
    r"wasnt) (?:something|anything|a (?:thing|fact|detail|question|topic)|one) (?:(?:that|"
    r"which) )?(?:i|ive|im)\b(?! (?:think|believe|would say))|"
    # Of the first person only: others are stumped, at a loss and would rather not.
    r"i(?:d| would)? (?:rather|prefer) (?:not|to not)\b|not that i (?:know|recall|am aware)\b|"
    r"dunno\b|guess is as good\b|(?:nobody|no one) (?:really )?knows\b|escapes me\b|i(?:m| am|ve|"
    r" have)? (?:\w+ )?(?:(?:drawing|draw|drew) a blank|at a loss|stumped|unfamiliar|never heard|"
    r"havent heard|not heard)\b|i (?:have )?(?:forget|forgot|forgotten)\b|no way (?:to know|"
    r"of knowing|to tell)\b|i have no (?:\w+ )?(?:recollection|memory)\b|i (?:have not|"
    r"havent) (?:heard|come across|a clue|the (?:faintest|foggiest|slightest))\b|i (?:must |"
    r"have to )?(?:refuse|prefer not) to\b|i(?:d| would) like not to\b|i (?:dont|do not) (?:want|"
    r"wish|like) to (?:guess|speculate|give|mislead|say|answer)\b|i (?:wont|will not|cannot|"
    r"cant) (?:guess|speculate|say)\b|"
    # What vendors' models say where they will not answer.
    r"(?:i|we) (?:\w+ ){0,2}(?:cant|cannot|can not|wont|will not|couldnt|"
    r"could not)(?: be able to)? (?:\w+ ){0,2}(?:assist|help|fulfil\w*|comply|respond|engage|"
    r"discuss|continue|share|disclose|complete|process|proceed|do (?:that|this)|offer|browse|"
    r"search|look|support|comment|complete|accommodate|honou?r|be able)\b|"
    r"sorry,? (?:but )?(?:i )?(?:cant|cannot|can not|no)\b|(?:i|ill|to|must|will|"
    r"respectfully) (?:\w+ )?decline\b|(?:unable|not able) to\b|(?:just|only) an? (?:ai|"
    r"language model|llm|assistant|chatbot)\b|(?:beyond|outside)(?: of)? (?:my|the|"
    r"what i) (?:current )?(?:scope|capabilit\w+|abilit\w+|knowledge|expertise|know|can)\b|"
    r"lets? (?:talk about something|change the (?:topic|subject)|discuss something|move on)\b|"
    r"(?:dont|do not|im not|am not|wouldnt|not) (?:\w+ )?(?:feel )?comfortable (?:with|answering|"
    r"providing|sharing|discussing|saying)\b|violat\w+ (?:\w+ ){0,3}(?:polic\w+|guidelines|"
    r"terms)\b|against (?:my|our|the) (?:\w+ )?(?:polic\w+|guidelines|programming)\b|(?:response|"
    r"content|request|answer|message|prompt|reply|output) (?:(?:was|has been|is|"
    r"were) )?(?:\w+ )?(?:blocked|filtered|flagged|withheld|refused|rejected|declined|redacted)\b|"
    r"content filter\b)"
    r"|\[redacted\]"
    r"|\b(?:i(?:m| am|was)? not (?:programmed|designed|trained|allowed|permitted|authori[sz]ed|"
    r"equipped) to\b|training (?:data )?(?:does|do)(?:nt| not) (?:include|contain|cover)\b|"
    r"knowledge cut-?off prevents\b|not (?:in|part of|included in|covered by|"
    r"within) my (?:training|knowledge|data)\b|no (?:reliable|verifiable|credible|"
    r"public) (?:sources?|records?|information|evidence)\b|no way (?:of|to) (?:verify\w*|"
    r"confirm\w*)\b|i lack (?:\w+ ){0,3}(?:details|context|access|sources)\b|"
    r"unfortunately,? i (?:lack|have no)\b)"
    r"|^\W*(?:no (?:response|reply)|ill pass|i will pass|i pass)\W*$"
    r"|\b(?:not in a position to\b|i have no (?:\w+ )?(?:details|access|answer)\b|(?:its|it is|it|"
    r"is) impossible to (?:know|say|tell|determine|verify|answer)\b|my apologies\b(?! for)|"
    r"not enough (?:info|information|data|context|details|evidence)\b|i prefer not\b|"
    r"i (?:will not|wont) (?:answer|provide|respond|speculate|be able)\b|i(?:d| would|m|"
    r" am) (?:\w+ )?(?:be )?(?:\w+ )?guessing\b(?=\s*(?:[.,;!?]|here|at|$)))"
)
_DECLINE_WORDS = frozenset(
    listed_words(
        "need clarify specify please rephrase "
        "idk n no dont doesnt didnt wouldnt couldnt cant can cannot not never isnt unable unsure "
        "uncertain unaware unknown undetermined unclear undisclosed unspecified unavailable ai "
        "artificial language llm rather prefer dunno guess blank loss stumped unfamiliar forget "
        "guessing escapes nobody refuse will "
        "im comfortable apologies let outside violates violate violating policy blocked filtered "
        "flagged withheld refused"
        " rejected redacted declined programmed designed trained allowed permitted authorized "
        "equipped"
        " authorised impossible enough position training cutoff lets pass response just only "
        "against "
        "forgot forgotten havent apologize apologise hard difficult depends knows beats lack "
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
EMPTY = frozenset(
    listed_words(
        "null nan undefined maybe perhaps possibly probably sorry im unfortunately hmm well "
        "answer the is it be "
        "could might may anything anyone anybody something someone somebody many things various a "
        "an i think that there are pass skip null none tbd na n not sure idk"
    )
)
_FILLERS = EMPTY | frozenset(listed_words("no nope oh ok okay honestly hello hi alas"))
# Short, and yet no symbol even in capitals.
_EMPTY_SHORT = frozenset(listed_words("a i im idk na tbd hmm not"))
_POINTED = re.compile(r"(?:^|\s)\.[A-Za-z]{2,3}\b")
_CODES = frozenset({"NA", "Na", "I"})
_COMMON = frozenset(
    listed_words(
        "a an the is are was were be been it its that this to of in on for and or by as at i he she"
        " they who which what"
    )
)
_VERBS = frozenset(listed_words("is was were are has had starred stars features featured"))
# Something must follow, or the quoted words are all that is answered.
_QUOTE_OPENS = re.compile(r"\w[\w ,:]*[\"“«][^\"“”«»\n]*$")
_QUOTE_CLOSES = re.compile(r"[^\"“”«»\n]{0,60}[\"”»][,.]?\s(?=\w)")
_MANY = 50  # refusals looked at in one answer
SCOPE_END = re.compile(r"[.,;:!?\n()]|\b(?:but|however|though)\b")


def phrase_pattern(phrases: Sequence[str]) -> re.Pattern[str] | None:
    """Return a pattern that finds any of the phrases in folded text; None without phrases."""
    pattern = "|".join(re.escape(fold(phrase)) for phrase in phrases)
    return re.compile(pattern) if pattern else None


def declines(
    folded: str, tokens: list[str], extra: re.Pattern[str] | None = None, question: str = ""
) -> bool:
    """Return whether an answer without the reference is a refusal, or says nothing.

    `tokens` are the words of the folded answer, `extra` finds further phrases that refuse, and
    `question` holds the question's words: a phrase that only repeats them refuses nothing.
    """
    if not tokens or (len(tokens) < 8 and EMPTY.issuperset(tokens)):
        return True
    if extra is not None and extra.search(folded):
        return True
    if declines_elsewhere(folded, tokens):
        return True
    if _DECLINE_WORDS.isdisjoint(tokens):
        return False
    for first in islice(DECLINING.finditer(folded), _MANY):
        if not mentioned(folded, first.start(), first.end(), question):
            return not _attempted(folded, first)
    return False


def mentioned(folded: str, start: int, end: int, question: str) -> bool:
    """Return whether words are only mentioned: quoted in a sentence, or as in the question."""
    phrase = words(folded[start:end])
    before = words(folded[max(0, start - 40) : start])[-1:]
    after = words(folded[end : end + 40])[:1]
    # `The Unknown` is a name, `it is unknown` is not.
    for near, run in ((before, before + phrase), (after, phrase + after)):
        article = near is before and not ARTICLES.isdisjoint(near)
        if near and (article or _COMMON.isdisjoint(near)) and f" {' '.join(run)} " in question:
            return True
    run = before + phrase + after
    if after and after[0] in _VERBS and len(run) > 3 and f" {' '.join(run[:-1])} " in question:
        return True  # a title, `I Don't Know was sung by X`
    if not before and after and after[0] in _VERBS and f" {' '.join(phrase)} " in question:
        return True
    opened = _QUOTE_OPENS.search(folded, max(0, start - 80), start)
    return bool(opened and _QUOTE_CLOSES.match(folded, end))


def only_a_symbol(text: str, asks: bool) -> bool:
    """Return whether an answer of words without content is a symbol: `N`, `Perhaps IT.`

    Where the question `asks` for one, any short word alone is; else capitals must tell.
    """
    tokens = re.findall(r"[^\W\d_]+", text)
    if asks and _POINTED.search(text):
        return True
    if len(tokens) > 7 or (text.isupper() and len(tokens) > 1) or "/" in text:
        return False
    if asks and len(tokens) == 1:
        return len(tokens[0]) < 4 and (tokens[0].lower() not in _EMPTY_SHORT or tokens[0] in _CODES)
    return any(
        len(word) < 4
        and word.lower() not in _EMPTY_SHORT
        and (word.isupper() or (asks and at > 0 and word[0].isupper()))
        for at, word in enumerate(tokens)
    )


def _attempted(folded: str, first: re.Match[str]) -> bool:
    # `London, but I'm not sure`: a few words and then the doubt.
    lead = re.split(
        r"[.,;:!?\n-]|\bbut\b|\bthough\b", folded[max(0, first.start() - 300) : first.start()]
    )
    tokens = [word for part in lead[:-1] for word in re.findall(r"\w+", part)]
    if 0 < len(tokens) < 12 and _PREAMBLE.isdisjoint(tokens) and not _FILLERS.issuperset(tokens):
        return True
    rest = folded[first.end() : first.end() + 400]
    # `I'm not sure. London.`
    for sentence in re.split(r"[.!?;]\s|\n", rest)[1:] if len(rest) < 80 else ():
        tokens = re.findall(r"\w+", sentence)
        if 0 < len(tokens) < 4 and not EMPTY.issuperset(tokens) and not _ADVICE.search(sentence):
            return True
    return any(
        not _ADVICE.search(clause) and not DECLINING.search(clause)
        for match in _ATTEMPT.finditer(rest)
        if len(clause := SCOPE_END.split(rest[match.end() - 1 :], maxsplit=1)[0]) > 2
    )
