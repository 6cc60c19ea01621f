"""The server without HTTP: which models a request may go to, the answer, and what is kept of it."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from routebench.serve.api_errors import ApiError, Hidden
from routebench.serve.batching import BatchedRouter, Ranking
from routebench.serve.calls.relay import Answered, OpenedStream, Relay
from routebench.serve.calls.upstream import Completion
from routebench.serve.chat import ChatRequest
from routebench.serve.event_log import EventLog, ServedEvent
from routebench.serve.exploring import draw
from routebench.serve.metrics import ServeMetrics
from routebench.serve.stepping import SteppingRouter

_MOMENT = 0.002
"""Seconds after which requests that have ended are counted and logged: answers go first."""
NAME = "routebench"
"""The model that is the router; `routebench@POINT` is it at an operating point."""


@dataclass
class Gateway:
    """Everything that answers requests. Made by `routebench.serve.assembled`."""

    label: str
    points: Mapping[str, str | None]
    """By the name of a model that clients may ask for: the operating point."""
    relay: Relay
    metrics: ServeMetrics
    hidden: Hidden
    router: BatchedRouter | None
    """None for a router that sees answers."""
    stepping: SteppingRouter | None
    default: tuple[str, ...]
    """The order of models where the router cannot decide."""
    explore: float = 0.0
    log: EventLog | None = None
    random: random.Random = field(default_factory=random.Random)
    _series: str = field(default_factory=lambda: secrets.token_hex(8))
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _open: int = 0
    _ended: list[ServedEvent] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return the models that clients may ask for: the router at its points, then the pool's."""
        return [*self.points, *(m for m in self.relay.upstreams.models if m not in self.points)]

    def begin(self, chat: ChatRequest) -> ServedEvent:
        """Return the event of a request that has come."""
        name = f"{self._series}{next(self._numbers):08x}"
        self.metrics.open.inc()
        self._open += 1
        event = ServedEvent(name, chat.model, chat.session, chat.stream)
        if self.log is not None and self.log.texts:
            event.messages = chat.body["messages"]
        return event

    async def complete(self, chat: ChatRequest, event: ServedEvent) -> Completion:
        """Return the answer to a request, with the decision in its usage.

        Raises:
            ApiError: where there is none.
        """
        if self.steps(chat):
            answered = await self._stepped(chat, event)
        else:
            answered = await self.relay.complete(chat, await self._order(chat, event), event)
        completion = answered.completion
        if event.messages is not None:
            choices = completion["choices"]
            event.answer = [c.get("message") for c in choices if isinstance(c, dict)]
        usage = completion.get("usage")
        if isinstance(usage, dict):
            completion["usage"] = usage | {"routebench": self.about(event, event.usd)}
        return completion

    async def open(self, chat: ChatRequest, event: ServedEvent) -> OpenedStream:
        """Return a stream that has begun.

        Raises:
            ApiError: where none begins.
        """
        return await self.relay.open(chat, await self._order(chat, event), event)

    def steps(self, chat: ChatRequest) -> bool:
        """Return whether models are asked step by step, so that nothing can be streamed."""
        return self.stepping is not None and chat.model in self.points

    def finish(self, event: ServedEvent, status: int, error: ApiError | None = None) -> None:
        """Note that a request has ended, once; it is counted and logged a moment later."""
        if event.finished:
            return
        event.finished, event.status = True, status
        event.seconds = time.perf_counter() - event.started
        self.metrics.open.dec()
        self._open -= 1
        if error is not None:
            event.error = error.code or error.kind
            self.metrics.error(error.kind)
        if not self._ended:
            asyncio.get_running_loop().call_later(_MOMENT, self.count)
        self._ended.append(event)

    def count(self) -> None:
        """Count and log the requests that have ended and are not counted yet."""
        ended, self._ended = self._ended, []
        for event in ended:
            self.metrics.ended(event, event.requested in self.points)
        if self.log is not None and ended:
            self.log.write(ended)

    def about(self, event: ServedEvent, usd: float) -> dict[str, Any]:
        """Return what a response's usage says of the decision."""
        told = {
            "event": event.id,
            "model": event.answered_by,
            "cost_usd": None if math.isnan(usd) else usd,
            "reason": self.hidden.line(event.reason),
        }
        return told if event.point is None else told | {"point": event.point}

    def headers(self, event: ServedEvent, streamed: bool = False) -> dict[str, str]:
        """Return the headers that say what was decided; a stream's cost is not known yet."""
        hidden = self.hidden.header
        found = {
            "x-routebench-event": event.id,
            "x-routebench-model": hidden(event.answered_by or ""),
            "x-routebench-reason": hidden(event.reason),
        }
        if event.point is not None:
            found["x-routebench-point"] = hidden(event.point)
        if not streamed and not math.isnan(event.usd):
            found["x-routebench-cost-usd"] = f"{event.usd:.9g}"
        if event.fallbacks:
            found["x-routebench-fallbacks"] = hidden(", ".join(event.fallbacks))
        if event.explored:
            found["x-routebench-explored"] = "true"
        if event.requested in self.points and self.router is not None:
            found["x-routebench-route-ms"] = f"{1000 * event.route_seconds:.3f}"
        return found

    async def close(self) -> None:
        """Close everything; requests have ended."""
        await self.relay.upstreams.close()
        self.count()
        for each in (self.router, self.stepping, self.log):
            if each is not None:
                each.close()

    async def _stepped(self, chat: ChatRequest, event: ServedEvent) -> Answered:
        assert self.stepping is not None
        event.point = self.points[chat.model]
        models = self.relay.upstreams.models
        if not self._able(chat, tuple(models)):
            next(iter(models.values())).check(chat)
        return await self.stepping.answer(chat, event.point, event)

    async def _order(self, chat: ChatRequest, event: ServedEvent) -> Sequence[str]:
        """Return the models to ask, one after the other, and note the decision in the event."""
        models = self.relay.upstreams.models
        if chat.model not in self.points:
            if chat.model not in models:
                raise unknown(chat.model)
            models[chat.model].check(chat)
            event.chosen = event.greedy = chat.model
            event.probabilities, event.reason = {chat.model: 1.0}, "named by the request"
            return (chat.model,)
        event.point = self.points[chat.model]
        ranking = await self._ranked(chat, event)
        order = self._able(chat, ranking.order)
        if not order:
            models[ranking.choice].check(chat)
        greedy = order[0]
        candidates = [name for name in order if name in ranking.considered]
        drawn = draw(greedy, candidates, self.explore, self.random)
        event.chosen, event.greedy, event.explored = drawn.model, greedy, drawn.explored
        event.probabilities, event.quality = drawn.probabilities, ranking.quality
        event.confidence, event.policy = ranking.confidence, ranking.policy
        event.reason, event.route_seconds = ranking.reason, ranking.seconds
        if greedy != ranking.choice:
            event.reason = f"{ranking.choice} takes texts alone; {event.reason}"
        if drawn.explored:
            event.reason = f"drawn by chance, 1 of {len(drawn.probabilities)}"
        return (drawn.model, *(name for name in order if name != drawn.model))

    def _able(self, chat: ChatRequest, order: Sequence[str]) -> tuple[str, ...]:
        """Return the models that can take a request: tools and images need a chat protocol."""
        models = self.relay.upstreams.models
        if chat.beyond_text is None:
            return tuple(order)
        return tuple(name for name in order if models[name].endpoint is not None)

    async def _ranked(self, chat: ChatRequest, event: ServedEvent) -> Ranking:
        assert self.router is not None
        try:
            return await self.router.rank(chat.text, event.point, chat.user, self._open == 1)
        except Exception as error:
            # Whoever asks wants an answer, whatever a text did to the router.
            self.metrics.unrouted()
            reason = f"the router could not decide ({type(error).__name__})"
            order = self.default
            return Ranking(order[0], order, order[:1], {}, None, None, reason, 0.0)


def unknown(model: str) -> ApiError:
    """Return the error for a model that there is not."""
    shown = model if len(model) <= 100 else model[:99] + "…"
    message = f"there is no model {shown!r}; /v1/models lists those there are"
    return ApiError(404, message, param="model", code="model_not_found")
