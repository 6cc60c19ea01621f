"""A budget of USD for routed calls, and the part of it that is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from routebench.errors import OptionError

# Spending is a sum of floats: nine times .1 is slightly below .9.
_EQUAL = 1e-9


@dataclass
class Budget:
    """A limit in USD and the amount spent: the only state a router may keep across queries.

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
        """Add the cost of a call; raise `ValueError` for an invalid amount."""
        if not (math.isfinite(usd) and usd >= 0):
            raise ValueError(f"a call cannot cost {usd} USD")
        self.spent += usd

    @property
    def share(self) -> float:
        """Return the share of the limit that is spent; above 1 where it is overdrawn."""
        return self.spent / self.limit

    def reached(self, share: float) -> bool:
        """Return whether this share of the limit is spent, to nine digits."""
        return self.share >= share * (1 - _EQUAL)
