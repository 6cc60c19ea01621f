"""Dollars a month, for a number of queries that somebody has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from routebench.errors import OptionError
from routebench.schema import Leaderboard, Row

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 365 / 12, "year": 365.0}
PERIODS = tuple(_DAYS)
_FORM = re.compile(r"([\d_,]*\.?\d+)\s*([kKmM]?)\s*/\s*(hour|day|week|month|year)")


@dataclass(frozen=True)
class Volume:
    """Queries per period; a month is a twelfth of 365 days."""

    written: str
    per_month: float
    number: float = 0.0
    period: str = "month"

    @classmethod
    def parse(cls, text: str) -> Volume:
        """Return the volume of a text such as `100000/day` or `3M/month`.

        >>> Volume.parse("12k/year").per_month
        1000.0
        """
        found = _FORM.fullmatch(text.strip())
        number = float(re.sub("[_,]", "", found[1])) if found else 0.0
        if not found or not number > 0:
            raise OptionError(
                f"--volume {text!r}: expected a number of queries per hour, day, week or month",
                "for example --volume 100000/day",
            )
        queries = number * {"": 1, "k": 1e3, "m": 1e6}[found[2].lower()]
        month = queries * _DAYS["month"] / _DAYS[found[3]]
        return cls(f"{queries:,.10g} queries a {found[3]}", month, queries, found[3])

    def month(self, usd_per_1k: float) -> float:
        """Return USD a month."""
        return usd_per_1k * self.per_month / 1000


@dataclass(frozen=True)
class Monthly:
    """The monthly costs of one router, in USD; None where unknown."""

    router: str
    at_point: float | None
    """At the point of its verdict."""
    own: float | None
    """By its own choice."""


def monthly(board: Leaderboard, volume: Volume) -> tuple[float | None, list[Monthly]]:
    """Return USD a month of the best single model, and of every router with a verdict."""
    single = board.references.get("best_single", {}).get("cost_per_1k")
    base = None if single is None or single.value is None else volume.month(single.value)
    return base, [_of(row, volume) for row in board.rows if row.verdict is not None]


def _of(row: Row, volume: Volume) -> Monthly:
    assert row.verdict is not None
    costs = [row.points[row.verdict.point].metrics, row.metrics]
    paid = [by_name.get("total_cost_per_1k") for by_name in costs]
    known = [None if p is None or p.value is None else volume.month(p.value) for p in paid]
    return Monthly(row.router, *known)
