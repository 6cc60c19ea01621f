"""Names that every output shares, and estimates as short texts and as what a table sorts by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from routebench.schema import BEST_SINGLE, COLLAPSE, Difference, Estimate, Leaderboard, Row

MISSING = "–"
BASELINE = BEST_SINGLE
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


def plain(estimate: Estimate | None, scale: float = 1, digits: int = 3) -> Cell:
    """Return `64.1 ±1.2`: the larger half of the interval, so that it is never understated."""
    if estimate is None or estimate.value is None:
        return _absent(estimate)
    text = f"{scale * estimate.value:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return Cell(text, estimate.value)
    half = max(estimate.high - estimate.value, estimate.value - estimate.low)
    note = f"95% interval {scale * estimate.low:.{digits}f} to {scale * estimate.high:.{digits}f}"
    return Cell(f"{text} ±{scale * half:.{digits}f}", estimate.value, note)


def symmetric(estimate: Estimate, scale: float, digits: int) -> bool:
    """Return whether both halves of an interval look alike at this many digits: ± will do."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return False
    halves = estimate.high - estimate.value, estimate.value - estimate.low
    down, up = (round(scale * half, digits) for half in halves)
    return bool(abs(up - down) <= max(1.01 * 10**-digits, 0.1 * max(up, down)))


def without_vendors(models: Iterable[str]) -> dict[str, str]:
    """Return each model's name without the vendor before the slash, where no other has the same.

    >>> without_vendors(["openai/gpt-4o", "azure/gpt-4o", "meta/llama"])
    {'openai/gpt-4o': 'openai/gpt-4o', 'azure/gpt-4o': 'azure/gpt-4o', 'meta/llama': 'llama'}
    """
    names = list(dict.fromkeys(models))
    plain = Counter(name.rsplit("/", 1)[-1] for name in names)
    return {n: n if plain[n.rsplit("/", 1)[-1]] > 1 else n.rsplit("/", 1)[-1] for n in names}


def in_order(board: Leaderboard) -> tuple[list[Row], list[Row]]:
    """Return the rows with verdicts, what is proven and saves most first; then all others."""
    judged = [row for row in board.rows if row.verdict is not None]
    others = [row for row in board.rows if row.verdict is None and row.state != "skipped"]
    return sorted(judged, key=_standing), others


def _standing(row: Row) -> tuple[int, float, str]:
    assert row.verdict is not None
    kinds = ("proven", "not proven", "same", "worse")
    return kinds.index(row.verdict.kind), -(row.verdict.savings.value or 0.0), row.router


def money(estimate: Estimate | None) -> Cell:
    """Return USD to four digits, with the interval as the note."""
    if estimate is None or estimate.value is None:
        return _absent(estimate)
    note = ""
    if estimate.low is not None and estimate.high is not None:
        note = f"95% interval ${estimate.low:.4g} to ${estimate.high:.4g}"
    return Cell(f"{estimate.value:#.4g}", estimate.value, note)


def share(estimate: Estimate | None) -> Cell:
    """Return per cent with both ends of the interval."""
    if estimate is None or estimate.value is None:
        return _absent(estimate)
    text = f"{100 * estimate.value:.0f}%"
    if estimate.low is not None and estimate.high is not None and estimate.low != estimate.high:
        text += f" [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"
    return Cell(text, estimate.value)


def change(estimate: Estimate | None, scale: float = 100, digits: int = 1) -> Cell:
    """Return `+2.4 [+1.6, +3.2]*`; the star where the difference was tested and is significant."""
    if estimate is None or estimate.value is None:
        return _absent(estimate)
    if estimate.value == estimate.low == estimate.high == 0:
        return Cell("=", 0.0, "the same decisions")
    text = f"{scale * estimate.value:+.{digits}f}"
    if estimate.low is not None and estimate.high is not None:
        text += f" [{scale * estimate.low:+.{digits}f}, {scale * estimate.high:+.{digits}f}]"
    p = estimate.p if isinstance(estimate, Difference) else None
    if p is None or p >= 0.05:
        return Cell(text, estimate.value, "" if p is None else f"p = {p:.3f}, Holm-adjusted")
    tone = "better" if estimate.value > 0 else "worse"
    return Cell(text + "*", estimate.value, f"p = {p:.2g}, Holm-adjusted", tone)


def shortened(text: str, room: int) -> str:
    """Return a name of `room` letters at most, cut in the middle."""
    return text if len(text) <= room else f"{text[: room // 2]}…{text[-(room // 2 - 1) :]}"


def _absent(estimate: Estimate | None) -> Cell:
    return Cell(MISSING, None, (estimate.reason or "") if estimate else "")
