"""Report lengths of answers that are not known but assumed."""

from __future__ import annotations

from routebench.report.format import in_order
from routebench.schema import Leaderboard


def assumed(board: Leaderboard) -> str | None:
    """Return `every answer assumed 256 tokens long`, or of how many that is; None for none."""
    tokens, basis = board.diagnostics.assumed_output_tokens, board.diagnostics.cost_basis
    number = basis.get("assumed", 0)
    if not number:
        return None
    answers = sum(basis.values())
    which = "every answer" if number == answers else f"{number:,} of {answers:,} answers"
    length = "of a fixed length" if tokens is None else f"{tokens:,} tokens long"
    return f"{which} assumed {length}"


def by_length(board: Leaderboard) -> str | None:
    """Return what routers save were the dearer models' answers half or twice as long."""
    each = []
    for row in in_order(board)[0]:
        assert row.verdict is not None
        metrics = row.points[row.verdict.point].metrics
        names = ("savings_if_dearer_half_length", "savings_if_dearer_double_length")
        saved = [metrics[name].value for name in names if name in metrics]
        if len(saved) == len(names) and row.verdict.kind != "same":
            half, double = ("–" if one is None else f"{one:.0%}" for one in saved)
            each.append(f"{row.router} {half} or {double}")
    if not each:
        return None
    return f"were answers of the dearer models half or twice as long, savings: {', '.join(each)}"
