"""Scores as people write them: numbers up to a maximum, yes and no, True and False, per cent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.records import Floats, Mask, Outcomes

WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
"""Words that are scores, in any case; they have no unit."""
TOPS = (1, 5, 10, 100)
"""Usual ends of a scale."""


SUSPICIOUS = 0.95
"""The AUC of what is stated of an answer against its grade above which it may be made of it."""
_STATED = {
    "confidence": "each model's confidence",
    "verification": "how far each answer passed when it was checked",
}
_PAID = "what checking cost is billed where cost_usd holds it"


def as_text(column: Any) -> Any:
    """Return a column as text; null where it is empty."""
    text = pc.cast(column, pa.large_string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), None, text)


def plain(column: Any) -> tuple[Any, Mask, Mask]:
    """Return texts as numbers' texts, and where they were words and where per cent.

    `yes` becomes 1, `85%` becomes 85; what is neither stays.
    """
    text = pc.utf8_trim_whitespace(column)
    lower = pc.utf8_lower(text)
    words = _mask(pc.is_in(lower, pa.array(list(WORDS), pa.large_string())))
    percent = _mask(pc.match_substring_regex(text, r"^-?[\d.]+\s*%$"))
    if not (words.any() or percent.any()):
        return text, words, percent
    ones = [word for word, value in WORDS.items() if value]
    digits = pc.if_else(pc.is_in(lower, pa.array(ones, pa.large_string())), "1", "0")
    text = pc.if_else(pa.array(words), digits, text)
    bare = pc.utf8_trim_whitespace(pc.replace_substring(text, "%", ""))
    return pc.if_else(pa.array(percent), bare, text), words, percent


def scaled(values: Floats, words: Mask, percent: Mask, top: float) -> Floats:
    """Return scores as shares of their maximum: `top`, 100 for per cent, 1 for words."""
    if top == 1 and not percent.any():
        return values
    return values / np.where(words, 1.0, np.where(percent, 100.0, top))


def likely_top(values: Floats) -> int | None:
    """Return the end of the scale that scores seem to have; None where none of the usual fits."""
    if not len(values) or values.min() < 0:
        return None
    return next((top for top in TOPS if values.max() <= top), None)


def readable(column: Any, top: float | None) -> bool:
    """Return whether a column holds nothing but scores up to `top`, or but numbers for None."""
    try:
        numbers, words, percent = plain(_whole(as_text(column)))
        values = pc.cast(numbers, pa.float64()).drop_null().to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    known = _mask(pc.is_valid(numbers))
    shares = scaled(values, words[known], percent[known], top or 1.0)
    return top is None or bool(((shares >= 0) & (shares <= 1)).all())


def _mask(condition: Any) -> Mask:
    return np.asarray(pc.fill_null(condition, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _whole(array: Any) -> Any:
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def stated_notes(name: str, column: str, outcomes: Outcomes) -> tuple[str, ...]:
    """Return where what is stated of answers is from, and a warning where it knows the score.

    `name` is one of `STATED`, `column` what it is called in the table.
    """
    stated = getattr(outcomes, name)
    assert stated is not None, "the column was read"
    known = outcomes.ok & ~np.isnan(stated)
    n = int(known.sum())
    paid = f"; {_PAID}" if name == "verification" else ""
    notes = [f"{_STATED[name]} is column {column}, as recorded, of {n:,} answers{paid}"]
    above = _auc(stated[known], outcomes.score[known] >= 0.5)
    if above is not None and max(above, 1 - above) > SUSPICIOUS:
        notes.append(
            f"warning: column {column} tells right from wrong answers with an AUC of {above:.3f}:"
            " it may be made of the grade, which no router may see"
        )
    return tuple(notes)


def _auc(values: Floats, right: Mask) -> float | None:
    """Return P(a right one is above a wrong one), ties half; None where all are alike."""
    good = int(right.sum())
    if not 0 < good < len(right):
        return None
    _, code, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[code]
    return float((rank[right].sum() - good * (good + 1) / 2) / (good * (len(right) - good)))
