"""A server in this process, on a clock that runs as fast as the computer does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from routebench.errors import CallError
from routebench.records import Reply, Request

_T = TypeVar("_T")


class _Loop(asyncio.SelectorEventLoop):
    """Sleeping takes no time: the clock is put forward instead."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def at_once(timeout: float | None = None) -> Any:
            assert timeout is not None, "everything waits for something that never comes"
            self._now += max(timeout, 0.0)
            return select(0)

        self._selector.select = at_once  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now


def run(main: Coroutine[Any, Any, _T], seed: int = 0) -> _T:
    """Run to the end on a clock of its own that starts at 0; jitter is drawn from the seed."""
    random.seed(seed)
    loop = _Loop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def now() -> float:
    return asyncio.get_running_loop().time()


class Server:
    """A live provider with a rate limit (a bucket), faults by chance, and a log.

    `script` decides first: (prompt, attempt from 0) to an error, an answer, or None. `limits` are
    (seconds, rate, burst): from when on which holds.
    """

    def __init__(
        self,
        *,
        latency: float = 0.1,
        rate: float | None = None,
        burst: float = 1.0,
        limits: tuple[tuple[float, float, float], ...] = (),
        faults: Mapping[str, float] | None = None,
        retry_after: float | None = 1.0,
        script: Callable[[str, int], CallError | str | None] | None = None,
        seed: int = 0,
    ) -> None:
        self.latency, self.retry_after, self.script = latency, retry_after, script
        self.faults = dict(faults or {})
        self.limits = list(limits) or ([(0.0, rate, burst)] if rate else [])
        self.log: list[tuple[float, str, str]] = []
        """(when, prompt, what became of it)"""
        self.most = 0
        self._open = 0
        self._rate: float | None = None
        self._level = self._burst = self._seen = 0.0
        self._random = random.Random(seed)
        self._attempts: Counter[Request] = Counter()

    def parameters(self) -> dict[str, Any]:
        return {"max_output_tokens": 100}

    async def close(self) -> None:
        pass

    async def ask(self, request: Request) -> Reply:
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            return await self._answer(request)
        finally:
            self._open -= 1

    async def _answer(self, request: Request) -> Reply:
        attempt = self._attempts[request]
        self._attempts[request] += 1
        found = self.script(request.prompt, attempt) if self.script else None
        kind = "limited" if self._over() else self._fault()
        if found is not None:
            kind = found.kind if isinstance(found, CallError) else "answered"
        self.log.append((now(), request.prompt, kind))
        if isinstance(found, CallError):
            raise found
        if kind == "timeout":
            await asyncio.sleep(1e6)
        if kind != "answered":
            await asyncio.sleep(0.002)
            refused = kind in ("limited", "rate-limited")
            what = "rate-limited" if kind == "limited" else kind
            raise CallError(what, kind, "", self.retry_after if refused else None)
        await asyncio.sleep(self.latency * (0.5 + self._random.random()))
        return Reply(found if isinstance(found, str) else f"re: {request.prompt}", 10.0, 20.0)

    def _over(self) -> bool:
        while self.limits and now() >= self.limits[0][0]:
            _, self._rate, self._burst = self.limits.pop(0)
            self._level, self._seen = self._burst, now()
        if self._rate is None:
            return False
        self._level = min(self._burst, self._level + (now() - self._seen) * self._rate)
        self._seen = now()
        if self._level < 1:
            return True
        self._level -= 1
        return False

    def _fault(self) -> str:
        drawn = self._random.random()
        for kind, share in self.faults.items():
            drawn -= share
            if drawn < 0:
                return kind
        return "answered"

    def counts(self, since: float = 0.0, until: float = float("inf")) -> Counter[str]:
        return Counter(kind for at, _, kind in self.log if since <= at < until)

    def admitted(self, since: float = 0.0) -> float:
        """Calls per second that were within the rate."""
        times = [at for at, _, kind in self.log if kind != "limited" and at >= since]
        return len(times) / (times[-1] - times[0])
