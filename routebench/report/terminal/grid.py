"""A grid for a person: what would run, and the ranks over its suites."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from routebench.grid.schema import GridResult
from routebench.report.format import MISSING
from routebench.report.terminal.console import LABEL, make_table, short


def show(result: GridResult, out: Console) -> None:
    """Print a line per router, best average rank first, and what the ranks prove."""
    suites = len(result.suites)
    out.print(f"[bold]{escape(result.name)}[/bold]: {len(result.routers)} routers, {suites} suites")
    out.print()
    table = make_table("router", "average rank", "wins", "ties", "losses", "proven")
    for one in result.routers:
        rank = MISSING if one.average_rank is None else f"{one.average_rank:.2f}"
        counts = (one.wins, one.ties, one.losses, one.verdicts.get("proven", 0))
        table.add_row(escape(short(one.router, LABEL)), rank, *map(str, counts))
    out.print(table)
    out.print()
    words = result.ranks.sentence if result.ranks else result.no_ranks or ""
    out.print(escape(words), soft_wrap=True)
