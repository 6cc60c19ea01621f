"""Facts that routers state of themselves, name by name."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from routebench.report.terminal.console import LABEL, WIDTH, short
from routebench.schema import Leaderboard, Row

_LONGEST = 300
"""Letters of a value that are shown; the board's file has all of them."""


def by_router(board: Leaderboard) -> dict[str, list[tuple[str, str]]]:
    """Return names and values by router as texts, with its speed; routers with facts only."""
    return {row.router: _of(row, board) for row in board.rows if row.facts}


def show(board: Leaderboard, out: Console) -> None:
    """Print a block of one paragraph per router; nothing where no router says anything."""
    routers = by_router(board)
    if not routers:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for router, facts in routers.items():
        words = " · ".join(f"{name}: {value}" for name, value in facts)
        table.add_row(Text(short(_printable(router), LABEL)), Text(words))
    out.print("[bold]About the routers[/bold]")
    out.print(table, width=min(out.width, WIDTH))
    out.print()


def number(value: float) -> str:
    """Return `276,096`, `0.523`, `1.2e-05`."""
    if not math.isfinite(value) or abs(value) >= 1e15:
        return f"{value:.3g}"
    whole = value == int(value) or abs(value) >= 1000
    return f"{value:,.0f}" if whole else f"{value:.3g}"


def _of(row: Row, board: Leaderboard) -> list[tuple[str, str]]:
    facts = [(_name(name), _value(value)) for name, value in row.facts.items()]
    timing = board.timing.get("routers", {}).get(row.router, {})
    speed = timing.get("router_tokens_per_second")
    if isinstance(speed, int | float):
        facts.append(("tokens per second", number(speed)))
    return facts


def _name(name: str) -> str:
    return short(_printable(name.replace("_", " ")), _LONGEST // 5)


def _value(value: str | float) -> str:
    return short(_printable(value), _LONGEST) if isinstance(value, str) else number(value)


def _printable(text: str) -> str:
    """Return a text on one line, without characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
