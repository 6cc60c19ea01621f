"""Plots with a row for each router: shares of models, differences, latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from routebench.report.format import BASELINE
from routebench.report.summary import finished, pp
from routebench.report.web.colours import FILLS, SERIES
from routebench.report.web.plots.figure import (
    SYMBOLS,
    Figure,
    error_bars,
    framed,
    literal,
    name_rows,
    scatter,
    short,
    with_interval,
)
from routebench.schema import Leaderboard

PATTERNS = ("", "/", ".", "x", "-", "|", "+")


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
    figure = framed(traces, "Queries, %", "", legend=True)
    figure["layout"] |= {"barmode": "stack", "bargap": 0.25}
    figure["layout"]["legend"] |= {"traceorder": "normal"}
    figure["layout"]["xaxis"] |= {"range": [0, 100]}
    name_rows(figure, routers)
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
    trace = scatter(
        "markers",
        "",
        [scale * (d.value or 0) for d in known.values()],
        list(range(len(known))),
        [f"{literal(name)}<br>{with_interval(d, scale)}" for name, d in known.items()],
        error_x=error_bars(list(known.values()), scale) | {"color": SERIES[0], "thickness": 1.5},
        marker={"color": SERIES[0], "size": 9},
    )
    words = "Δ accuracy to best single, pp" if scale == 100 else "Δ reward to best single"
    figure = framed([trace], words, "")
    lines = [(0.0, "solid")]
    if board.diagnostics.headroom is not None:
        lines.append((scale * board.diagnostics.headroom, "dash"))
    figure["layout"]["shapes"] = [
        {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
         "line": {"color": "@ink", "width": 1.5, "dash": dash}}
        for x, dash in lines
    ]  # fmt: skip
    name_rows(figure, list(known))
    return figure


def latency(board: Leaderboard) -> Figure | None:
    """Draw the median to the 99th percentile of milliseconds per query."""
    keys = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99")
    timings = board.timing.get("routers", {})
    known = [r.router for r in finished(board) if set(keys) <= set(timings.get(r.router, {}))]
    if not known:
        return None
    places = list(range(len(known)))
    traces = [
        scatter(
            "markers",
            key[-3:],
            [timings[name][key] for name in known],
            places,
            "x+name",
            marker={"symbol": SYMBOLS[i], "color": SERIES[i], "size": 9},
        )
        for i, key in enumerate(keys)
    ]
    figure = framed(traces, "Milliseconds per query, log scale", "", legend=True)
    figure["layout"]["xaxis"] |= {"type": "log"}
    name_rows(figure, known)
    return figure
