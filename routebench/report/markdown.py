"""Leaderboards as Markdown, for a README."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from routebench.printed import one_visible_line
from routebench.report import summary
from routebench.report.format import Cell
from routebench.schema import Leaderboard


def markdown(boards: Sequence[Leaderboard]) -> str:
    """Return a heading, the facts, the table and the warnings of each board."""
    return "\n".join(_board(board) for board in boards)


def _board(board: Leaderboard) -> str:
    table = summary.leaderboard(board)
    facts = " · ".join(f"{name.lower()}: {escape(value)}" for name, value in summary.facts(board))
    lines = [f"## {escape(summary.title(board))}", "", facts, ""]
    lines += [_line([Cell(head) for head in table.heads])]
    lines += ["|" + "|".join("---" if i == 1 else "--:" for i in range(len(table.heads))) + "|"]
    lines += [_line(row) for row in [*table.rows, *table.foot]]
    lines += ["", "± and [ ]: 95% intervals; =: tied; \\*: p < .05, paired, Holm-adjusted.", ""]
    lines += [f"- {escape(text)}" for text in summary.notices(board)]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(escape(cell.text) for cell in cells) + " |"


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    plain = html.escape(one_visible_line(text), quote=False)
    return re.sub(r"([\\`*_\[\]|~{}#])", r"\\\1", plain)
