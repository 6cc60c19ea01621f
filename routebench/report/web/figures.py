"""The cost–quality plane, model usage and training curves as PNG and SVG, for papers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from routebench.board.read_run import Stored
from routebench.errors import OptionError
from routebench.report.format import REFERENCES
from routebench.report.summary import finished, pp, quality
from routebench.report.web.page import needed
from routebench.report.web.plots import COLOURS, FILLS, cost_key
from routebench.report.web.training import Training, read
from routebench.schema import Leaderboard

_HATCHES = ("", "//", "..", "xx", "--", "||", "++")
_MARKERS = "osD^ph*"
_DASHES = ("-", "--", ":", "-.")


def draw(runs: Sequence[Stored], folder: Path) -> list[Path]:
    """Write the figures of all runs; returns what was written."""
    matplotlib = needed("matplotlib", "--figures")
    made = []
    # Names may hold what Matplotlib would read as mathematics; SVGs stay the same by the run.
    settings = {"text.parse_math": False, "svg.hashsalt": "routebench", "font.size": 9}
    with matplotlib.rc_context(settings):
        for i, stored in enumerate(runs):
            prefix = f"{i + 1}-{_slug(stored.board.suite.name)}-" if len(runs) > 1 else ""
            if cost_key(stored.board):
                made += _save(folder / f"{prefix}cost-quality", stored.board, _plane)
            if any(row.usage for row in finished(stored.board)):
                made += _save(folder / f"{prefix}usage", stored.board, _usage)
            for name, own in _named(read(stored.folder, stored.board)).items():
                made += _save(folder / f"{prefix}{name}", stored.board, partial(_training, own))
    return made


def _save(place: Path, board: Leaderboard, paint: Callable[[Leaderboard, Any], None]) -> list[Path]:
    figure_of = needed("matplotlib.figure", "--figures").Figure
    figure = figure_of(figsize=(7, 4.6), layout="constrained")
    paint(board, figure)
    paths = [place.with_name(f"{place.name}.{kind}") for kind in ("png", "svg")]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(paths[0], dpi=200)
        figure.savefig(paths[1], metadata={"Date": None})
    except OSError as error:
        raise OptionError(f"cannot write {place}: {error.strerror or error}") from error
    return paths


def _plane(board: Leaderboard, figure: Any) -> None:
    key = cost_key(board)
    assert key is not None
    axes, scale = figure.add_subplot(), pp(board)[0]
    for i, row in enumerate(finished(board)):
        y, x = quality(row, board), row.metrics.get(key[0])
        if y is None or x is None or y.value is None or x.value is None:
            continue
        colour = COLOURS[i % len(COLOURS)].replace("@ink", "black")
        axes.errorbar(
            [x.value], [scale * y.value], xerr=_ends(x, 1), yerr=_ends(y, scale), color=colour,
            marker=_MARKERS[i // len(COLOURS) % len(_MARKERS)], linestyle="none", elinewidth=0.8,
            label=_text(row.router),
        )  # fmt: skip
        if key[0] == "total_cost_per_1k":
            axes.plot([p.total_cost_per_1k for p in row.curve],
                      [scale * p.accuracy for p in row.curve], color=colour, alpha=0.5,
                      linewidth=0.9)  # fmt: skip
    for name, marker in (("oracle", "*"), ("best_single", "D"), ("random", "x")):
        found = board.references.get(name, {})
        y, x = found.get(board.suite.measure), found.get(key[1])
        if y and x and y.value is not None and x.value is not None:
            face = {} if marker == "x" else {"markerfacecolor": "none"}
            axes.plot([x.value], [scale * y.value], marker=marker, color="black", markersize=8,
                      linestyle="none", label=REFERENCES[name], **face)  # fmt: skip
    axes.set(xlabel=key[2], ylabel="Accuracy, %" if scale == 100 else "Reward")
    axes.grid(alpha=0.3)
    _finish(board, figure)


def _usage(board: Leaderboard, figure: Any) -> None:
    axes, rows = figure.add_subplot(), finished(board)
    left = [0.0] * len(rows)
    for j, model in enumerate(board.suite.models):
        width = [100 * row.usage.get(model, 0) for row in rows]
        axes.barh(range(len(rows)), width, left=left, color=FILLS[j % len(FILLS)],
                  hatch=_HATCHES[j // len(FILLS) % len(_HATCHES)], edgecolor="white",
                  linewidth=0.4, label=_text(model))  # fmt: skip
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.set_yticks(range(len(rows)), [_text(row.router) for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="Queries, %", xlim=(0, 100))
    _finish(board, figure)


def _named(found: Sequence[Training]) -> dict[str, Training]:
    """Curves by the name of their file."""
    named: dict[str, Training] = {}
    for own in found:
        name = f"training-{_slug(own.router)}"
        if own.panels:
            named[f"{name}-{len(named) + 1}" if name in named else name] = own
    return named


def _training(own: Training, board: Leaderboard, figure: Any) -> None:
    """A panel for each stage and kind of series; other seeds and folds faintly."""
    across = min(len(own.panels), 3)
    for i, panel in enumerate(own.panels):
        axes = figure.add_subplot(-(-len(own.panels) // across), across, i + 1)
        names = list(dict.fromkeys(line.name for line in panel.lines if not line.other))
        for line in panel.lines:
            colour = COLOURS[names.index(line.name) % len(COLOURS)].replace("@ink", "black")
            label = None if line.other else _text(panel.label(line))
            axes.plot(line.x, line.y, color=colour, alpha=0.4 if line.other else 1.0, label=label,
                      linewidth=1, linestyle=_DASHES[names.index(line.name) % len(_DASHES)],
                      marker="." if len(line.x) == 1 else None)  # fmt: skip
        axes.set(xlabel=panel.axis)
        axes.set_title(_text(f"{panel.stage}: {panel.about}"), fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=6, frameon=False)
    figure.suptitle(_text(own.router), fontsize=10)


def _finish(board: Leaderboard, figure: Any) -> None:
    source = {"simulated": " (simulated pool)", "live": " (live answers)"}
    figure.suptitle(_text(board.suite.name) + source.get(board.suite.source, ""), fontsize=10)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)


def _ends(found: Any, scale: float) -> list[list[float]] | None:
    if found.low is None or found.high is None:
        return None
    return [[max(0.0, scale * (found.value - found.low))],
            [max(0.0, scale * (found.high - found.value))]]  # fmt: skip


def _text(name: str) -> str:
    """A leading underscore would keep it out of a legend."""
    text = name if len(name) <= 34 else f"{name[:17]}…{name[-16:]}"
    return f" {text}" if text.startswith("_") else text


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "run"
