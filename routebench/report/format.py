"""Names that every output shares, and estimates as short texts and as what a table sorts by."""

from __future__ import annotations

from dataclasses import dataclass

from routebench.schema import COLLAPSE, Difference, Estimate

MISSING = "–"
BASELINE = "best-single"
SOURCES = {
    "recorded": "recorded answers",
    "simulated": "simulated pool",
    "live": "live answers",
}
REFERENCES = {
    "oracle": "oracle",
    "blind_oracle": "user-blind oracle",
    "best_single_hindsight": "best single in hindsight",
    "best_single": "best single",
    "random": "random, exact",
}
COLLAPSED = f"over {COLLAPSE:.0%} of queries go to one model"


@dataclass(frozen=True)
class Cell:
    """One cell of a table: what is read, what it sorts by (None: last), and the words behind it."""

    text: str
    sort: float | str | None = None
    note: str = ""
    tone: str = ""


def plain(found: Estimate | None, scale: float = 1, digits: int = 3) -> Cell:
    """Return `64.1 ±1.2`: the larger half of the interval, so that it is never understated."""
    if found is None or found.value is None:
        return _absent(found)
    text = f"{scale * found.value:.{digits}f}"
    if found.low is None or found.high is None:
        return Cell(text, found.value)
    half = max(found.high - found.value, found.value - found.low)
    note = f"95% interval {scale * found.low:.{digits}f} to {scale * found.high:.{digits}f}"
    return Cell(f"{text} ±{scale * half:.{digits}f}", found.value, note)


def money(found: Estimate | None) -> Cell:
    """Return USD to four digits, with the interval as the note."""
    if found is None or found.value is None:
        return _absent(found)
    note = ""
    if found.low is not None and found.high is not None:
        note = f"95% interval ${found.low:.4g} to ${found.high:.4g}"
    return Cell(f"{found.value:#.4g}", found.value, note)


def share(found: Estimate | None) -> Cell:
    """Return per cent with both ends of the interval."""
    if found is None or found.value is None:
        return _absent(found)
    text = f"{100 * found.value:.0f}%"
    if found.low is not None and found.high is not None and found.low != found.high:
        text += f" [{100 * found.low:.0f}, {100 * found.high:.0f}]"
    return Cell(text, found.value)


def change(found: Estimate | None, scale: float = 100, digits: int = 1) -> Cell:
    """Return `+2.4 [+1.6, +3.2]*`; the star where the difference was tested and is significant."""
    if found is None or found.value is None:
        return _absent(found)
    if found.value == found.low == found.high == 0:
        return Cell("=", 0.0, "the same decisions")
    text = f"{scale * found.value:+.{digits}f}"
    if found.low is not None and found.high is not None:
        text += f" [{scale * found.low:+.{digits}f}, {scale * found.high:+.{digits}f}]"
    p = found.p if isinstance(found, Difference) else None
    if p is None or p >= 0.05:
        return Cell(text, found.value, "" if p is None else f"p = {p:.3f}, Holm-adjusted")
    tone = "better" if found.value > 0 else "worse"
    return Cell(text + "*", found.value, f"p = {p:.2g}, Holm-adjusted", tone)


def _absent(found: Estimate | None) -> Cell:
    return Cell(MISSING, None, (found.reason or "") if found else "")
