"""Read the grade out of a reply: strictly, or as the published parser does."""

from __future__ import annotations

import re

from routebench.records import Grade

LETTERS = {"A": Grade.CORRECT, "B": Grade.INCORRECT, "C": Grade.NOT_ATTEMPTED}
_GRADES = LETTERS | {grade.name: grade for grade in LETTERS.values()}
_STRICT = re.compile(
    r"(?:(?:grade|answer)\s*:\s*)?(A|B|C|CORRECT|INCORRECT|NOT[_ ]ATTEMPTED)\.?", re.IGNORECASE
)
_FENCE = re.compile(r"\A\s*```[a-z]*[ \t]*\n(.*)\n[ \t]*```\s*\Z", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(r"[*`\"'“”‘’«»]|(?<![^\W_])_+|_+(?![^\W_])")
_LONGEST = 200  # characters; no longer reply is a grade, whatever is stripped from it


def strict(reply: str) -> Grade | None:
    """Return the grade that the whole reply is, markup apart; None for anything else.

    >>> strict("**B**"), strict("Grade: NOT_ATTEMPTED."), strict("I would say B")
    (<Grade.INCORRECT: 1>, <Grade.NOT_ATTEMPTED: 2>, None)
    """
    if len(reply) > _LONGEST:
        return None
    fenced = _FENCE.match(reply)
    match = _STRICT.fullmatch(_MARKUP.sub("", fenced[1] if fenced else reply).strip())
    return _GRADES[match[1].upper().replace(" ", "_")] if match else None


def paper(reply: str) -> Grade:
    """Return the grade of the published parser: the first A, B or C anywhere, else C.

    It reads letters out of words: NOT_ATTEMPTED becomes CORRECT (its A), CORRECT and INCORRECT
    become NOT_ATTEMPTED (their C), and `Answer: B` becomes CORRECT. Only a bare letter is safe.
    """
    match = re.search("(A|B|C)", reply)
    return LETTERS[match[0] if match else "C"]
