"""Lines: reliability, risk, the online run's regret and spending, and training."""

from __future__ import annotations

from collections.abc import Sequence

from routebench.report.summary import finished, pp
from routebench.report.web.plots.figure import (
    Figure,
    framed,
    line_trace,
    scatter,
)
from routebench.report.web.reliability import Reliability
from routebench.report.web.training import CurvePanel
from routebench.schema import Estimate, Leaderboard, Row


def stated(routers: Sequence[Reliability]) -> Figure:
    """Draw the reliability diagram: mean score over stated confidence."""
    line = {"color": "@ink", "dash": "dash", "width": 1}
    ideal = scatter("lines", "calibrated", [0, 1], [0, 1], "skip", line=line)
    lines = [line_trace(i, one.router, one.stated, one.mean_score) for i, one in enumerate(routers)]
    return framed([ideal, *lines], "Stated confidence", "Mean score", legend=True)


def risk(routers: Sequence[Reliability]) -> Figure:
    """Draw the risk among the answers over the share of them that is given."""
    lines = [
        line_trace(i, one.router, one.coverage, one.risk, "lines") for i, one in enumerate(routers)
    ]
    return framed(lines, "Coverage: share answered, surest first", "Risk: 1 − score", legend=True)


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
    figure = framed(traces, "Queries", f"Regret per query so far, {unit}", legend=True)
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
    figure = framed(traces, "Queries", "USD so far", legend=True)
    figure["layout"]["shapes"] = _changes(board)
    return figure


def _with_band(
    i: int, row: Row, x: Sequence[int], values: Sequence[Estimate], scale: float
) -> list[Figure]:
    """Return a line, thin for a frozen router, and its interval over seeds as a faint band."""
    line = line_trace(i, row.router, x, [scale * (v.value or 0.0) for v in values], "lines")
    line["legendgroup"] = row.router
    if row.online is not None and row.online.learns:
        line["line"] = line["line"] | {"width": 2.5}
    if any(v.low is None or v.high is None for v in values):
        return [line]
    ends = [scale * (v.low or 0.0) for v in values], [scale * (v.high or 0.0) for v in values]
    edge = line_trace(i, row.router, [*x, *reversed(x)], [*ends[0], *reversed(ends[1])], "lines")
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
        trace = line_trace(names.index(line.name), panel.label(line), (), (), "lines")
        trace |= {"x": line.x, "y": line.y, "legendgroup": line.name}
        if line.other:
            trace |= {"opacity": 0.4, "showlegend": False, "hoverinfo": "skip"}
        elif len(line.x) <= 40:
            trace["mode"] = "lines+markers"
        traces.append(trace)
    figure = framed(traces, panel.axis, "", legend=len(names) > 1)
    return figure | {"height": 15}
