"""What an online run found, as a table and in words."""

from __future__ import annotations

from routebench.report.format import MISSING, Cell
from routebench.report.summary import DisplayTable, finished, pp
from routebench.schema import Estimate, Leaderboard, OnlineStream

COMPARED = {
    "best-single": "Best single",
    "best-single-by-part": "Best single of each part",
    "oracle-of-class": "Oracle of its class",
    "oracle": "Oracle",
}
ENDS = ("best-single", "oracle-of-class")
"""Those that the last fifth of the stream is shown against too."""


def table(board: Leaderboard) -> DisplayTable | None:
    """Return regret per query by router; None for a board of another protocol."""
    rows = [row for row in finished(board) if row.online is not None]
    if board.online is None or not rows:
        return None
    scale, digits = pp(board)
    known = [
        name for name in COMPARED if any(row.online and name in row.online.regret for row in rows)
    ]
    ends = [name for name in ENDS if name in known]
    lines = []
    for row in rows:
        assert row.online is not None
        whole, late = row.online.regret, row.online.late
        lines.append(
            [
                Cell(row.router, row.router),
                Cell("learns" if row.online.learns else "frozen"),
                *(_cell(whole.get(name), scale, digits) for name in known),
                *(_cell(late.get(name), scale, digits) for name in ends),
            ]
        )
    heads = [COMPARED[name] for name in known]
    heads += [f"{COMPARED[name]}, last fifth" for name in ends]
    return DisplayTable(("Router", "", *heads), lines)


def facts(board: Leaderboard) -> list[tuple[str, str]]:
    """Return what the stream is, name by name; nothing for a board of another protocol."""
    stream = board.online
    if stream is None:
        return []
    order = "by recorded time" if stream.order == "time" else "drawn by each seed"
    pairs = [
        ("Queries", f"{stream.queries:,}, order {order}"),
        ("Routers that learn", _start(stream)),
        ("Best single model in hindsight", stream.best_single),
    ]
    if stream.trade_off:
        pairs.append(("Reward", f"score − {stream.trade_off:g} · USD"))
    if stream.batch > 1 or stream.delay:
        told = f"{stream.batch} chosen for at a time, outcomes {stream.delay} queries later"
        pairs.append(("Feedback", told))
    if stream.drift is not None:
        parts = " and ".join(stream.best_single_by_part)
        pairs.append(("Drift", f"{stream.drift} after {stream.change:,}; best: {parts}"))
    return pairs


def _start(stream: OnlineStream) -> str:
    if stream.start == "warm":
        return "begin with the outcomes of the training part"
    return "begin with the texts of the training part alone"


def _cell(estimate: Estimate | None, scale: float, digits: int) -> Cell:
    if estimate is None or estimate.value is None:
        return Cell(MISSING)
    return Cell(_text(estimate, scale, digits), scale * estimate.value)


def _text(estimate: Estimate, scale: float, digits: int) -> str:
    value = f"{scale * (estimate.value or 0.0):.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{scale * estimate.low:.{digits}f}, {scale * estimate.high:.{digits}f}]"
