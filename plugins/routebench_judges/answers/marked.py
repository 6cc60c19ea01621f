"""Find the final answer that a text marks: a box, `####`, `final answer`, a bold last line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from routebench_judges.answers.finals import MOST, boxes, meant, plain, settled

_FIELD = re.compile(r"\"(?:final[_ ]?)?answer\"\s*:\s*\"?(?P<text>[^\"\n,}]{1,300})", re.I)
_HEADING = re.compile(r"^ ?#{1,3} ", re.M)
_HASHES = re.compile(r"^[ *]*####[ *]*(?P<text>[^#\n]*)", re.M)
_CUE_END = (
    r"[\"*_` ]*(?:\b(?:is|was|are|would be|must be|should be)\b(?: that\b)?|[:=]|[-–—]+>?)[ *_`]*"
)
_FINAL = re.compile(
    r"\bfinal (?:answer|response|verdict|conclusion)\b(?: (?:to|for)\b[^.:;\n]{0,80}?"
    r"| ?\([^()\n]{0,40}\))?"
    rf"(?:{_CUE_END}|[*_`: ]*(?=\n))",
    re.I,
)
_ANSWER = re.compile(
    r"^[ *_#>`\"-]*(?:(?:so|therefore|thus|hence),? )?(?:(?:the|my) )?(?:correct |short |direct "
    r"|right )?"
    r"answer[*_`\" ]*(?::|=)[ *_`]*",
    re.I | re.M,
)
_HEADED = re.compile(
    r"^ *(?:#{1,6} |\*\*|__)[*_ ]*(?:the |my |short |correct )?answer[*_: ]*\n+", re.I | re.M
)
# In prose only a short name or number counts: `the answer is Lyon`, not `the answer is well known`.
_SAID = re.compile(
    r"(?i:\b(?:the|my) (?:correct |right |short )?answer (?:is|was|would be"
    r"|must be)(?:\s?:)?)[ *_`\"'“(]+(?=[A-Z\d$€£])"
)
_BOLD_LINE = re.compile(r"[ >]*(?:\*\*|__)(?P<text>[^*_\n]+?)(?:\*\*|__)[ .!]*")
_POLITE = re.compile(
    r"^\W*(?:conclusion|summary|answer|final answer|explanation|reasoning|overview|background"
    r"|result)\W*$|\b(?:hope|helps?|let me know|feel free|happy to|glad to|thanks?|welcome"
    r"|questions?|cheers|regards"
    r"|please|note|sources?|references?|disclaimer|important|confidence)\b",
    re.I,
)
# The end of a sentence, but not the point of `Dr. No`, `J. Smith`, `No. 5` or `Roe v. Wade`.
_END = re.compile(r"\n|[.!?][\"'”*)]*\s+(?=[A-Z\"'“(*])|;\s")
_POINTED = re.compile(
    r"(?:^|[^\w])(?:[A-Z]|Dr|Mr|Mrs|Ms|Mme|Mlle|Messrs|St|Ste|Mt|Ft|Pt|Jr|Sr|Prof|Hon|Rev|Fr|Msgr"
    r"|Sgt|Cpl|Pvt|Capt|Cmdr|Lt|Maj|Col|Gen|Adm|Gov|Sen|Rep|Pres|Amb|Supt|No|Nos|Vol|Op|Ch|Art|Sec"
    r"|Fig|Bros|Co|Corp|Ltd|Inc|Ave|Blvd|Rd|Univ|Dept|Assn|Intl|vs?|ca?|approx|est|feat|ft|aka"
    r"|e\.g|i\.e|a\.k\.a)$"
)
_WORD = re.compile(r"[^\W_]")
_SHORT = 6  # words of an answer that prose gives
_SHORT_LINE = 12  # words of a last line in bold
_LONGEST = 300  # characters of a marked answer


def marked_finals(text: str) -> list[str]:
    """Return the texts that an answer marks as final, the firmest kind only; distinct, in order."""
    body = plain(text) if "\\" in text or "<" in text else text
    for statements in (
        [(box.start, box.text) for box in boxes(body)],
        [(match.start(), match["text"]) for match in islice(_FIELD.finditer(body), MOST)],
        list(_hashed(body)),
        list(_cued(body, _FINAL)),
        list(_cued(body, _ANSWER)) + list(_cued(body, _HEADED)),
        list(_bold_line(body)),
        [(at, one) for at, one in _cued(body, _SAID) if len(one.split()) <= _SHORT],
    ):
        kept = [(at, one.strip()) for at, one in statements if _WORD.search(one)]
        if kept:
            return settled(body, kept)
    return []


def _hashed(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text after `####`, unless such lines are the headings of a document."""
    lines = list(islice(_HASHES.finditer(text), MOST))
    if len(lines) == 1 and not _HEADING.search(text):
        match = lines[0]
        if match["text"].rstrip(" *").endswith(":") or not _WORD.search(match["text"]):
            return
        if not _FINAL.search(match["text"]) and not _ANSWER.match(match["text"]):
            yield match.start("text"), match["text"].strip(" *_")


def _cued(text: str, cue: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    for match in islice(cue.finditer(text), MOST):
        at = match.end()
        while at < len(text) and text[at] in " \n*_`>#":
            at += 1
        segment = text[at : _sentence_end(text, at)].strip(" *_`").rstrip(".")
        if _WORD.search(segment) and meant(text, match.start()):
            yield at, segment


def _sentence_end(text: str, at: int) -> int:
    stop = min(len(text), at + _LONGEST)
    for match in _END.finditer(text, at, stop):
        if text[match.start()] != "." or not _POINTED.search(text[at : match.start()]):
            return match.start()
    return stop


def _bold_line(text: str) -> Iterator[tuple[int, str]]:
    """Yield the last line where all of it is bold, polite lines after it apart."""
    lines = text.rstrip().split("\n")
    while len(lines) > 2 and (not lines[-1].strip() or _polite(lines[-1])):
        del lines[-1]
    match = _BOLD_LINE.fullmatch(lines[-1])
    if len(lines) < 2 or match is None or len(match["text"].split()) > _SHORT_LINE:
        return
    if not match["text"].rstrip().endswith((":", "?")) and not _POLITE.search(match["text"]):
        yield len(text) - len(lines[-1]), match["text"]


def _polite(line: str) -> bool:
    return not line.lstrip(" >").startswith(("**", "__")) and bool(_POLITE.search(line))
