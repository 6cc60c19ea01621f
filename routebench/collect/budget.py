"""A budget for paid calls: the most that a call may cost is reserved before it is made.

Paid calls of the whole store count, whichever process made them. So spending goes over the budget
by no more than the calls under way: those of other processes at that moment, and those that cost
more than was set aside.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from routebench.errors import OptionError
from routebench.prices.apply import ModelPrice

OVERHEAD = 64
"""Prompt tokens that a vendor may add to a text: roles, separators."""
LONGEST = 8192
"""Answer tokens that are reckoned with where the provider's parameters set no limit."""
_LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
_EXACT = 1e-12  # USD; below what any token costs


class SpendingBudget:
    """USD that may be spent, shared by all calls of one event loop. None is no limit."""

    def __init__(self, usd: float | None, spent: float = 0.0) -> None:
        if usd is not None and not (math.isfinite(usd) and usd > 0):
            raise OptionError(f"--budget {usd}: is no amount of money above 0")
        self.usd = usd
        self.spent = spent
        """Paid for, as far as is known."""
        self.reserved = 0.0
        """Set aside for calls under way."""
        self.doubtful = 0.0
        """What calls without an answer, or without a price, may have cost at most."""
        self.short = False
        """Whether a call was not made because it did not fit."""
        self._calls = 0
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def left(self) -> float:
        """Return the USD neither spent, reserved nor in doubt; infinite without a limit."""
        if self.usd is None:
            return math.inf
        return self.usd - self.spent - self.reserved - self.doubtful

    async def reserve(self, usd: float) -> bool:
        """Reserve the most that a call may cost; wait while calls under way may free some.

        False where it does not fit and nothing under way could change that, or after `close`.
        """
        while not self._closed and usd > self.left + _EXACT:
            if not self._calls:
                self.short = True
                return False
            self._changed.clear()
            await self._changed.wait()
        return not self._closed and self.take(usd)

    def take(self, usd: float) -> bool:
        """Reserve the amount if it fits now, and return whether it does."""
        if usd > self.left + _EXACT:
            return False
        self.reserved += usd
        self._calls += 1
        return True

    def settle(self, reserved: float, spent: float, priced: bool = True) -> None:
        """Count a paid call, with the store's total after it.

        Where its cost is not known, the amount reserved for it stays out of the budget.
        """
        if not priced:
            self.doubtful += reserved
        self.read(spent)
        self.release(reserved)

    def release(self, reserved: float) -> None:
        """Release the reservation of a call that ended without costing anything."""
        self.reserved -= reserved
        self._calls -= 1
        if not self._calls:
            self.reserved = 0.0  # clear the rounding errors of sums
        self._changed.set()

    def doubt(self, usd: float) -> None:
        """Count a call without an answer that the vendor may charge for."""
        self.doubtful += usd

    def read(self, spent: float) -> None:
        """Adopt the store's total, which includes other processes; totals may come late."""
        self.spent = max(self.spent, spent)
        self._changed.set()

    def close(self) -> None:
        """Refuse further reservations, and wake all that wait for one."""
        self._closed = True
        self._changed.set()


def most_usd(price: ModelPrice, prompt: str, parameters: Mapping[str, Any]) -> float:
    """Return the most that a call may cost in USD, in whatever tier of prompt lengths it falls.

    Every byte of the prompt counts as a token, and the answer is as long as the parameters allow
    (`LONGEST` where they set no limit).
    """
    return price.most_usd(most_prompt_tokens(prompt, parameters), most_tokens(parameters))


def most_prompt_tokens(prompt: str, parameters: Mapping[str, Any]) -> int:
    """Return the most tokens that a prompt may have, with the system's and the vendor's own."""
    texts = prompt + str(parameters.get("system") or "")
    return len(texts.encode("utf-8", "surrogatepass")) + OVERHEAD


def most_tokens(parameters: Mapping[str, Any]) -> int:
    """Return the answer tokens that the parameters allow, those of reasoning included."""
    return int(min(_limits(parameters), default=LONGEST))


def is_limited(parameters: Mapping[str, Any]) -> bool:
    """Return whether the parameters limit an answer's length, and so what a call costs."""
    return bool(_limits(parameters))


def _limits(parameters: Mapping[str, Any]) -> list[int]:
    return [parameters[name] for name in _LIMITS if parameters.get(name)]
