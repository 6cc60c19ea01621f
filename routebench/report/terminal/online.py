"""Regret of an online run, as a table below the board."""

from __future__ import annotations

from rich import box
from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from routebench.report import online
from routebench.report.summary import pp
from routebench.schema import Estimate, Leaderboard

_HEADS = {
    "best-single": "best single",
    "best-single-by-part": "… of each part",
    "oracle-of-class": "own class",
    "oracle": "oracle",
}


def show(board: Leaderboard, out: RichConsole) -> None:
    """Print regret per query by router, over the stream and at its end, and what it is."""
    scale, digits = pp(board)
    rows = [row for row in board.rows if row.online is not None]
    known = [
        name for name in _HEADS if any(row.online and name in row.online.regret for row in rows)
    ]
    unit = ", pp" if scale == 100 else ""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"regret per query{unit}", no_wrap=True)
    for name in known:
        table.add_column(_HEADS[name], justify="right", no_wrap=True)
    table.add_column("last fifth", justify="right", no_wrap=True)
    for row in rows:
        assert row.online is not None
        whole, late = row.online.regret, row.online.late
        cells = [_number(whole[n], scale, digits) if n in whole else "" for n in known]
        end = "oracle-of-class" if "oracle-of-class" in late else "best-single"
        style = "" if row.online.learns else "dim"
        last = _number(late[end], scale, digits)
        table.add_row(escape(row.router), *cells, last, style=style)
    out.print(table)
    for name, text in online.facts(board):
        out.print(f"[dim]{name.lower()}: {escape(text)}[/dim]", soft_wrap=True)
    out.print(
        "[dim]each is known in hindsight only; last fifth: against its own class, of frozen ones "
        "against best single[/dim]",
        soft_wrap=True,
    )


def _number(estimate: Estimate, scale: float, digits: int) -> str:
    value = scale * (estimate.value or 0.0)
    if estimate.low is None or estimate.high is None:
        return f"{value:+.{digits}f}"
    half = scale * (estimate.high - estimate.low) / 2
    return f"{value:+.{digits}f} ±{half:.{digits}f}"
