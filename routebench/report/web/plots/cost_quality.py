"""Cost against quality: routers, their curves, references, and the Pareto hull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from routebench.report.format import REFERENCES
from routebench.report.summary import finished, pp, quality
from routebench.report.web.colours import MARKS
from routebench.report.web.plots.figure import (
    DASHES,
    Figure,
    error_bars,
    framed,
    literal,
    scatter,
    short,
    value_of,
    with_interval,
)
from routebench.schema import Leaderboard, Row

SHAPES = (
    "circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "x", "star",
    "hourglass", "triangle-left", "star-diamond", "triangle-right", "bowtie", "pentagon",
    "star-triangle-up",
)  # fmt: skip
"""Of routers on the plane: with the colours of `MARKS`, 30 marks differ, 15 of them by shape."""
_OPEN = (*SHAPES[:9], "pentagon")
"""Of single models, where these are enough."""


def cost_key(board: Leaderboard) -> tuple[str, str, str] | None:
    """Return the metrics of cost of routers and of references, and the axis; None without costs."""
    for metric, reference_metric, words in (
        ("total_cost_per_1k", "cost_per_1k", "Cost, USD per 1,000 queries"),
        ("relative_cost", "relative_cost", "Relative cost"),
    ):
        if any(value_of(row.metrics.get(metric)) is not None for row in finished(board)):
            return metric, reference_metric, words
    return None


def plane(board: Leaderboard) -> Figure | None:
    """Draw cost against quality, with hull, curves and references; None where unpriced."""
    key = cost_key(board)
    if key is None:
        return None
    scale = pp(board)[0]
    traces: list[Figure] = []
    settings: list[Figure] = []
    for i, row in enumerate(finished(board)):
        y, x = quality(row, board), row.metrics.get(key[0])
        if value_of(y) is None or value_of(x) is None:
            continue
        traces.append(_router(i, row.router, x, y, scale))
        if key[0] == "total_cost_per_1k":
            settings += _settings(i, row, scale)
    traces += [*_references(board, key[1], scale), *_single_models(board, key[1], scale)]
    traces = [*traces, pareto_hull(traces), *settings]
    unit = "Accuracy, %" if scale == 100 else "Reward"
    figure = framed(traces, key[2], unit, legend=True)
    figure["layout"]["legend"] |= {"itemwidth": 30, "groupclick": "togglegroup", "tracegroupgap": 1}
    return figure | {"beside": True}


def _router(i: int, name: str, x: Any, y: Any, scale: float) -> Figure:
    colour = MARKS[i % len(MARKS)]
    bars = {"color": colour, "thickness": 1, "width": 2}
    return scatter(
        "markers",
        short(name),
        [x.value],
        [scale * y.value],
        [f"{literal(name)}<br>{with_interval(y, scale)}<br>at {with_interval(x, 1)}"],
        legendgroup=str(i),
        error_x=error_bars([x], 1) | bars,
        error_y=error_bars([y], scale) | bars,
        marker={
            "color": colour,
            "symbol": SHAPES[i % len(SHAPES)],
            "size": 11,
            "line": {"color": "@ink", "width": 1},
        },
    )


def _settings(i: int, row: Row, scale: float) -> list[Figure]:
    """Return a router's curve, and its mark, smaller, at the point of its verdict."""
    traces = [_curve(i, row, scale)] if row.curve else []
    point = None if row.verdict is None else row.points.get(row.verdict.point)
    if row.verdict is None or point is None or row.verdict.point == "most-accurate":
        return traces
    y, x = point.metrics.get("accuracy"), point.metrics.get("total_cost_per_1k")
    if y is None or x is None or y.value is None or x.value is None:
        return traces
    at = _router(i, f"{row.router} at {row.verdict.point}", x, y, scale)
    at |= {"showlegend": False, "marker": at["marker"] | {"size": 7}}
    return [*traces, {k: v for k, v in at.items() if not k.startswith("error")}]


def _curve(i: int, row: Row, scale: float) -> Figure:
    return scatter(
        "lines",
        f"{short(row.router)}: λ curve",
        [point.total_cost_per_1k for point in row.curve],
        [scale * point.accuracy for point in row.curve],
        "skip",
        legendgroup=str(i),
        showlegend=False,
        line={
            "color": MARKS[i % len(MARKS)],
            "width": 1.2,
            "dash": DASHES[i // len(MARKS) % len(DASHES)],
        },
        opacity=0.55,
    )


def _references(board: Leaderboard, key: str, scale: float) -> list[Figure]:
    marks = {"oracle": "asterisk-open", "best_single": "circle-cross-open", "random": "x-thin-open"}
    points = [
        (REFERENCES[name], marks[name], metrics.get(board.suite.measure), metrics.get(key))
        for name, metrics in board.references.items()
        if name in marks
    ]
    return [
        _mark(name, symbol, x.value, scale * y.value, 13)
        for name, symbol, y, x in points
        if y and x and y.value is not None and x.value is not None
    ]


def _single_models(board: Leaderboard, key: str, scale: float) -> list[Figure]:
    """Return the models asked alone, each with an open mark of its own where they are few."""
    known = [
        (model, test[key], test[board.suite.measure])
        for model, parts in board.diagnostics.pool.items()
        if (test := parts.get("test", {})).get(key) is not None
        and test.get(board.suite.measure) is not None
    ]
    alone: list[Figure] = []
    for i, (model, x, y) in enumerate(known):
        assert x is not None
        assert y is not None
        few = len(known) <= len(_OPEN)
        mark = _mark(model, f"{_OPEN[i] if few else 'circle'}-open", x, scale * y, 9)
        if few:
            mark |= {"name": f"{short(model)} alone"}
        else:
            mark |= {"name": "single models", "legendgroup": "single models"}
            mark["showlegend"] = not alone
        alone.append(mark)
    return alone


def _mark(name: str, symbol: str, x: float, y: float, size: int) -> Figure:
    marker = {"color": "@ink", "symbol": symbol, "size": size, "line": {"width": 1.5}}
    hover = [f"{literal(name)}<br>{y:.4g} at {x:.4g}"]
    return scatter("markers", short(name), [x], [y], hover, legendgroup=name, marker=marker)


def pareto_hull(traces: Sequence[Figure]) -> Figure:
    """Draw the upper left hull of routers and models, without the oracle."""
    points = sorted(
        (trace["x"][0], trace["y"][0])
        for trace in traces
        if trace["mode"] == "markers" and trace["name"] not in ("oracle", "random, exact")
    )
    hull: list[tuple[float, float]] = []
    for point in points:
        if hull and point[1] <= hull[-1][1]:
            continue
        while len(hull) > 1 and _left(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    x, y = [point[0] for point in hull], [point[1] for point in hull]
    line = {"color": "@ink", "width": 1.5, "dash": "dash"}
    return scatter("lines", "Pareto hull", x, y, "skip", line=line)


def _left(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) >= (c[0] - a[0]) * (b[1] - a[1])
