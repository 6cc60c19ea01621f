"""Money that may be spent on routed calls, and what of it is gone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from routebench.errors import OptionError

# Spending is a sum of floats: nine times .1 is a hair below .9.
_EQUAL = 1e-9


@dataclass
class Budget:
    """A limit in USD, and what has been spent; the one thing a router may remember of queries.

    Raises `OptionError` for a limit that is not above 0, or spending below 0.
    """

    limit: float
    spent: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise OptionError(f"budget: {self.limit} USD is no limit", "it must be above 0")
        if not (math.isfinite(self.spent) and self.spent >= 0):
            raise OptionError(f"spent: {self.spent} USD cannot have been spent", "it is 0 or more")

    def charge(self, usd: float) -> None:
        """Add what a call costs; a `ValueError` for what is no amount of money."""
        if not (math.isfinite(usd) and usd >= 0):
            raise ValueError(f"a call cannot cost {usd} USD")
        self.spent += usd

    @property
    def share(self) -> float:
        """Share of the limit that is spent; above 1 where it was overdrawn."""
        return self.spent / self.limit

    def reached(self, share: float) -> bool:
        """Whether this share of the limit is spent, to nine digits."""
        return self.share >= share * (1 - _EQUAL)
