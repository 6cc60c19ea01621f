"""One request on its way: models in order, each with its attempts, until one answers."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from routebench.collect.budget import SpendingBudget
from routebench.records import Reply
from routebench.serve.api_errors import ApiError
from routebench.serve.calls import events
from routebench.serve.calls.spending import Reservation, reserve, used_up
from routebench.serve.calls.upstream import Completion, UpstreamError, Upstreams
from routebench.serve.calls.usage import known_counts, read_usage
from routebench.serve.chat import ChatRequest
from routebench.serve.event_log import ServedEvent
from routebench.serve.metrics import ServeMetrics

_Result = TypeVar("_Result")

_LONGEST_WAIT = 2.0
"""Seconds: a server that asks to wait longer is passed over."""
_FIRST_WAIT = 0.1  # seconds before a second attempt, at most; twice as many before each further one


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's whole answer."""

    model: str
    completion: Completion
    counts: Reply
    usd: float
    """NaN where the server does not say what it used."""
    seconds: float


class Relay:
    """Asks models within the budget; what fails is asked again, and then of the next model."""

    def __init__(
        self,
        upstreams: Upstreams,
        budget: SpendingBudget,
        metrics: ServeMetrics,
        retries: int,
        timeout: float,
    ) -> None:
        self.upstreams, self.budget, self._metrics = upstreams, budget, metrics
        self._retries, self._timeout = retries, timeout

    async def complete(
        self, chat: ChatRequest, order: Sequence[str], event: ServedEvent
    ) -> Answered:
        """Return the answer of the first model of the order that gives one.

        Raises:
            ApiError: where none does, or one does not take the request.
        """

        def call(name: str) -> Awaitable[Completion]:
            return self.upstreams.complete(name, chat)

        name, completion, reservation, began = await self._first(chat, order, event, call)
        counts = read_usage(completion.get("usage"))
        usd = reservation.settle(counts)
        answered = Answered(name, completion, counts, usd, time.perf_counter() - began)
        self._record(event, name, answered.seconds, None, usd, counts)
        return answered

    async def open(
        self, chat: ChatRequest, order: Sequence[str], event: ServedEvent
    ) -> OpenedStream:
        """Return the stream of the first model of the order that begins one.

        Raises:
            ApiError: where none does, or one does not take the request.
        """

        def call(name: str) -> Awaitable[tuple[bytes, AsyncIterator[bytes]]]:
            return self._begun(name, chat)

        name, (first, rest), reservation, began = await self._first(chat, order, event, call)
        event.first_seconds = round(time.perf_counter() - event.started, 6)
        return OpenedStream(self, chat, event, name, first, rest, reservation, began)

    async def _first(
        self,
        chat: ChatRequest,
        order: Sequence[str],
        event: ServedEvent,
        call: Callable[[str], Awaitable[_Result]],
    ) -> tuple[str, _Result, Reservation, float]:
        last: UpstreamError | None = None
        for name in order:
            reservation = reserve(self.budget, self.upstreams.models[name], chat)
            if reservation is None:
                self._record(event, name, 0.0, "budget")
                continue
            began = time.perf_counter()
            try:
                result = await self._attempts(name, call, reservation, event)
            except UpstreamError as error:
                if error.kind == "rejected":
                    raise error.rejected from None
                last = error
                continue
            return name, result, reservation, began
        raise used_up(self.budget) if last is None else nobody(last)

    async def _attempts(
        self,
        name: str,
        call: Callable[[str], Awaitable[_Result]],
        reservation: Reservation,
        event: ServedEvent,
    ) -> _Result:
        attempt = 0
        while True:
            began = time.perf_counter()
            try:
                return await call(name)
            except UpstreamError as error:
                self._record(event, name, time.perf_counter() - began, error.kind)
                wait = self._wait(error, attempt)
                if wait is None:
                    # The vendor may charge for what was under way.
                    lost = error.kind in ("timeout", "malformed")
                    reservation.doubt() if lost else reservation.release()
                    raise
                attempt += 1
                try:
                    await asyncio.sleep(wait)
                except BaseException:
                    reservation.release()
                    raise
            except BaseException:
                reservation.doubt()
                raise

    def _wait(self, error: UpstreamError, attempt: int) -> float | None:
        """Return the seconds until another attempt; None for none."""
        if attempt >= self._retries or error.kind not in ("server", "rate-limited"):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= _LONGEST_WAIT else None
        # Spread, so that the retries of many requests do not come at once.
        return _FIRST_WAIT * float(2**attempt) * random.random()  # noqa: S311

    async def _begun(self, name: str, chat: ChatRequest) -> tuple[bytes, AsyncIterator[bytes]]:
        """Return a model's stream with its first event; an error in that is a failed call."""
        stream = self.upstreams.stream(name, chat)
        try:
            try:
                async with asyncio.timeout(self._timeout):
                    first = await anext(stream)
            except StopAsyncIteration:
                raise UpstreamError("malformed", "the stream ended before it began") from None
            except TimeoutError:
                message = f"no answer within {self._timeout:g} s"
                raise UpstreamError("timeout", message) from None
            value = events.payload(first) if b'"error"' in first else None
            if isinstance(value, dict) and value.get("error"):
                raise self.upstreams.error_within(value["error"])
        except BaseException:
            await close(stream)
            raise
        return first, stream

    def _record(
        self,
        event: ServedEvent,
        name: str,
        seconds: float,
        error: str | None,
        usd: float = 0.0,
        counts: Reply | None = None,
    ) -> None:
        """Put a call into its request's event and the metrics."""
        known = not math.isnan(usd)
        call = {
            "model": name,
            "usd": usd if known else None,
            "seconds": round(seconds, 6),
            "error": error,
        }
        event.calls.append(call)
        event.usd += usd
        if error is None and counts is not None:
            event.answered_by, event.tokens = name, known_counts(counts)
        self._metrics.called(call)

    def ended(self, event: ServedEvent, name: str, began: float, usd: float, counts: Reply) -> None:
        """Record a stream that has ended."""
        self._record(event, name, time.perf_counter() - began, None, usd, counts)


class OpenedStream:
    """A stream that has begun; it is paid for once it is closed, however it ended."""

    def __init__(
        self,
        relay: Relay,
        chat: ChatRequest,
        event: ServedEvent,
        model: str,
        first: bytes,
        rest: AsyncIterator[bytes],
        reservation: Reservation,
        began: float,
    ) -> None:
        self._relay, self._chat, self._event, self.model = relay, chat, event, model
        self._first, self._rest = first, rest
        self._reservation, self._began = reservation, began
        self._counts = Reply("")
        self._done = False
        event.answered_by = model

    async def events(
        self, about: Callable[[float], dict[str, Any]], keep: list[str] | None
    ) -> AsyncIterator[bytes]:
        """Yield the events for the client; `about` of the cost goes into its usage.

        Args:
            keep: Gets the texts of the answer, where they are wanted.
        """
        try:
            yield self._passed(self._first, about, keep)
            async for raw in self._rest:
                if event := self._passed(raw, about, keep):
                    yield event
        except UpstreamError as error:
            self._event.error = error.kind
            said = ApiError(502, f"the answer broke off: {error.message}", kind="upstream_error")
            yield events.to_event(said.body())

    async def close(self) -> None:
        """End the call, and settle what it cost; one without usage may have cost anything."""
        if self._done:
            return
        self._done = True
        await close(self._rest)
        if math.isnan(self._counts.input_tokens):
            self._reservation.doubt()
            usd = math.nan
        else:
            usd = self._reservation.settle(self._counts)
        self._relay.ended(self._event, self.model, self._began, usd, self._counts)

    def _passed(
        self, raw: bytes, about: Callable[[float], dict[str, Any]], keep: list[str] | None
    ) -> bytes:
        """Return an event as the client gets it; nothing for a usage that it did not ask for."""
        if keep is None and b'"usage"' not in raw and b'"error"' not in raw:
            return raw
        value = events.payload(raw)
        if not isinstance(value, dict):
            return raw
        if value.get("error"):
            self._event.error = "upstream"
        choices = value.get("choices")
        if keep is not None and isinstance(choices, list):
            keep.extend(_said(choices))
        if not isinstance(usage := value.get("usage"), dict):
            return raw
        self._counts = read_usage(usage)
        if choices == [] and not self._chat.wants_usage:
            return b""
        price = self._relay.upstreams.models[self.model].target.price
        usd = price.usd(
            self._counts.input_tokens,
            self._counts.output_tokens,
            self._counts.cached_tokens,
            self._counts.thinking_tokens,
        )
        value["usage"] = usage | {"routebench": about(usd)}
        return events.to_event(value)


def nobody(error: UpstreamError) -> ApiError:
    """Return the error for a request that no model answered, by the last one's."""
    if error.kind == "rate-limited":
        wait = error.retry_after
        headers = {} if wait is None else {"Retry-After": f"{wait:g}"}
        return ApiError(
            429, error.message, kind="rate_limit_error", code="rate_limited", headers=headers
        )
    if error.kind == "timeout":
        return ApiError(504, error.message, kind="upstream_error", code="upstream_timeout")
    # A provider's 401 is about the server's own key: to the client it is no 401.
    return ApiError(502, error.message, kind="upstream_error", code="upstream_" + error.kind)


async def close(stream: AsyncIterator[bytes]) -> None:
    """Close a generator of events; that its connection is gone already is no error."""
    closing = getattr(stream, "aclose", None)
    if closing is not None:
        with contextlib.suppress(Exception):
            await closing()


def _said(choices: Sequence[Any]) -> list[str]:
    deltas = [one.get("delta") for one in choices if isinstance(one, dict)]
    texts = [delta.get("content") for delta in deltas if isinstance(delta, dict)]
    return [text for text in texts if isinstance(text, str)]
