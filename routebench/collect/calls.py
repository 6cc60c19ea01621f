"""Calls to live models: many at a time, each retried after failures that may pass.

A retry waits for an exponential backoff with full jitter, or for as long as the server asks. The
number of calls at a time adapts to the server: see `routebench.collect.rate_limits`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tenacity

from routebench.collect.overload import Ticket
from routebench.collect.plausible import checked
from routebench.collect.rate_limits import Limits, Stopped, Throttle
from routebench.errors import CallError, RoutebenchError
from routebench.hookspecs import LiveProvider, Provider
from routebench.records import Reply, Request
from routebench.redact import one_line

BATCH = 256
"""Requests that a provider which answers in batches gets at a time."""
HOPELESS = 25
"""Failed calls in a row, all attempts included, after which a model is given up."""
TOO_LONG = 900.0
"""Seconds: a server that asks to wait longer (a quota per day, say) is left until another time."""
_WAITING = 64
"""Calls that may wait for another attempt before no further one is drawn."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one call, after all its attempts."""

    request: Request
    result: Reply | CallError
    attempts: int
    latency: float
    """Seconds of the last attempt."""
    doubtful: int = 0
    """Attempts without an answer that the vendor may have charged: those that timed out, or whose
    answer came broken."""


Told = Callable[[Outcome], Awaitable[None] | None]
Requests = AsyncIterable[Request] | Iterable[Request]


async def ask_all(
    provider: LiveProvider,
    requests: Requests,
    *,
    limits: Limits,
    on_reply: Told,
    on_failure: Told,
    throttle: Throttle | None = None,
    on_retry: Callable[[Request, CallError], None] | None = None,
) -> None:
    """Ask all requests, drawing each from `requests` only when a call may start.

    A request whose call was stopped before an answer came (`throttle.stop()`) is not reported.
    A failed one is reported once, after its last attempt.

    Raises:
        CallError: of kind `denied`, or the last of `HOPELESS` failures in a row; all calls under
            way have ended by then.
    """
    asking = _Asking(provider, throttle or Throttle(limits), limits, on_reply, on_failure, on_retry)
    await asking.all(_drawn(requests))


@dataclass
class _Asking:
    provider: LiveProvider
    throttle: Throttle
    limits: Limits
    on_reply: Told
    on_failure: Told
    on_retry: Callable[[Request, CallError], None] | None
    telling: int = 0
    """Ended calls not reported yet: no further call is paid while they cannot be stored."""
    failures: int = 0
    broken: BaseException | None = None

    async def all(self, requests: AsyncIterator[Request]) -> None:
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                flying = self.throttle.flying
                while len(tasks) >= max(_WAITING, 4 * flying) or self.telling > max(8, flying):
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                await self.throttle.room()
                request = await anext(requests)
                task = asyncio.create_task(self._one(request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await asyncio.sleep(0)  # it takes its place before the next one is drawn
        except (StopAsyncIteration, Stopped):
            pass
        except Exception as error:  # the source's own; what is under way still ends
            self._stop(error)
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        while tasks:
            await asyncio.wait(tasks)
        if self.broken is not None:
            raise self.broken

    async def _one(self, request: Request) -> None:
        try:
            outcome = await self._attempts(request)
        except Stopped:
            return
        self.telling += 1
        try:
            await self._tell(outcome)
        except Exception as error:
            self._stop(error)
        finally:
            self.telling -= 1

    async def _tell(self, outcome: Outcome) -> None:
        error = outcome.result
        callback = self.on_failure if isinstance(error, CallError) else self.on_reply
        if inspect.isawaitable(waiting := callback(outcome)):
            await waiting
        if not isinstance(error, CallError):
            self.failures = 0
            return
        self.failures += error.kind != "rejected"
        if error.kind == "denied" or self.failures >= HOPELESS:
            self._stop(error)

    def _stop(self, error: BaseException) -> None:
        self.broken = self.broken or error
        self.throttle.stop()

    async def _attempts(self, request: Request) -> Outcome:
        """Make a call with all its attempts; raise `Stopped` if stopped between two of them."""
        began, latency, doubtful, attempt = _now(), 0.0, 0, 0
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_passing),
            stop=tenacity.stop_after_attempt(self.limits.attempts),
            wait=_wait(self.limits),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            async for each in retrying:
                attempt += 1
                ticket = await self.throttle.start()
                began = _now()
                with each:
                    try:
                        reply = await self._ask(request, ticket)
                    except CallError as error:
                        doubtful += error.kind in ("timeout", "malformed")
                        if error.passing and self.on_retry and attempt < self.limits.attempts:
                            self.on_retry(request, error)
                        raise
                    finally:
                        latency = _now() - began
        except CallError as error:
            return Outcome(request, error, attempt, latency, doubtful)
        return Outcome(request, reply, attempt, latency, doubtful)

    async def _sleep(self, seconds: float) -> None:
        await self.throttle.pause(seconds)
        if self.throttle.stopped:
            raise Stopped

    async def _ask(self, request: Request, ticket: Ticket) -> Reply:
        try:
            async with asyncio.timeout(self.limits.timeout) as timeout:
                reply = checked(await self.provider.ask(request), request.prompt)
        except CallError as error:
            self._ended(ticket, error)
            raise
        except TimeoutError as error:
            late = f"no answer within {self.limits.timeout:g} s" if timeout.expired() else ""
            failed = CallError("timeout", late or one_line(str(error)) or "timed out")
            self._ended(ticket, failed)
            raise failed from None
        except RoutebenchError as error:  # no key, say
            self.throttle.end(ticket)
            raise CallError("denied", error.message, error.hint) from None
        except Exception as error:
            self.throttle.end(ticket)
            raise CallError("rejected", f"{type(error).__name__}: {one_line(str(error))}") from None
        except BaseException:
            self.throttle.leave()
            raise
        self.throttle.end(ticket)
        return reply

    def _ended(self, ticket: Ticket, error: CallError) -> None:
        if (error.retry_after or 0.0) > TOO_LONG:
            self.throttle.end(ticket)
            wait = f"asks to wait {error.retry_after:,.0f} s"
            raise CallError("denied", f"{error.message}: {wait}", "go on after that") from None
        overload = {"rate-limited": "refused", "server": "strained", "timeout": "strained"}
        self.throttle.end(ticket, overload.get(error.kind), error.retry_after)


def ask_batch(provider: Provider, requests: Sequence[Request]) -> list[Outcome]:
    """Ask one batch of a provider that answers in batches, and return the outcomes.

    Raises:
        CallError: `denied`, where the provider refuses or breaks: that is nothing to ask again.
    """
    began = time.perf_counter()
    try:
        answers = provider.answer(requests)
        if not len(answers.text) == len(answers.input_tokens) == len(requests):
            raise CallError("denied", f"{len(answers.text)} answers to {len(requests)} requests")
    except CallError:
        raise
    except RoutebenchError as error:
        raise CallError("denied", error.message, error.hint) from error
    except Exception as error:
        raise CallError("denied", f"{type(error).__name__}: {one_line(str(error))}") from error
    each = (time.perf_counter() - began) / len(requests)

    def outcome(n: int) -> Outcome:
        latency = each if answers.latency is None else float(answers.latency[n])
        if (text := answers.text[n]) is None:
            note = answers.note[n] if answers.note else None
            return Outcome(requests[n], CallError("rejected", note or "no answer"), 1, latency)
        used = float(answers.input_tokens[n]), float(answers.output_tokens[n])
        try:
            return Outcome(requests[n], checked(Reply(text, *used), requests[n].prompt), 1, latency)
        except CallError as error:
            return Outcome(requests[n], error, 1, latency, doubtful=1)

    return [outcome(n) for n in range(len(requests))]


def is_live(provider: Any) -> bool:
    """Return whether the provider is asked call by call, not in batches."""
    return hasattr(provider, "ask")


async def _drawn(requests: Requests) -> AsyncIterator[Request]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


def _passing(error: BaseException) -> bool:
    return isinstance(error, CallError) and error.passing


def _wait(limits: Limits) -> Callable[[tenacity.RetryCallState], float]:
    """Return full jitter under a bound that doubles; never sooner than the server asks for."""
    jitter = tenacity.wait_random_exponential(limits.patience, limits.longest)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        delay = error.retry_after if isinstance(error, CallError) else None
        # A little later than asked, so that not all come back in the same instant.
        return jitter(state) if delay is None else delay + jitter(state) / 4

    return wait


def _now() -> float:
    return asyncio.get_running_loop().time()
