"""The verdict of a run as a picture for sharing, with the facts of the page's card."""

from __future__ import annotations

import io
import textwrap
from typing import Any

from routebench.printed import one_visible_line
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
    from matplotlib.patches import Rectangle

    tone = LIGHT[_TONES.get(card.kind, "accent")]
    bar = Rectangle((0, 0), 0.018, 1, transform=figure.transFigure, color=tone, linewidth=0)
    figure.add_artist(bar)
    soft, ink = LIGHT["soft"], LIGHT["ink"]
    y = _text(figure, 0.93, "RouteBench", 17, soft, weight="bold", room=60)
    y = _text(figure, y - 0.075, card.title, 33, tone, weight="bold", room=48)
    y = _text(figure, y - 0.035, card.words, 24, ink, room=70)
    if (dollars := card.dollars(volume)) is not None:
        y = _text(figure, y - 0.035, dollars, 24, ink, room=70)
    foot = [card.suite, card.about, *card.cautions]
    at = 0.05 + 0.052 * len(foot)
    for line in foot:
        _text(figure, at, line, 16, soft, room=104, lines=1)
        at -= 0.052


def _text(
    figure: Any, top: float, text: str, size: int, colour: str, room: int,
    weight: str = "normal", lines: int = _LINES,
) -> float:  # fmt: skip
    """Write a text in lines of `room` letters at most, and return where it ends."""
    rows = textwrap.wrap(one_visible_line(text), room, max_lines=lines, placeholder=" …")
    figure.text(0.06, top, "\n".join(rows), size=size, color=colour, weight=weight, va="top",
                linespacing=1.25)  # fmt: skip
    return top - 1.25 * size * len(rows) / 72 * _DPI / HEIGHT
