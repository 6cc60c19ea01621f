"""Routers that name policies: how often each, what came of it, and either model of the pair."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routebench.report.terminal.console import LABEL, difference, short
from routebench.schema import Difference, Estimate, Leaderboard, Policies, Row, SingleModel

_POLICY = 18


def show(board: Leaderboard, out: Console) -> None:
    """Print two tables; nothing where no router names policies."""
    rows = [(row, row.policies) for row in board.rows if row.policies is not None]
    if not rows:
        return
    scale, digits = (1.0, 3) if board.suite.users else (100.0, 1)
    _uses(board, rows, out, scale, digits)
    _singles(rows, out, scale, digits)


def _uses(
    board: Leaderboard, rows: list[tuple[Row, Policies]], out: Console, scale: float, digits: int
) -> None:
    measure = board.suite.measure
    out.print("[bold]Policies[/bold]")
    table = _table("router", "policy", "share, %", measure, "$ / 1k", "n")
    for row, found in rows:
        for i, (policy, own) in enumerate(sorted(found.use.items(), key=lambda p: -p[1].n)):
            table.add_row(
                "" if i else escape(short(row.router, LABEL)),
                escape(short(policy, _POLICY)),
                _interval(own.share, 100, 1),
                _interval(own.accuracy or own.reward, scale, digits),
                _dollars(own.cost_per_1k),
                f"{own.n:,}",
            )
    out.print(table)
    out.print()


def _singles(rows: list[tuple[Row, Policies]], out: Console, scale: float, digits: int) -> None:
    """Print the router against always asking the one or the other model of its pair."""
    known = [
        (row, name, single)
        for row, found in rows
        for name, single in (("medium", found.medium), ("large", found.large))
        if single is not None
    ]
    if not known:
        return
    out.print("[bold]Against either model of the pair alone[/bold]")
    table = _table("router", "alone", "Δ, pp" if scale == 100 else "Δ", "saves, %", "n")
    for row, name, single in known:
        apart, saved = compared(row, single)
        table.add_row(
            escape(short(row.router, LABEL)),
            f"{name}: {escape(short(single.model or 'differs by fold', LABEL))}",
            "–" if apart is None else difference(apart, scale, digits),
            "–" if saved is None else _interval(saved, 100, 0),
            f"{single.n:,}",
        )
    out.print(table)
    out.print(
        "[dim]on the queries that both models have an answer to; p is Holm-adjusted only where "
        "the model is a reference of the board[/dim]\n"
    )


def compared(row: Row, single: SingleModel) -> tuple[Difference | None, Estimate | None]:
    """Return difference and savings, from the row where the model is a reference."""
    if single.reference is None:
        return single.accuracy or single.reward, single.savings
    own = row.against.get(single.reference, {})
    saved = row.metrics.get(f"savings_vs_{single.reference.replace('-', '_')}")
    return own.get("accuracy") or own.get("reward"), saved


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        left = name in ("router", "policy", "alone")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    return table


def _interval(found: Estimate | None, scale: float, digits: int) -> str:
    if found is None or found.value is None or found.low is None or found.high is None:
        return "–"
    value, low, high = (f"{scale * x:.{digits}f}" for x in (found.value, found.low, found.high))
    return escape(f"{value} [{low}, {high}]")


def _dollars(found: Estimate) -> str:
    return "–" if found.value is None else f"{found.value:#.4g}"
