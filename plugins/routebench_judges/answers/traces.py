"""Take the answer out of a text: without its reasoning trace, control tokens and odd whitespace."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from routebench.hookspecs import AnswerTexts

_MOST = 100_000  # tags read in one text


class Trace(Enum):
    """Says whether a text holds the reasoning that some models write before they answer."""

    NONE = "none"
    FINISHED = "finished"
    UNFINISHED = "unfinished"
    """Marks reasoning that breaks off, or that the text ends with: there is no answer."""


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The part of a text after its reasoning."""

    text: str
    trace: Trace = Trace.NONE

    @property
    def reason(self) -> str | None:
        """Return why there is no answer to grade; None where there is one."""
        if self.text:
            return None
        if self.trace == Trace.NONE:
            return "empty answer"
        ends = "breaks off" if self.trace == Trace.UNFINISHED else "ends"
        return f"the reasoning {ends} and no answer follows"


@dataclass
class FinalAnswers:
    """A reader of answers that counts reasoning traces and empty texts."""

    counts: AnswerTexts = field(default_factory=AnswerTexts)

    def read(self, texts: Iterable[str]) -> list[FinalAnswer]:
        """Return the final answers of texts, counted."""
        found = [final_answer(text) for text in texts]
        self.counts.answers += len(found)
        self.counts.traces += sum(one.trace != Trace.NONE for one in found)
        self.counts.unfinished += sum(one.trace == Trace.UNFINISHED for one in found)
        self.counts.empty += sum(not one.text for one in found)
        return found


_NAME = (
    r"(?:[a-z]\w{0,20}[:_-])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion|ing)?"
    r"|scratch_?pad|analysis|rationale|(?:inner_?|internal_?)?monologue|chain_of_thoughts?|cot)"
    r"(?:[:_-]\w{1,20})?"
)
_SPECIAL = r"(?:thought|thinking|think|reasoning)"
_TAG = re.compile(
    rf"(?P<special_end><[|｜]end[_▁](?:of[_▁])?{_SPECIAL}[|｜]>|<[|｜]{_SPECIAL}[_▁]end[|｜]>"
    r"|<unused95>|<channel\|>|(?P<details></details>))"
    rf"|(?P<special><[|｜](?:begin|start)[_▁](?:of[_▁])?{_SPECIAL}[|｜]>"
    rf"|<[|｜]{_SPECIAL}[_▁](?:begin|start)[|｜]>|<unused94>(?:thought\b)?|<\|channel>thought\b"
    r"|<details\stype=[\"']?reasoning[\"']?[^<>]{0,100}>)"
    rf"|(?:<\|?|&lt;|◁|＜)\s?(?P<end>/)?\s?{_NAME}(?:\s[^<>\n]{{0,100}}?)?\s?(?P<void>/)?"
    r"(?:\|?>|&gt;|▷|＞)"
    r"|\[(?P<square_end>/)?(?:think(?:ing)?|thought|reasoning|reflection)\]",
    re.I,
)
_QUOTES = "`\"'“”‘’«»"
# The channels of gpt-oss, whole or with their control tokens left out by a server.
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<name>[a-z]+)\b[^<\n]{0,80}(?:<\|constrain\|>\s*\w*\s*)?(?:<\|message\|>)?"
)
_CHANNEL_ENDS = re.compile(r"<\|(?:end|return|start|call|channel)\|>")
_GLUED = re.compile(
    r"(?:(?<=[^\w\s])|(?<=\w)|^|(?<=\s))assistant(?:<\|channel\|>)?final(?:<\|message\|>)?"
)
_GLUED_OPENS = re.compile(r"\s*(?:analysis|commentary)(?=[A-Z\"'“(\d]|\s*\n)")
_GLUED_FINAL = re.compile(r"\s*(?:assistant)?final(?=[A-Z\d\"'“(\\*#])")
_PROCESS = re.compile(
    r"\s*\W{0,4}here(?:['’]s| is) my (?:thought process|thinking process)\b", re.I
)
_RESPONSE = re.compile(r"\bhere(?:['’]s| is) my (?:response|final answer|answer)\W{0,4}[:\n]", re.I)

_BOXED = re.compile(r"<\|begin_of_box\|>(.{0,500}?)<\|end_of_box\|>", re.S)
_TOKEN = re.compile(
    r"<[|｜][^|｜<>\n]{1,40}[|｜]>|</?s>|<(?:eos|bos|pad|end_of_turn|start_of_turn)>"
)

_GREETS = re.compile(
    r"\A\W*(?:sure(?: thing)?|of course|certainly|absolutely|great question|good question|hello"
    r"|hi|hey"
    r"|thank you|thanks|no problem|happy to help|glad to help|okay|ok|alright)\b(?:,? (?:there"
    r"|for asking"
    r"|for (?:the|your) question|happy to help|glad to help|i can help(?: you)?(?: with that)?"
    r"|here(?:['’]s| is) (?:the|my) answer|let['’]s see|thanks))*\s?(?:[.!:]+|\n)[*_]*\s+",
    re.I,
)
# Each ending that `_PARTS` finds has one of these within its last characters.
_PARTING = (
    "i hope", "let me know", "feel free", "have a ", "anything else", "if you ", "happy to",
    "thank", "best regards", "cheers", "good luck", "would you like",
)  # fmt: skip
_PARTING_LENGTH = 300
_PARTS = re.compile(
    r"(?:(?<=[.!?*)}\]])\s+|\n+\s*)[*_]*(?:i hope (?:this|that|it)|let me know|feel free"
    r"|have a (?:nice|great"
    r"|good)|is there anything else|if you (?:have|need|want|would like) (?:any|more|further"
    r"|to know)|please (?:let me"
    r" know|feel free)|(?:i['’]m |i am )?happy to (?:help|explain)|thank you|thanks|best regards"
    r"|cheers|good luck"
    r"|would you like)\b[^\n]{0,200}\Z",
    re.I,
)
_QUOTED_LINE = re.compile(r"^> (?=\S)", re.M)
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85\x0b\x0c]")
_BLANKS = re.compile(r"[^\S\n]+")
_SPACES = re.compile("  +")
_OTHER_BLANK = re.compile(r"[^\S\n ]")
_ASCII_BLANKS = "\t\r\v\f\x1c\x1d\x1e\x1f"
_HIDDEN = re.compile("[\u00ad\u200b\u2060\ufeff]+")
_ITALIC = re.compile(r"(?<!\w)_(?=[^\s_])([^_\n]{1,300})(?<=\S)_(?!\w)")
_LINES = re.compile(r" ?\n ?")
_MANY_LINES = re.compile(r"\n{3,}")
# A line break within a sentence, as a line of limited width has it; no item of a list. Each of
# these is what stands before one or two breaks, and what after them.
_SENTENCE = (
    (r"[a-z,]", r"I(?:['’]|[ \n][a-z])"),
    (
        r"[^\s.!?:;*#`|>\]}\\]",
        r"[a-zß-öø-ÿ](?![.):\]])(?:[^\W\d_]|['’ ,]|\n(?=[a-z]{2}))",
    ),
    (r"[ \n](?:the|not|and|for|was|are)", r"\S"),
    (r"[ \n](?:is|an|of|or|in|by|to|at|on)", r"\S"),
)
# The break comes first: a search jumps to it.
_WRAPPED = re.compile(
    r"\n(?:"
    + "|".join(
        rf"{second}(?<={before}\n{second})(?={after})"
        for second in ("", r"\n")
        for before, after in _SENTENCE
    )
    + ")"
)
_THOUSANDS = re.compile(
    r"(?<=\d)(?:\{,\}|\{\\[,!]\}|,\\!|\\[,!:; ](?:\{\})?|\{ \}|,\{\}|~)(?=\d{3}(?!\d))"
)


def final_answer(text: str) -> FinalAnswer:
    """Return what a text says after its reasoning, in tidy lines.

    Reasoning is what stands in `<think>`, `<reasoning>`, `[THINK]` and tags like these, nested or
    not, before a closing tag that nothing opens, and in every channel of gpt-oss but the final
    one. What is not closed is unfinished: then there is no answer.
    """
    text = tidied(text)
    body, reasoned = _last_channel(text)
    if body is None:
        return FinalAnswer("", Trace.UNFINISHED)
    body, trace = _untagged(body)
    if reasoned and trace == Trace.NONE:
        trace = Trace.FINISHED
    if "<" in body:
        body = _TOKEN.sub(" ", _BOXED.sub(r"\\boxed{\1}", body))
    return FinalAnswer(_without_courtesies(body.strip()), trace)


def _without_courtesies(text: str) -> str:
    """Return a text without `Sure!` before what it says and `I hope this helps!` after it."""
    for _ in range(2):
        if greeting := _GREETS.match(text):
            text = text[greeting.end() :].strip() or text
    for _ in range(2):
        if not _may_part(text[-_PARTING_LENGTH:]):
            break
        if parting := _PARTS.search(text):
            text = text[: parting.start()].strip() or text
    return text


def _may_part(end: str) -> bool:
    """Return whether `_PARTS` may find anything in the end of a text: a fast way out."""
    low = end.lower()
    for words in _PARTING:
        if words in low:
            return True
    return not end.isascii()


def tidied(text: str) -> str:
    """Return a text with plain line ends and single blanks; wrapped lines are joined.

    A line is wrapped where the next one goes on in lower case, or after a word such as `the`.
    LaTeX separators of thousands, `7{,}250`, become commas.
    """
    if not text.isascii():
        text = _HIDDEN.sub("", text)
    if _has_other_blanks(text):
        text = _LINE_ENDS.sub("\n", text)
        text = _BLANKS.sub(" ", text)
    elif "  " in text:
        text = _SPACES.sub(" ", text)
    if "\n" in text:
        if " \n" in text or "\n " in text:
            text = _LINES.sub("\n", text)
        if "\n\n\n" in text:
            text = _MANY_LINES.sub("\n\n", text)
        text = _WRAPPED.sub(" ", text)
    if "{" in text or "\\" in text or "~" in text:
        text = _THOUSANDS.sub(",", text)
    if ">" in text:
        text = _QUOTED_LINE.sub("", text)
    if "_" in text:
        text = _ITALIC.sub(r"\1", text)
    return text.strip()


def _has_other_blanks(text: str) -> bool:
    """Return whether a text has white space but blanks and line feeds."""
    if not text.isascii():
        return _OTHER_BLANK.search(text) is not None
    for blank in _ASCII_BLANKS:  # noqa: SIM110 (any() takes twice as long)
        if blank in text:
            return True
    return False


def _last_channel(text: str) -> tuple[str | None, bool]:
    """Return the final channel, None where there is none yet, and whether there are channels."""
    if "<|channel|>" in text:
        channels = list(_CHANNEL.finditer(text))
        finals = [match for match in channels if match["name"] == "final"]
        if finals:
            end = _CHANNEL_ENDS.search(text, finals[-1].end())
            return text[finals[-1].end() : end.start() if end else len(text)], len(channels) > 1
        if channels:
            return None, True
    if "assistant" in text and (glued := list(_GLUED.finditer(text))):
        return text[glued[-1].end() :], True
    if _GLUED_OPENS.match(text):
        return None, True
    if final := _GLUED_FINAL.match(text):
        return text[final.end() :], False
    if _PROCESS.match(text) and (responses := list(_RESPONSE.finditer(text))):
        return text[responses[-1].end() :], True
    return text, False


def _untagged(text: str) -> tuple[str, Trace]:
    """Return what stands after the tags of reasoning, and whether the last of them is closed."""
    if "<" not in text and "[" not in text and "&" not in text and text.isascii():
        return text, Trace.NONE
    if not any(sign in text for sign in "<[◁＜&"):
        return text, Trace.NONE
    depth, start, trace = 0, 0, Trace.NONE
    details, before, stop = False, "", len(text)
    for n, match in enumerate(_TAG.finditer(text)):
        if n == _MOST:
            break
        if match["void"] or _quoted(text, match):
            continue
        closes = match["end"] or match["square_end"] or match["special_end"]
        if match["details"] and not details:
            continue
        if closes:
            if depth:
                depth -= 1
            elif trace != Trace.NONE and not text[match.end() :].strip():
                stop = match.start()  # a stray one at the end of an answer
                break
            else:
                before = ""
            trace = Trace.FINISHED
        else:
            if not depth and text[start : match.start()].strip():
                before = text[start : match.start()]
            # Some templates open a trace that the model opens again.
            depth += not depth or bool(text[start : match.start()].strip())
            details = (match["special"] or "").lower().startswith("<details")
        start = match.end()
    if depth:
        if not text[start:].strip(" \n.") and before.strip() and depth == 1:
            return before, trace
        return "", Trace.UNFINISHED
    rest = text[start:stop]
    return (rest if rest.strip() else before), trace


def _quoted(text: str, match: re.Match[str]) -> bool:
    """Return whether a tag is only mentioned, as in `the <think> tag`."""
    start, end = match.span()
    return (
        start > 0
        and text[start - 1] in _QUOTES
        and text[end : end + 1] in _QUOTES
        and end < len(text)
    )
