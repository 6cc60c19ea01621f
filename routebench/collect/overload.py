"""Distinguish overload from other failures; let limits grow back after a cut."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

GROWTH = 0.6
"""How fast limits grow back: calls (at a time, or per second) per cubic second."""
RECENT, REST, MEMORY = 100, 20, 150
"""Calls over which failures are counted; those after a cut that show what the cut has changed;
those over which what is usual is averaged."""
MOST, ODD = 0.3, 0.02
"""Shares of failing calls: the largest taken as usual, and the smallest that is significant."""
SIGMAS = 3.5
"""Standard deviations above the usual share from which failures are overload."""
FEW = 5
"""Calls added when a share is estimated, so that a few calls give no large one."""


@dataclass(slots=True)
class Cubic:
    """A limit that grows with the time since it was cut; infinite until then."""

    top: float = math.inf
    """The limit when it was cut."""
    since: float = 0.0
    left: float = 1.0
    """The share of it that was left by the cut."""

    def at(self, now: float) -> float:
        if math.isinf(self.top):
            return self.top
        back = math.cbrt(self.top * (1 - self.left) / GROWTH)  # seconds until it is at the top
        return self.top + GROWTH * (now - self.since - back) ** 3

    @property
    def endless(self) -> bool:
        """Return whether the limit was never cut."""
        return math.isinf(self.top)

    def cut(self, top: float, left: float, now: float) -> None:
        """Cut the limit to a share of `top`, from now on."""
        self.top, self.since, self.left = top, now, left


@dataclass(slots=True)
class Ticket:
    """Permission to make one call."""

    sent: float
    era: int
    """Cuts before it was made: calls sent before the last cut are no evidence of its effect."""
    failed: bool = False
    refused: bool = False


@dataclass(slots=True)
class Usual:
    """The share of calls that fail even at a low rate of calls, which is no overload.

    It is what still fails in the `REST` calls after a cut, and until the limits are back where they
    were. More failures than that, beyond chance, are overload. Calls count from when they are sent,
    for failures often come back sooner than answers.
    """

    share: float = 0.0
    refused: float = 0.0
    """Those of them that are refusals."""
    _recent: deque[Ticket] = field(default_factory=lambda: deque(maxlen=RECENT))
    _before: float = 0.0
    _ended: int = 0
    _resting: bool = False

    def cut(self) -> None:
        """Discard the calls before a cut of the limits, and start to measure its effect."""
        self._before = self._failures / (len(self._recent) + FEW)
        self._resting, self._ended = True, 0
        self._recent.clear()

    def sent(self, ticket: Ticket) -> None:
        """Count a call that is made."""
        self._recent.append(ticket)

    def ended(self, ticket: Ticket, calm: bool) -> bool:
        """Count a call that has ended; `calm`: while the limits were below the last cut.

        True where it shows that the last cut has changed nothing.
        """
        self._ended += 1
        if not self._resting:
            if calm:
                self.share += (ticket.failed - self.share) / MEMORY
                self.refused += (ticket.refused - self.refused) / MEMORY
            return False
        if self._ended < REST:
            return False
        self._resting, failing, expected = False, self.failing, self.share
        self.share = (self.share + min(failing, MOST)) / 2
        return max(self._before / 2, 1.25 * expected) <= failing <= MOST and failing > 0

    def overload(self, tolerated: float = 0.0) -> bool:
        """Return whether more calls fail than usual."""
        n, share = len(self._recent), max(min(self.share, MOST), tolerated)
        if self._resting:
            share = MOST
        return self._failures > n * share + SIGMAS * math.sqrt(n * share * (1 - share))

    @property
    def hopeless(self) -> bool:
        """Return whether all calls since the last cut failed: at least one, or three if `known`."""
        return self._ended <= self._failures and self._ended >= (3 if self.known else 1)

    @property
    def known(self) -> bool:
        """Return whether some calls fail even at a low rate of calls."""
        return self.share > ODD

    @property
    def mostly_refused(self) -> bool:
        """Return whether at least half of the recent failures are refusals."""
        return 2 * sum(ticket.refused for ticket in self._recent) >= self._failures

    @property
    def failing(self) -> float:
        """Return the share of the recent calls that have failed so far."""
        return self._failures / len(self._recent) if self._recent else 0.0

    @property
    def _failures(self) -> int:
        return sum(ticket.failed for ticket in self._recent)


@dataclass(slots=True)
class Hold:
    """A pause that the server has asked for: no call starts before `until`."""

    until: float = -math.inf
    since: float = math.inf
    sent: float = -math.inf
    """The time at which the last call was sent that the server answered with a pause."""

    def ask(self, now: float, until: float, sent: float) -> None:
        self.since = min(self.since, now)
        self.until, self.sent = max(self.until, until), max(self.sent, sent)
