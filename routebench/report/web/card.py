"""The verdict of a run as a picture for sharing, with the facts of the page's card."""

from __future__ import annotations

import io
import textwrap
from typing import Any

from routebench.printed import one_visible_line
from routebench.report.format import shortened
from routebench.report.verdict_card import VerdictCard
from routebench.report.volume import Volume
from routebench.report.web.colours import LIGHT
from routebench.report.web.templates import import_extra

WIDTH, HEIGHT = 1200, 630
_DPI = 100
_TONES = {"proven": "good", "invalid": "bad", "not proven": "warn-line"}
_LINES = 2
"""Of a title and of what is said below it, each; the rest is cut."""


def png(card: VerdictCard, volume: Volume) -> bytes:
    """Return the picture, as the same bytes for the same card."""
    matplotlib = import_extra("matplotlib", "--card")
    figure_class = import_extra("matplotlib.figure", "--card").Figure
    # Names may hold what Matplotlib would read as mathematics.
    with matplotlib.rc_context({"text.parse_math": False, "font.family": "DejaVu Sans"}):
        figure = figure_class(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI)
        _draw(figure, card, volume)
        sink = io.BytesIO()
        figure.savefig(sink, format="png", dpi=_DPI, facecolor=LIGHT["paper"],
                       metadata={"Software": "RouteBench"})  # fmt: skip
    return sink.getvalue()


def _draw(figure: Any, card: VerdictCard, volume: Volume) -> None:
    tone = LIGHT[_TONES.get(card.kind, "accent")]
    _bar(figure, (0, 0), 0.018, 1, tone)
    soft, ink = LIGHT["soft"], LIGHT["ink"]
    y = _text(figure, 0.93, "RouteBench", 17, soft, weight="bold", room=60)
    y = _text(figure, y - 0.075, card.title, 33, tone, weight="bold", room=48)
    y = _text(figure, y - 0.035, card.words, 24, ink, room=70)
    if (dollars := card.dollars(volume)) is not None:
        y = _text(figure, y - 0.035, dollars, 24, ink, room=70)
        _costs(figure, y - 0.05, card, tone)
    foot = [card.suite, card.about, *card.cautions]
    at = 0.05 + 0.052 * len(foot)
    for line in foot:
        _text(figure, at, line, 16, soft, room=104, lines=1)
        at -= 0.052


def _costs(figure: Any, top: float, card: VerdictCard, tone: str) -> None:
    """Draw what the best single model and the router cost, one bar below the other."""
    assert card.usd_per_1k is not None
    assert card.best_single_usd_per_1k is not None
    lines = (
        (card.best_single_usd_per_1k, LIGHT["line"], "best single model"),
        (card.usd_per_1k, tone, shortened(str(card.router), 20)),
    )
    largest = max(cost for cost, _, _ in lines)
    for i, (cost, colour, name) in enumerate(lines):
        y = top - 0.07 * (i + 1)
        _bar(figure, (0.06, y), 0.5 * cost / largest, 0.05, colour)
        words = f"{name}: ${cost:.3g} per 1,000 queries"
        place = 0.075 + 0.5 * cost / largest
        _text(figure, y + 0.041, words, 15, LIGHT["ink"], room=50, lines=1, left=place)


def _bar(figure: Any, at: tuple[float, float], width: float, height: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    figure.add_artist(
        Rectangle(at, width, height, transform=figure.transFigure, color=colour, linewidth=0)
    )


def _text(
    figure: Any, top: float, text: str, size: int, colour: str, room: int,
    weight: str = "normal", lines: int = _LINES, left: float = 0.06,
) -> float:  # fmt: skip
    """Write a text in lines of `room` letters at most, and return where it ends."""
    rows = textwrap.wrap(one_visible_line(text), room, max_lines=lines, placeholder=" …")
    figure.text(left, top, "\n".join(rows), size=size, color=colour, weight=weight, va="top",
                linespacing=1.25)  # fmt: skip
    return top - 1.25 * size * len(rows) / 72 * _DPI / HEIGHT
