"""Patterns of the words by which an answer makes a letter its choice, or takes it back."""

from __future__ import annotations

import re
from collections.abc import Iterator

NEAR = 240  # characters read after a cue


def cased_otherwise(text: str) -> bool:
    """Return whether a text has letters that are an i, s or k to a pattern, but not in lower case.

    Without them a word stands where it stands in `text.lower()`, at the same place.
    """
    return not text.isascii() and any(letter in text for letter in "ıİſK")


class Cue:
    """A pattern in any case that is looked for only where one of the words it opens with stands.

    Finding a word is many times faster than trying the pattern at every letter of a text, and so
    is a pattern of small letters in a text made small. `cased` patterns have capitals of their own.
    """

    def __init__(self, pattern: str, *opens: str, cased: bool = False) -> None:
        self.pattern = re.compile(pattern, re.I)
        self._small = None if cased else re.compile(pattern)
        self._opens = opens

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Return the matches in a text, as the pattern alone would find them."""
        return self.pattern.finditer(text) if cased_otherwise(text) else self._at_words(text)

    def _at_words(self, text: str) -> Iterator[re.Match[str]]:
        low, places = text.lower(), []
        pattern, text = (self._small, low) if self._small else (self.pattern, text)
        if not self._opens:
            yield from pattern.finditer(text)
            return
        for word in self._opens:
            at = low.find(word)
            while at >= 0:
                places.append(at)
                at = low.find(word, at + 1)
        end = 0
        for at in sorted(places):
            if at >= end and (match := pattern.match(text, at)):
                yield match
                end = match.end()


_IS = (
    r"(?:is|are|was|(?:must|should|would|will|has to|needs to)(?: \w+)? be|becomes|appears to be"
    r"|seems to be)"
)
_WORD = r"(?:answer|ans|vote|correct(?=[\s*]*:)|final answer"
_WORD += r"|(?:correct|right|best|appropriate) (?:option|choice|statement|response|letter)"
_WORD += r"|(?:my|final) (?:choice|pick|selection|option|response))"
_OF = r"(?:,? (?:to|for|of|here|choice|option|letter|among|from|then|therefore|thus)\b"
_OF += r"[^.:;\n]{0,80}?)?"
_SAYS = rf"[\"'*_`\s,]*(?:\b{_IS}\b|[:=]|[-–—]+>?|→)"
FINAL = Cue(rf"\bfinal (?:answer|choice|option)\b{_OF}(?:{_SAYS})?|####", "final ", "####")
MAIN = Cue(
    rf"\b{_WORD}\b{_OF}{_SAYS}",
    *("ans", "vote", "correct", "final ", "right ", "best ", "appropriate ", "my "),
)
WEAK = Cue(
    r"\b(?:choos(?:e|ing)|chose|select(?:ed)?|pick(?:ed)?|go(?:ing)? with|opt(?:ed)? for|vote for"
    r"|guess(?: is| would be)?|(?:it|this|that)(?: is|['’]s)|it (?:must|would|should|has to) be"
    r"|its|therefore|thus|hence|so|which is|leaves(?: us with)?|i(?:['’]d)? (?:say|think|believe)"
    r"|(?<![).:]\s)(?:both|either)|(?:answer|choice|option) (?:may|might|could|can) be"
    r"|corresponds to|matches|answer)\b"
)
AFTERWARDS = re.compile(
    r"(?<![\w'’.-])[(\[*]{0,4}(?P<letter>[A-Z])[)\]*.:]*\s+(?:\([^()\n]{0,80}\)\s+)?"
    r"(?:is|would be|must be|seems)\s+"
    r"(?:therefore\s+)?(?:the\s+)?(?:most\s+)?(?P<what>(?:(?:correct|right|best|only|appropriate)\s+)*"
    r"(?:answer|option|choice|one)\b|(?:correct|right)\b)"
)
SKIP = re.compile(
    r"(?:[\s*_`\"'“”:,=>→$]|[-–—](?![.\d])|\b(?:option|choice|letter|answer|indeed|clearly|likely|probably|most"
    r"|definitely|therefore|thus|simply|just|actually|still|both|either|only|is|be|that|the"
    r"|following|statement)\b(?!\s*[)\].]))*",
    re.I,
)
LETTER = re.compile(
    r"(?P<open>[(\[{*]*)(?P<letter>[A-Za-z])(?P<close>[)\]}]?)(?![A-Za-z0-9+#_&%/-]|[.'’]\w|\^)\**"
)
JOINED = re.compile(
    r"\s*(?:,\s*(?:and|or)?|/|&|\band\b|\bor\b)\s*(?:also\s+)?(?:option\s+|choice\s+)?"
    r"(?P<open>[(\[*]*)(?P<letter>[A-Z])(?P<close>[)\]]?)(?![A-Za-z0-9+#_&%-]|[.'’]\w)\**"
)
ARE = re.compile(r"\s+(?:are|were|is|was|would|seem|look|can|could|do)\b")
COMMA = re.compile(r"\s*,(?!\s*(?:and|or)\b)")
BEGINS = re.compile(r"[(\[*]{0,4}(?P<letter>[A-Z])[)\]*]{0,4}\s+(?:because|since|as)\b")
ENDS = re.compile(
    r"$|\s*[.,;:!?)\]}](?=\s|$)|[.,;:!?)\]}*\"”'’\n/&]|\s+[-–—(\[=]|\s*\n"
    r"|\s?[\u0600-\u06ff\u0900-\u097f\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af]"
)
GOES_ON = re.compile(
    r"\s+(?:because|since|as|for|given|due|with|which|where|and|or|but|rather|instead|over|by|on"
    r"|here|in this)\b"
)
UNDONE = re.compile(
    r"[\s*)\].,:]*(?:\b(?:is|are|was|were|seems?|looks?|can|could|would|does|do|did|has|have|be)\b"
    r"[^.,;\n]{0,25}?(?:\b(?:not|wrong|incorrect|false|untrue|eliminated|impossible|invalid|out|ruled"
    r"|unlikely)\b|n['’]t\b)|\b(?:cannot|isnt|isn['’]t|aren['’]t|can['’]t|wouldn['’]t|doesn['’]t"
    r"|won['’]t)|[-–—:]\s*(?:wrong|incorrect|false|no)\b)",
    re.I,
)
ASKS = re.compile(r"\b(?:is|could|would|might|can|maybe|was)\s+(?:the\s+|it\s+)?$", re.I)
CUTS = re.compile(
    r"[.,:](?!\d)|[;!?()\n*\"”]|\s[-–—]\s|\b(?:because|since|as|which|who|where|given|due|and|or|is|was|with"
    r"|for|by|not|rather|instead)\b"
)
OR = re.compile(r"\s*(?:,\s*(?:and|or)?|/|&|\band\b|\bor\b)\s*(?=\S)")
BOLD = re.compile(r"\*\*([^*\n]{1,240})\*\*")
LED = re.compile(r"[\s*>#-]*(?:option\s+)?[(\[]?(?P<letter>[A-Za-z])[)\].:]+\**\s+(?=\S)", re.I)
LONE = re.compile(r"(?:(?:option|choice)\s+)?[(\[]?([A-Z])[)\]]?[.:]?")
SIGNS = re.compile(r"[*_`\"'“”()\[\]{}$:,;/&!]+|\.(?!\w)")
PARTS = re.compile(r"[;,()*]|[.!?](?:\s|$)|\s[-–—]\s")
BARE = re.compile(r"(?:option|choice|answer|letter|final|the|my|is|and|or)", re.I)
DENIES = re.compile(
    r"\b(?:not|no|never|except|unlike|cannot|neither|wrong|incorrect)\b|n['’]t\b", re.I
)
LINE = re.compile(r"[^\n]*\S[^\n]*")
NEGATIVE = Cue(
    r"\b(?:not|false|incorrect|wrong|untrue|except|least)\b",
    *("not", "false", "incorrect", "wrong", "untrue", "except", "least"),
)
# What is left when others are gone: `with C gone, B remains`.
LEFT = re.compile(
    r"\b(?:[Oo]nly|[Jj]ust)\s(?:option\s|choice\s|answer\s)?[(\[*]{0,4}(?P<sole>[A-Z])[)\]*]{0,4}\s"
    r"(?:fits|works|matches|satisfies|explains|is\s(?:correct|right|true|valid|possible)|does|can|holds|makes)\b"
    r"|[;,]\s(?:but\s|while\s|only\s)?[(\[*]{0,4}(?P<does>[A-Z])[)\]*]{0,4}\s(?:does|is|works|fits)\s?[.!]?(?=$|\n|\s[A-Z])|"
    r"(?<![\w'’.-])(?:only\s|just\s)?(?:option\s|choice\s)?[(\[*]{0,4}(?P<letter>[A-Z])[)\]*]{0,4}\s(?:alone\s|still\s|only\s)?"
    r"(?:remains|is\s(?:the\s(?:only|sole|last)\s(?:\w+\s)?(?:one|option|choice|answer|possibility|candidate|statement)\b(?!\s(?:that\s)?(?:not|which\sis\snot))"
    r"|(?:all\sthat\sis\s|what\sis\s|the\sone\s)?left\b)|stays|survives|it\sis\b|(?:seems|appears|looks)\s(?:to\sbe\s)?(?:the\s)?(?:best|correct|right|(?:most\s)?likely|(?:most\s)?(?:plausible|appropriate|accurate))|is\swhat\sremains|fits\sbest|is\sthe\sone\b)"
    r"|\b(?:leav(?:es|ing)(?:\sus\swith|\sonly|\sjust)*|left\swith|remaining\s(?:option|choice|answer|one)\sis)\s(?:only\s|option\s|choice\s)*[(\[*]{0,4}"
    r"(?P<after>[A-Z])(?![\w'’])"
)
# A sentence that ends an argument.
CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|consequently|accordingly|in conclusion|to conclude|overall"
    r"|in summary"
    r"|based on|given (?:this|that|these)|finally|most likely|best|correct|answer|option|choice)\b",
    re.I,
)
SENTENCES = re.compile(
    r"[.!\n](?:(?<!\n)(?<![\s(\[*][A-Z].)(?<!i\.e.)(?<!e\.g.)(?<!\b[Aa]ns.)(?:[\"'”’)*]*)\s+"
    r"(?=[A-Z(*\"“])|(?<=\n)\n*)"
)
NAMED = re.compile(
    r"(?P<open>[(\[*]+)(?P<letter>[A-Z])[)\]*]+(?![\w'’])"
    r"|\b(?:option|choice|answer|statement|alternative)\s[(\[*\"'“]*(?P<word>[A-Z])(?![\w'’])"
    r"|(?:[,:;]|\bi\.e\.|\b[Aa]ns\.|\bis|\bbe)\s[*\"'“]*(?P<last>[B-HJ])[*\"'”.!]*$"
    r"|(?<![\w'’.+-])(?P<bare>[A-Z])[).:,]*(?=\s)"
)
REJECTS = re.compile(
    r"(?:\b(?:not|never|neither|nor|cannot|rather than|instead of|unlike|except|than"
    r"|(?<!by )(?<!of )eliminat\w+|rul\w+ out"
    r"|exclud\w+|discard\w+|reject\w+|dismiss\w*|incorrect|wrong|false|contradict\w*|against)\b|n['’]t\b)\W*(?:\w+\W+){0,4}$",
    re.I,
)
# What an answer writes past its own end, as if it were asked further questions.
RUNAWAY = re.compile(
    r"\n\s*(?:[#*]*\s?(?:next )?(?:question|problem|q)\s?\d{0,3}\s?[:.]\s?\S|(?:human|user"
    r"|instruction|student)\s?:"
    r"|(?:now|finally|so|next),? [^\n]{0,60}(?:\ball\b|总结|以上|summar|\bquestions|\banswers"
    r"|combin)"
    r"|(?:here are )?the answers to (?:the|all|these))",
    re.I,
)
ALONE = re.compile(
    r"(?<![A-Za-z0-9'’.])[A-Z](?![A-Za-z0-9'’])|(?<!\w)[А-ЯЁ\u0623\u0627\u0628\u062a\u062c\u062f\u0647](?!\w)"
)
DENIED = re.compile(
    r"\b(?:is|are|was|were|seems|would be|must be)\s(?:\w+\s){0,2}(?:wrong|incorrect|false|untrue"
    r"|eliminated|impossible|ruled out|out\b|not(?=\s*(?:[.,;]|$)|\s(?:correct|right|true|valid"
    r"|it|the"
    r" (?:answer|correct|right|best))\b))|\b(?:isn|aren|wasn)['’]t\s(?:correct|right|true|it"
    r"|the)\b",
    re.I,
)
# What takes an earlier choice back and makes another one: `wait, no: C.`
CORRECTS = Cue(
    r"\b(?:wait|actually|correction|scratch that|on second thoughts?|i mean"
    r"|no)[,:.!\s-]+(?:no[,:.!]?\s+)?"
    r"(?:(?:it(?:['’]s| is)|option|choice)\s+)*(?=[(*\[]*[A-Z][)*\]]*(?:[.!]?\s*(?:$|\n)|[.!]\s))",
    *("wait", "actually", "correction", "scratch that", "on second thought", "i mean", "no"),
    cased=True,
)
