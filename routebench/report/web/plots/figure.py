"""Build the parts that all plots share: a frame, traces, and texts as Plotly shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from routebench.report.format import shortened
from routebench.report.web.colours import SERIES
from routebench.schema import Estimate

Figure = dict[str, Any]
"""Plotly's data and layout, and `height` in rem, fixed beforehand so that nothing moves later."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon", "star-triangle-up")
DASHES = ("solid", "dash", "dot", "dashdot")
_LABEL = 22


def literal(text: str) -> str:
    """Return a name as Plotly shows it letter by letter: it would read tags and entities."""
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;")):
        text = text.replace(letter, entity)
    return text


def short(text: str, room: int = _LABEL) -> str:
    """Return a name cut in the middle, and escaped as `literal` does."""
    return literal(shortened(text, room))


def scatter(mode: str, name: str, x: Any, y: Any, hover: list[str] | str, **more: Any) -> Figure:
    """Return a trace; `hover`: its texts, or Plotly's `hoverinfo`."""
    trace = {"type": "scatter", "mode": mode, "name": name, "x": x, "y": y, "hoverinfo": "text"}
    return trace | {"hoverinfo" if isinstance(hover, str) else "hovertext": hover} | more


def line_style(i: int) -> tuple[str, str]:
    """Return colour and dash of the i-th line."""
    return SERIES[i % len(SERIES)], DASHES[i // len(SERIES) % len(DASHES)]


def line_trace(i: int, name: str, x: Any, y: Any, mode: str = "lines+markers") -> Figure:
    """Return the i-th line, in the style of its place."""
    colour, dash = line_style(i)
    line = {"color": colour, "width": 1.5, "dash": dash}
    marker = {"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 6}
    x, y = ([round(float(v), 4) for v in values] for values in (x, y))
    return scatter(mode, short(name), x, y, "all", line=line, marker=marker)


def framed(traces: list[Figure], x: str, y: str, legend: bool = False) -> Figure:
    """Return a figure of traces, with the titles of its axes."""
    axis: Figure = dict.fromkeys(("gridcolor", "zerolinecolor"), "@grid")
    axis |= {"linecolor": "@line", "automargin": True}
    return {
        "data": traces,
        "layout": {
            "autosize": True,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": "@ink"},
            "margin": {"l": 10, "r": 24, "t": 10, "b": 10, "pad": 2},
            "xaxis": axis | {"title": {"text": x, "standoff": 8}},
            "yaxis": axis | ({"title": {"text": y, "standoff": 8}} if y else {}),
            "showlegend": legend,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hovermode": "closest",
        },
        "height": 30,
    }  # fmt: skip


def name_rows(figure: Figure, names: Sequence[str]) -> None:
    """Name the rows of a figure's y axis, and make it as high as they need."""
    ticks = {"tickvals": list(range(len(names))), "ticktext": [short(name) for name in names]}
    figure["layout"]["yaxis"] |= ticks | {"autorange": "reversed", "type": "linear", "title": {}}
    figure["height"] = 5 * math.ceil((8 + 1.7 * len(names)) / 5)


def error_bars(estimates: Sequence[Estimate], scale: float) -> Figure:
    """Return the intervals of estimates as Plotly's error bars."""
    values = [e.value or 0 for e in estimates]
    highs = [v if e.high is None else e.high for e, v in zip(estimates, values, strict=True)]
    lows = [v if e.low is None else e.low for e, v in zip(estimates, values, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (high - v) for high, v in zip(highs, values, strict=True)],
        "arrayminus": [scale * (v - low) for low, v in zip(lows, values, strict=True)],
    }


def with_interval(estimate: Estimate, scale: float) -> str:
    """Return an estimate in figures, with its interval where it has one."""
    value = scale * (estimate.value or 0)
    if estimate.low is None or estimate.high is None:
        return f"{value:.4g}"
    return f"{value:.4g} [{scale * estimate.low:.4g}, {scale * estimate.high:.4g}]"


def value_of(estimate: Estimate | None) -> float | None:
    """Return the value of an estimate; None where either is missing."""
    return None if estimate is None else estimate.value
