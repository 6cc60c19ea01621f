"""The page's plots, as Plotly's data and layout; colours that follow the theme start with @."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from routebench.report.format import BASELINE, REFERENCES, shortened
from routebench.report.summary import finished, pp, quality
from routebench.report.web.colours import FILLS, MARKS, SERIES
from routebench.report.web.reliability import Reliability
from routebench.report.web.training import CurvePanel
from routebench.schema import Estimate, Leaderboard, Row

Figure = dict[str, Any]
"""Plotly's data and layout, and `height` in rem, fixed beforehand so that nothing moves later."""

PATTERNS = ("", "/", ".", "x", "-", "|", "+")
SHAPES = (
    "circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "x", "star",
    "hourglass", "triangle-left", "star-diamond", "triangle-right", "bowtie", "pentagon",
    "star-triangle-up",
)  # fmt: skip
"""Of routers on the plane: with the colours of `MARKS`, 30 marks differ, 15 of them by shape."""
_OPEN = (*SHAPES[:9], "pentagon")
"""Of single models, where these are enough."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon", "star-triangle-up")
_DASHES = ("solid", "dash", "dot", "dashdot")
_LABEL = 22


def literal(text: str) -> str:
    """Return a name as Plotly shows it letter by letter: it would read tags and entities."""
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;")):
        text = text.replace(letter, entity)
    return text


def short(text: str, room: int = _LABEL) -> str:
    """Return a name cut in the middle, and escaped as `literal` does."""
    return literal(shortened(text, room))


def cost_key(board: Leaderboard) -> tuple[str, str, str] | None:
    """Return the metrics of cost of routers and of references, and the axis; None without costs."""
    for metric, reference_metric, words in (
        ("total_cost_per_1k", "cost_per_1k", "Cost, USD per 1,000 queries"),
        ("relative_cost", "relative_cost", "Relative cost"),
    ):
        if any(_value(row.metrics.get(metric)) is not None for row in finished(board)):
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
        if _value(y) is None or _value(x) is None:
            continue
        traces.append(_router(i, row.router, x, y, scale))
        if key[0] == "total_cost_per_1k":
            settings += _settings(i, row, scale)
    traces += [*_references(board, key[1], scale), *_single_models(board, key[1], scale)]
    traces = [*traces, _hull(traces), *settings]
    unit = "Accuracy, %" if scale == 100 else "Reward"
    figure = _figure(traces, key[2], unit, legend=True)
    figure["layout"]["legend"] |= {"itemwidth": 30, "groupclick": "togglegroup", "tracegroupgap": 1}
    return figure | {"beside": True}


def _scatter(mode: str, name: str, x: Any, y: Any, hover: list[str] | str, **more: Any) -> Figure:
    """Return a trace; `hover`: its texts, or Plotly's `hoverinfo`."""
    trace = {"type": "scatter", "mode": mode, "name": name, "x": x, "y": y, "hoverinfo": "text"}
    return trace | {"hoverinfo" if isinstance(hover, str) else "hovertext": hover} | more


def _series(i: int) -> tuple[str, str]:
    """Return colour and dash of the i-th line."""
    return SERIES[i % len(SERIES)], _DASHES[i // len(SERIES) % len(_DASHES)]


def _router(i: int, name: str, x: Any, y: Any, scale: float) -> Figure:
    colour = MARKS[i % len(MARKS)]
    bars = {"color": colour, "thickness": 1, "width": 2}
    return _scatter(
        "markers",
        short(name),
        [x.value],
        [scale * y.value],
        [f"{literal(name)}<br>{_as_text(y, scale)}<br>at {_as_text(x, 1)}"],
        legendgroup=str(i),
        error_x=_bars([x], 1) | bars,
        error_y=_bars([y], scale) | bars,
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
    return _scatter(
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
            "dash": _DASHES[i // len(MARKS) % len(_DASHES)],
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
    return _scatter("markers", short(name), [x], [y], hover, legendgroup=name, marker=marker)


def _hull(traces: Sequence[Figure]) -> Figure:
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
    return _scatter("lines", "Pareto hull", x, y, "skip", line=line)


def _left(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) >= (c[0] - a[0]) * (b[1] - a[1])


def usage(routers: Sequence[str], models: Sequence[str], parts: Mapping[str, Any]) -> Figure:
    """Draw shares of models by router as bars of length 1; `parts` are [router, model] by task."""
    first = next(iter(parts.values()))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": short(model, 30),
            "y": list(range(len(routers))),
            "x": [100 * float(line[j]) for line in first],
            "marker": {
                "color": FILLS[j % len(FILLS)],
                "pattern": {"shape": PATTERNS[j // len(FILLS) % len(PATTERNS)], "size": 6},
                "line": {"color": "@paper", "width": 0.5},
            },
            "hoverinfo": "text",
            "hovertext": [f"{literal(r)} → {literal(model)}" for r in routers],
        }
        for j, model in enumerate(models)
    ]
    figure = _figure(traces, "Queries, %", "", legend=True)
    figure["layout"] |= {"barmode": "stack", "bargap": 0.25}
    figure["layout"]["legend"] |= {"traceorder": "normal"}
    figure["layout"]["xaxis"] |= {"range": [0, 100]}
    _named(figure, routers)
    figure["variants"] = [
        [[round(100 * float(line[j]), 2) for line in table] for j in range(len(models))]
        for table in parts.values()
    ]
    figure["parts"] = list(parts)
    return figure


def headroom(board: Leaderboard) -> Figure | None:
    """Draw each router's paired difference to the best single model, and the oracle's."""
    scale = pp(board)[0]
    against = {
        row.router: row.against.get(BASELINE, {}).get(board.suite.measure)
        for row in finished(board)
    }
    known = {name: d for name, d in against.items() if d is not None and d.value is not None}
    if not known:
        return None
    trace = _scatter(
        "markers",
        "",
        [scale * (d.value or 0) for d in known.values()],
        list(range(len(known))),
        [f"{literal(name)}<br>{_as_text(d, scale)}" for name, d in known.items()],
        error_x=_bars(list(known.values()), scale) | {"color": SERIES[0], "thickness": 1.5},
        marker={"color": SERIES[0], "size": 9},
    )
    words = "Δ accuracy to best single, pp" if scale == 100 else "Δ reward to best single"
    figure = _figure([trace], words, "")
    lines = [(0.0, "solid")]
    if board.diagnostics.headroom is not None:
        lines.append((scale * board.diagnostics.headroom, "dash"))
    figure["layout"]["shapes"] = [
        {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
         "line": {"color": "@ink", "width": 1.5, "dash": dash}}
        for x, dash in lines
    ]  # fmt: skip
    _named(figure, list(known))
    return figure


def stated(routers: Sequence[Reliability]) -> Figure:
    """Draw the reliability diagram: mean score over stated confidence."""
    line = {"color": "@ink", "dash": "dash", "width": 1}
    ideal = _scatter("lines", "calibrated", [0, 1], [0, 1], "skip", line=line)
    lines = [_line(i, one.router, one.stated, one.mean_score) for i, one in enumerate(routers)]
    return _figure([ideal, *lines], "Stated confidence", "Mean score", legend=True)


def risk(routers: Sequence[Reliability]) -> Figure:
    """Draw the risk among the answers over the share of them that is given."""
    lines = [_line(i, one.router, one.coverage, one.risk, "lines") for i, one in enumerate(routers)]
    return _figure(lines, "Coverage: share answered, surest first", "Risk: 1 − score", legend=True)


def _line(i: int, name: str, x: Any, y: Any, mode: str = "lines+markers") -> Figure:
    colour, dash = _series(i)
    line = {"color": colour, "width": 1.5, "dash": dash}
    marker = {"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 6}
    x, y = ([round(float(v), 4) for v in values] for values in (x, y))
    return _scatter(mode, short(name), x, y, "all", line=line, marker=marker)


def latency(board: Leaderboard) -> Figure | None:
    """Draw the median to the 99th percentile of milliseconds per query."""
    keys = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99")
    timings = board.timing.get("routers", {})
    known = [r.router for r in finished(board) if set(keys) <= set(timings.get(r.router, {}))]
    if not known:
        return None
    places = list(range(len(known)))
    traces = [
        _scatter(
            "markers",
            key[-3:],
            [timings[name][key] for name in known],
            places,
            "x+name",
            marker={"symbol": SYMBOLS[i], "color": SERIES[i], "size": 9},
        )
        for i, key in enumerate(keys)
    ]
    figure = _figure(traces, "Milliseconds per query, log scale", "", legend=True)
    figure["layout"]["xaxis"] |= {"type": "log"}
    _named(figure, known)
    return figure


def regret(board: Leaderboard, against: str) -> Figure | None:
    """Draw regret per query so far over the queries that have arrived; None without such a run."""
    scale, _ = pp(board)
    traces: list[Figure] = []
    for i, row in enumerate(finished(board)):
        if row.online is None or against not in row.online.regret:
            continue
        points = row.online.curve
        values = [point.regret[against] for point in points]
        traces += _with_band(i, row, [p.queries for p in points], values, scale)
    if not traces:
        return None
    unit = "pp" if scale == 100 else "reward"
    figure = _figure(traces, "Queries", f"Regret per query so far, {unit}", legend=True)
    figure["layout"]["shapes"] = _changes(board)
    # Bands of the first few queries are wide: they do not set the scale.
    last = max(trace["x"][-1] for trace in traces if "fill" not in trace)
    seen = [
        y
        for trace in traces
        for x, y in zip(trace["x"], trace["y"], strict=True)
        if "fill" not in trace or x >= last / 4
    ]
    room = 0.05 * (max(seen) - min(seen)) or 1.0
    figure["layout"]["yaxis"] |= {"range": [min(seen) - room, max(seen) + room]}
    return figure


def spending(board: Leaderboard) -> Figure | None:
    """Draw the dollars spent so far over the queries that have arrived; None without costs."""
    traces: list[Figure] = []
    for i, row in enumerate(finished(board)):
        points = [] if row.online is None else row.online.curve
        values = [point.cost for point in points if point.cost is not None]
        if values:
            traces += _with_band(i, row, [p.queries for p in points], values, 1.0)
    if not traces:
        return None
    figure = _figure(traces, "Queries", "USD so far", legend=True)
    figure["layout"]["shapes"] = _changes(board)
    return figure


def _with_band(
    i: int, row: Row, x: Sequence[int], values: Sequence[Estimate], scale: float
) -> list[Figure]:
    """Return a line, thin for a frozen router, and its interval over seeds as a faint band."""
    line = _line(i, row.router, x, [scale * (v.value or 0.0) for v in values], "lines")
    line["legendgroup"] = row.router
    if row.online is not None and row.online.learns:
        line["line"] = line["line"] | {"width": 2.5}
    if any(v.low is None or v.high is None for v in values):
        return [line]
    ends = [scale * (v.low or 0.0) for v in values], [scale * (v.high or 0.0) for v in values]
    edge = _line(i, row.router, [*x, *reversed(x)], [*ends[0], *reversed(ends[1])], "lines")
    edge |= {
        "fill": "toself", "hoverinfo": "skip", "showlegend": False, "legendgroup": row.router,
        "opacity": 0.25, "line": edge["line"] | {"width": 0},
    }  # fmt: skip
    edge["fillcolor"] = edge["line"]["color"]
    return [edge, line]


def _changes(board: Leaderboard) -> list[Figure]:
    """Return a line where the stream drifts."""
    at = None if board.online is None else board.online.change
    if at is None:
        return []
    line = {"color": "@ink", "width": 1.5, "dash": "dash"}
    return [{"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": line}]


def training(panel: CurvePanel) -> Figure:
    """Draw series by step, small; those of other seeds and folds lie faintly below."""
    names = list(dict.fromkeys(line.name for line in panel.lines if not line.other))
    traces = []
    for line in panel.lines:
        trace = _line(names.index(line.name), panel.label(line), (), (), "lines")
        trace |= {"x": line.x, "y": line.y, "legendgroup": line.name}
        if line.other:
            trace |= {"opacity": 0.4, "showlegend": False, "hoverinfo": "skip"}
        elif len(line.x) <= 40:
            trace["mode"] = "lines+markers"
        traces.append(trace)
    figure = _figure(traces, panel.axis, "", legend=len(names) > 1)
    return figure | {"height": 15}


def _figure(traces: list[Figure], x: str, y: str, legend: bool = False) -> Figure:
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


def _named(figure: Figure, names: Sequence[str]) -> None:
    ticks = {"tickvals": list(range(len(names))), "ticktext": [short(name) for name in names]}
    figure["layout"]["yaxis"] |= ticks | {"autorange": "reversed", "type": "linear", "title": {}}
    figure["height"] = 5 * math.ceil((8 + 1.7 * len(names)) / 5)


def _bars(estimates: Sequence[Estimate], scale: float) -> Figure:
    values = [e.value or 0 for e in estimates]
    highs = [v if e.high is None else e.high for e, v in zip(estimates, values, strict=True)]
    lows = [v if e.low is None else e.low for e, v in zip(estimates, values, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (high - v) for high, v in zip(highs, values, strict=True)],
        "arrayminus": [scale * (v - low) for low, v in zip(lows, values, strict=True)],
    }


def _as_text(estimate: Estimate, scale: float) -> str:
    value = scale * (estimate.value or 0)
    if estimate.low is None or estimate.high is None:
        return f"{value:.4g}"
    return f"{value:.4g} [{scale * estimate.low:.4g}, {scale * estimate.high:.4g}]"


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value
