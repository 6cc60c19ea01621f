"""Routers that name policies: shares and quality by policy, and either model of the pair."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from routebench.report.terminal.console import (
    LABEL,
    difference,
    dollars,
    interval,
    make_table,
    short,
)
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
    table = make_table("router", "policy", "share, %", measure, "$ / 1k", "n", left=("policy",))
    for row, policies in rows:
        for i, (policy, use) in enumerate(sorted(policies.use.items(), key=lambda p: -p[1].n)):
            table.add_row(
                "" if i else escape(short(row.router, LABEL)),
                escape(short(policy, _POLICY)),
                interval(use.share, 100, "{:.1f}"),
                interval(use.accuracy or use.reward, scale, f"{{:.{digits}f}}"),
                dollars(use.cost_per_1k),
                f"{use.n:,}",
            )
    out.print(table)
    out.print()


def _singles(rows: list[tuple[Row, Policies]], out: Console, scale: float, digits: int) -> None:
    """Print the router against always asking the one or the other model of its pair."""
    known = [
        (row, name, single)
        for row, policies in rows
        for name, single in (("medium", policies.medium), ("large", policies.large))
        if single is not None
    ]
    if not known:
        return
    out.print("[bold]Against either model of the pair alone[/bold]")
    table = make_table(
        "router", "alone", "Δ, pp" if scale == 100 else "Δ", "saves, %", "n", left=("alone",)
    )
    for row, name, single in known:
        apart, saved = compared(row, single)
        table.add_row(
            escape(short(row.router, LABEL)),
            f"{name}: {escape(short(single.model or 'differs by fold', LABEL))}",
            "–" if apart is None else difference(apart, scale, digits),
            "–" if saved is None else interval(saved, 100, "{:.0f}"),
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
    against = row.against.get(single.reference, {})
    saved = row.metrics.get(f"savings_vs_{single.reference.replace('-', '_')}")
    return against.get("accuracy") or against.get("reward"), saved
