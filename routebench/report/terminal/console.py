"""The terminal, and numbers and names as they stand in its tables."""

from __future__ import annotations

from rich.console import Console as RichConsole
from rich.markup import escape

from routebench.schema import Difference, Estimate

WIDTH, WIDE = 100, 150
LABEL = 26  # columns for a router's name


def make(error: bool = False, wide: bool = False) -> RichConsole:
    """Return the terminal, or a page of fixed width where the output is none."""
    made = RichConsole(stderr=error, highlight=False)
    if made.is_terminal:
        return made
    return RichConsole(stderr=error, highlight=False, width=WIDE if wide else WIDTH)


def percent(estimate: Estimate) -> str:
    """Return `64.1 ±1.2`: the larger half of the interval, so that it is never understated."""
    return plain(estimate, 100, 1)


def plain(estimate: Estimate, scale: float = 1, digits: int = 3) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–"
    half = max(estimate.high - estimate.value, estimate.value - estimate.low)
    return f"{scale * estimate.value:.{digits}f} ±{scale * half:.{digits}f}"


def difference(found: Estimate, scale: float = 100, digits: int = 1) -> str:
    """Return `+2.4 [+1.6, +3.2]*` in percentage points; the star where it is significant."""
    if found.value is None or found.low is None or found.high is None:
        return "–"
    value, low, high = (scale * x for x in (found.value, found.low, found.high))
    if value == low == high == 0:
        return "="
    text = f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
    p = found.p if isinstance(found, Difference) else None
    if p is None or p >= 0.05:
        return escape(text) + " "
    colour = "green" if value > 0 else "red"
    return f"[{colour}]{escape(text)}*[/{colour}]"


def short(name: str, room: int) -> str:
    """Return a name cut in the middle: both ends of a name tell."""
    if len(name) <= room:
        return name
    tail = (room - 1) // 2
    return f"{name[: room - 1 - tail]}…{name[len(name) - tail :]}"
