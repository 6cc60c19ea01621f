"""Limits on calls at a time and on calls per second, learned as calls end.

Two numbers are steered, calls at a time and calls per second. Both start without a limit of their
own (calls at a time double with every round) and are cut once per overload: to a share of what was
under way, and of what the server has taken. From there they grow as TCP CUBIC does (RFC 9438): back
to where they were, gently past it, and the faster the longer nothing happens.

What the server asks to wait holds for all calls to the model, until a call that was sent later is
answered. On a server where some calls fail however slowly one asks it holds for the refused call,
and for all only when nothing is answered. Times are the event loop's, in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from dataclasses import dataclass, replace

from routebench.collect.overload import MOST, ODD, Cubic, Hold, Ticket, Usual

FIRST, CEILING = 4, 256
"""Calls at a time: at the start, and at most, where the user names no number."""
REFUSED, STRAINED = 0.85, 0.7
"""Shares of a limit that a cut leaves: after refusals (429); after errors and timeouts."""
SPAN = 1.5
"""Seconds over which calls per second are counted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that a user sets on the calls to one model."""

    concurrency: int | None = None
    """Calls at a time; None: as many as the server takes, up to `CEILING`."""
    rate: float | None = None
    """Calls per second."""
    timeout: float = 120.0
    """Seconds that a call may take."""
    attempts: int = 6
    """How often a call is made, at most, where asking again may help."""
    patience: float = 0.5
    """Seconds before a second attempt, at most; twice as many before each further one."""
    longest: float = 60.0
    """Seconds between two attempts, at most, unless the server asks for more."""


class Pace:
    """Calls per second, evenly spread; several models of one provider may share one."""

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next call may start."""
        return 0.0 if self.rate is None else self._next - now

    def take(self, now: float) -> None:
        if self.rate is not None:
            self._next = max(now, self._next) + 1 / self.rate


class Stopped(Exception):  # noqa: N818 - no error
    """A signal that no further call may start."""


class Throttle:
    """Starts the calls to one model within limits that it learns from how each ended."""

    def __init__(self, limits: Limits, shared: Pace | None = None) -> None:
        self.limits = limits
        self.stopped = False
        self.cuts = 0
        self.usual = Usual()
        self._shared = shared or Pace(limits.rate)
        self._pace = Pace()
        self._speed, self._width = Cubic(), Cubic()
        self._saved = self._speed, self._width  # as they were before the last cut
        self._started = float(FIRST)  # calls at a time before the first cut
        self._flying = self._queued = 0
        self._accepted: deque[float] = deque(maxlen=4096)  # when calls not refused were sent
        self._opened = -math.inf  # when the last hold ended
        self._hold = Hold()
        self._turn = asyncio.Lock()
        self._changed, self._over = asyncio.Event(), asyncio.Event()

    @property
    def flying(self) -> int:
        """Return the number of calls under way."""
        return self._flying

    @property
    def free(self) -> int:
        """Return the number of calls that could start now; at least 1."""
        return max(1, self.window(_now()) - self._flying - self._queued)

    def window(self, now: float) -> int:
        """Return the number of calls that may be under way at a time."""
        most = self.limits.concurrency or CEILING
        wide = self._started if self._width.endless else self._width.at(now)
        return math.ceil(max(1.0, min(wide, most)))

    def speed(self, now: float) -> float:
        """Return the calls per second that the server seems to take; at first infinite."""
        return max(self._speed.at(now), 0.05)

    async def room(self) -> None:
        """Wait until another call would not have to queue."""
        while not self.stopped and self._flying + self._queued >= self.window(_now()):
            await self._change(0.2)
        if self.stopped:
            raise Stopped

    async def start(self) -> Ticket:
        """Wait for permission to make a call; first come, first served."""
        self._queued += 1
        try:
            async with self._turn:
                while not self.stopped:
                    now = _now()
                    if (wait := self._wait(now)) <= 0:
                        return self._take(now)
                    await self._change(wait)
                raise Stopped
        finally:
            self._queued -= 1

    def end(self, ticket: Ticket, failed: str | None = None, after: float | None = None) -> None:
        """End a call: `refused`, `strained` (server error, timeout), or None if it was taken.

        `after` is the seconds that the server asks to wait.
        """
        now = _now()
        self._flying -= 1
        if failed == "refused" and ticket.sent in self._accepted:
            self._accepted.remove(ticket.sent)
        if failed is None:
            self._answered(ticket, now)
        if ticket.era < self.cuts:  # sent before the last cut: only its wait counts
            wait = now < self._hold.until
        else:
            ticket.failed, ticket.refused = failed is not None, failed == "refused"
            undo = self.usual.ended(ticket, self._calm(now))
            wait = failed is not None and self.usual.hopeless
            if undo:
                self._undo()
            elif failed and self.usual.overload(0.0 if failed == "refused" else ODD):
                self._cut(now)
                wait |= not self.usual.known  # else a refusal does not speak for all calls
        if failed and after is not None and wait:
            self._hold.ask(now, now + after, ticket.sent)
        self._changed.set()

    def leave(self) -> None:
        """End a call whose outcome says nothing about the server."""
        self._flying -= 1
        self._changed.set()

    def stop(self) -> None:
        """Start no further call; those under way go on."""
        self.stopped = True
        self._changed.set()
        self._over.set()

    async def pause(self, seconds: float) -> None:
        """Wait, unless stopped before."""
        await _wait_for(self._over, seconds)

    def _wait(self, now: float) -> float:
        if self._flying >= self.window(now):
            return math.inf if self._width.endless else 0.2
        speed = self.speed(now)
        self._pace.rate = None if math.isinf(speed) else speed
        return max(self._hold.until - now, self._pace.wait(now), self._shared.wait(now))

    def _take(self, now: float) -> Ticket:
        if not math.isinf(self._hold.since):  # the first one since: nothing has grown meanwhile
            self._speed.since += now - self._hold.since
            self._width.since += now - self._hold.since
            self._opened, self._hold.since = now, math.inf
        self._pace.take(now)
        self._shared.take(now)
        self._flying += 1
        self._accepted.append(now)
        ticket = Ticket(now, self.cuts)
        self.usual.sent(ticket)
        return ticket

    def _answered(self, ticket: Ticket, now: float) -> None:
        if ticket.sent > self._hold.sent:
            self._hold.until = min(self._hold.until, now)  # it takes calls again already
        if self._width.endless and self._flying + 1 >= int(self._started):
            self._started += 1  # doubles with every round of calls
            self._started = min(self._started, self.limits.concurrency or CEILING)

    def _cut(self, now: float) -> None:
        """Cut the limits once per overload: calls sent before a cut cause no further one."""
        refused = self.usual.mostly_refused
        self.cuts += 1
        self.usual.cut()
        self._saved = replace(self._speed), replace(self._width)
        left = REFUSED if refused else STRAINED
        self._width.cut(min(self.window(now), self._flying + 1.0), left, now)
        if refused:
            self._speed.cut(self._taken(now), left, now)

    def _calm(self, now: float) -> bool:
        limit = self._width if self._speed.endless else self._speed
        return limit.at(now) < 0.97 * limit.top

    def _undo(self) -> None:
        """Undo the last cut, which had no effect: restore the limits before it."""
        self._speed, self._width = self._saved

    def _taken(self, now: float) -> float:
        """Return the calls per second that the server has taken of late."""
        start = max(now - SPAN, self._opened, self._accepted[0] if self._accepted else now)
        while self._accepted and self._accepted[0] < now - SPAN:
            self._accepted.popleft()
        count = sum(sent >= start for sent in self._accepted)
        return max(count, 1) / max(now - start, 0.1) / (1 - min(self.usual.refused, MOST))

    async def _change(self, seconds: float) -> None:
        self._changed.clear()
        await _wait_for(self._changed, seconds)


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None if math.isinf(seconds) else seconds):
            await event.wait()


def _now() -> float:
    return asyncio.get_running_loop().time()
