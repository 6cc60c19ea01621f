"""Whom routers that see answers ask, in a line each."""

from __future__ import annotations

from routebench.schema import Leaderboard, StepUse


def asked(board: Leaderboard) -> str | None:
    """Return calls per query and where each such router stops; None where there is none."""
    told = [f"{row.router}: {_told(row.steps)}" for row in board.rows if row.steps is not None]
    return "; ".join(told) or None


def _told(use: StepUse) -> str:
    first = _first(use)
    calls = sum(int(count) * share for count, share in use.calls.items())
    stops = ", ".join(f"{count} {share:.0%}" for count, share in use.calls.items())
    asked_first = f", {' and '.join(first)} first" if first else ""
    return f"{calls:.2f} answers bought per query{asked_first} (by number of them {stops})"


def _first(use: StepUse) -> list[str]:
    """Return the models of the first round, where it is the same for nearly all queries."""
    shares: dict[tuple[str, ...], float] = {}
    for path in use.paths:
        models = tuple(path.asked[0])
        shares[models] = shares.get(models, 0.0) + path.share
    best = max(shares, key=lambda models: shares[models], default=())
    return list(best) if shares.get(best, 0.0) > 0.9 else []
