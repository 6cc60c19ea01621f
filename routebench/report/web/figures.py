"""The page's cost–quality plane, model usage and training curves as PNG and SVG, for papers.

Matplotlib draws the very descriptions that Plotly draws in a browser: Plotly's own export would
need a browser.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board.read_run import Stored
from routebench.errors import OptionError
from routebench.report.format import shortened
from routebench.report.web import sections, training
from routebench.report.web.plots import cost_quality, series
from routebench.report.web.plots.figure import Figure
from routebench.report.web.templates import import_extra
from routebench.schema import Leaderboard

# Plotly's names, and Matplotlib's.
_MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "pentagon": "p",
    "hexagon": "h", "star": "*", "star-triangle-up": (3, 1, 0), "x-thin": "x", "cross": "P",
    "x": "X", "triangle-down": "v", "triangle-left": "<", "triangle-right": ">",
    "star-diamond": (4, 1, 0), "hourglass": ((-1, -1), (1, -1), (-1, 1), (1, 1), (-1, -1)),
    "asterisk": (8, 2, 0), "circle-cross": "+",
    "bowtie": ((-1, -1), (-1, 1), (1, -1), (1, 1), (-1, -1)),
}  # fmt: skip
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_HATCHES = {"": "", "/": "//", ".": "..", "x": "xx", "-": "--", "|": "||", "+": "++"}
_POINTS = 0.6  # of a pixel, roughly


def draw(runs: Sequence[Stored], folder: Path) -> list[Path]:
    """Write the figures of all runs and return the paths."""
    matplotlib = import_extra("matplotlib", "--figures")
    paths = []
    # Names may hold what Matplotlib would read as mathematics; SVGs stay the same by the run.
    settings = {"text.parse_math": False, "svg.hashsalt": "routebench", "font.size": 9}
    with matplotlib.rc_context(settings):
        for i, stored in enumerate(runs):
            prefix = f"{i + 1}-{_slug(stored.board.suite.name)}-" if len(runs) > 1 else ""
            for name, title, panels in _figures(stored):
                paths += _save(folder / f"{prefix}{name}", title, panels)
    return paths


def _figures(stored: Stored) -> Iterator[tuple[str, str, dict[str, Figure]]]:
    """Yield file name, title, and the panels by heading."""
    title = _title(stored.board)
    if plane := cost_quality.plane(stored.board):
        yield "cost-quality", title, {"": plane}
    if usage := sections.usage(stored):
        yield "usage", title, {"": usage}
    for against in ("best-single", "oracle-of-class", "oracle"):
        if regret := series.regret(stored.board, against):
            yield f"regret-{against}", title, {"": regret}
    if spending := series.spending(stored.board):
        yield "spending", title, {"": spending}
    names: list[str] = []
    for curves in training.read(stored.folder, stored.board):
        if curves.panels:
            name = f"training-{_slug(curves.router)}"
            names.append(f"{name}-{len(names) + 1}" if name in names else name)
            panels = {f"{p.stage}: {p.about}": series.training(p) for p in curves.panels}
            yield names[-1], shortened(curves.router, 34), panels


def _title(board: Leaderboard) -> str:
    source = {"simulated": " (simulated pool)", "live": " (live answers)"}
    return board.suite.name + source.get(board.suite.source, "")


def _save(path: Path, title: str, panels: dict[str, Figure]) -> list[Path]:
    """Write a figure as PNG and SVG and return the paths."""
    page = import_extra("matplotlib.figure", "--figures").Figure(
        figsize=(7, 4.6), layout="constrained"
    )
    page.suptitle(title, fontsize=10)
    across = min(len(panels), 3)
    for i, (heading, figure) in enumerate(panels.items()):
        axes = page.add_subplot(-(-len(panels) // across), across, i + 1)
        _draw(figure, axes)
        if heading:
            axes.set_title(heading, fontsize=8)
            axes.tick_params(labelsize=7)
            axes.legend(fontsize=6, frameon=False)
        else:
            page.legend(loc="outside right upper", fontsize=7, frameon=False)
    paths = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        page.savefig(paths[0], dpi=200)
        page.savefig(paths[1], metadata={"Date": None})
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror or error}") from error
    return paths


def _draw(figure: Figure, axes: Any) -> None:
    """Draw a figure's traces and axes, as far as `plots` makes use of Plotly's options."""
    left: Any = 0.0
    for trace in figure["data"]:
        if trace["type"] == "bar":
            _bar(trace, left, axes)
            left = left + np.array(trace["x"])
        else:
            _scatter(trace, axes)
    x, y = figure["layout"]["xaxis"], figure["layout"]["yaxis"]
    axes.set(xlabel=x["title"]["text"], ylabel=y.get("title", {}).get("text", ""))
    if "range" in x:
        axes.set_xlim(x["range"])
    if "ticktext" in y:
        axes.set_yticks(y["tickvals"], [html.unescape(text) for text in y["ticktext"]])
        axes.invert_yaxis()
    else:
        axes.grid(alpha=0.3)


def _bar(trace: Figure, left: Any, axes: Any) -> None:
    marker = trace["marker"]
    axes.barh(
        trace["y"], trace["x"], left=left, color=marker["color"], edgecolor="white",
        hatch=_HATCHES[marker["pattern"]["shape"]], linewidth=0.4, label=_label(trace),
    )  # fmt: skip


def _scatter(trace: Figure, axes: Any) -> None:
    marker, line = trace.get("marker", {}), trace.get("line", {})
    symbol = str(marker.get("symbol", "circle"))
    axes.errorbar(
        trace["x"], trace["y"], xerr=_errors(trace, "error_x"), yerr=_errors(trace, "error_y"),
        color=str(line.get("color") or marker["color"]).replace("@ink", "black"),
        alpha=trace.get("opacity", 1.0),
        marker=_MARKERS[symbol.removesuffix("-open")] if "markers" in trace["mode"] else None,
        markersize=_POINTS * marker.get("size", 6),
        markeredgecolor=marker.get("line", {}).get("color", "").replace("@ink", "black") or None,
        markeredgewidth=0.6, markerfacecolor="none" if symbol.endswith("-open") else None,
        linestyle=_DASHES[line.get("dash", "solid")] if "lines" in trace["mode"] else "none",
        linewidth=_POINTS * line.get("width", 2), elinewidth=0.8, label=_label(trace),
    )  # fmt: skip


def _errors(trace: Figure, name: str) -> list[list[float]] | None:
    if name not in trace:
        return None
    ends = (trace[name]["arrayminus"], trace[name]["array"])
    return [[max(0.0, length) for length in end] for end in ends]


def _label(trace: Figure) -> str | None:
    """Return the trace's name in the legend; None for a trace that the legend leaves out."""
    if not trace.get("showlegend", True):
        return None
    name = html.unescape(trace["name"])
    return f" {name}" if name.startswith("_") else name  # an underscore would keep it out


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "run"
