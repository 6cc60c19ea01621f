"""The result of `verify`, for a person or a program."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routebench.verify.verify import Verification


def show(result: Verification, out: Console, first: int = 10) -> None:
    """Print counts by kind, the first differences, and what could not be checked."""
    differing = Counter(kind for kind, _ in result.mismatches)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("checked")
    for name in ("values", "differ"):
        table.add_column(name, justify="right")
    for kind, count in result.checked.items():
        wrong = f"[red]{differing[kind]:,}[/red]" if differing[kind] else "0"
        table.add_row(kind, f"{count:,}", wrong)
    out.print(table)
    out.print()
    for text in result.not_remade:
        out.print(f"not made again: {escape(text)}")
    out.print()
    for _, one in result.mismatches[:first]:
        out.print(f"[red]differs[/red] {escape(one.path)}", soft_wrap=True)
        out.print(f"  board {_text(one.board)}, {one.how} {_text(one.found)}", soft_wrap=True)
    more = len(result.mismatches) - first
    if more > 0:
        out.print(f"… and {more:,} more")
    total = sum(result.checked.values())
    if result.mismatches:
        out.print(f"[bold red]{len(result.mismatches):,} of {total:,} values differ[/bold red]")
    else:
        out.print(f"[bold green]verified[/bold green]: all {total:,} values follow from the files")


def to_json(result: Verification) -> str:
    """Return counts by kind, every difference, and what could not be checked, as JSON."""
    content = {
        "verified": not result.mismatches,
        "checked": dict(result.checked),
        "differences": [{"kind": kind} | asdict(one) for kind, one in result.mismatches],
        "not_made_again": result.not_remade,
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def _text(value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return escape(text if len(text) <= 80 else text[:77] + "…")
