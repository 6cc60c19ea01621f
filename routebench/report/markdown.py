"""Leaderboards as Markdown, for a README."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from routebench.metrics.points.words import margin_words
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
    lines += ["|" + "|".join("---" if i == 0 else "--:" for i in range(len(table.heads))) + "|"]
    lines += [_line(row) for row in [*table.rows, *table.foot]]
    lines += ["", _legend(board), ""]
    lines += [f"- {escape(text)}" for text in summary.notices(board)]
    return "\n".join(lines).rstrip() + "\n"


def _legend(board: Leaderboard) -> str:
    texts = [
        "Rank: 1 + the routers sure to be more accurate, all pairs tested together (Holm)",
        "=: tied",
        "± and [ ]: 95% intervals",
        "\\*: p < .05, paired, Holm-adjusted",
    ]
    verdicts = [row.verdict for row in board.rows if row.verdict is not None]
    if verdicts:
        within = margin_words(verdicts[0].margin)
        texts = [
            f"proven: loses less than {within} against the best single model at a setting fixed "
            "before the test; the chance of any false one in this run is at most 5% (Holm); "
            "(worst): the bound on which that rests",
            *texts,
        ]
    return "; ".join(texts) + "."


def _line(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(escape(cell.text) for cell in cells) + " |"


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    plain = html.escape(one_visible_line(text), quote=False)
    return re.sub(r"([\\`*_\[\]|~{}#])", r"\\\1", plain)
