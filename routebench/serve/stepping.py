"""Routers that see answers: models are asked step by step, and the answer of the stop is given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from routebench.board.trained import TrainedRouter
from routebench.bought import Bought, Stepped
from routebench.collect.live_answers import Finals
from routebench.errors import DataError
from routebench.records import Ints, Mask
from routebench.serve.api_errors import ApiError
from routebench.serve.calls.relay import Answered, Relay
from routebench.serve.chat import ChatRequest
from routebench.serve.event_log import ServedEvent
from routebench.steps.replay import AnswerSource

_AT_ONCE = 64
"""Requests that are stepped at a time; most of the time each waits for models."""


class SteppingRouter:
    """Steps requests through models in threads; the router's own code runs in one at a time."""

    def __init__(
        self, at: Mapping[str | None, TrainedRouter], relay: Relay, finals: Finals
    ) -> None:
        self._at, self._relay, self._finals = at, relay, finals
        self._turn = threading.Lock()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stepping")

    async def answer(self, chat: ChatRequest, point: str | None, event: ServedEvent) -> Answered:
        """Return the answer with which the router stops.

        Raises:
            ApiError: where no model gave an answer.
        """
        loop = asyncio.get_running_loop()
        body = {k: v for k, v in chat.body.items() if k not in ("stream", "stream_options")}
        alone = replace(chat, body=body, stream=False)
        trained = self._at[point]
        source = _ServedAnswers(self._relay, alone, event, trained.models, self, loop)

        def work() -> Stepped:
            with self._turn:
                queries = trained.queries([chat.text], [chat.user])
                stepped = trained.step_queries(queries, source)
                trained.forget_times()
                return stepped

        stepped = await loop.run_in_executor(self._threads, work)
        model = trained.models[int(stepped.answer[0])]
        event.chosen, event.greedy = model, model
        event.reason = "" if stepped.reason is None else str(stepped.reason[0])
        if stepped.confidence is not None:
            event.confidence = float(stepped.confidence[0])
        if model not in source.answers:
            raise source.errors[model]
        event.answered_by = model
        return source.answers[model]

    def read(self, question: str, texts: Sequence[str]) -> Sequence[str | None]:
        """Return the final answers in some texts; None where the judge cannot read them."""
        try:
            return self._finals([question] * len(texts), list(texts))
        except DataError:
            return [None] * len(texts)

    def release(self) -> None:
        """Let another request's step run while this one waits for models."""
        self._turn.release()

    def acquire(self) -> None:
        """Wait for the turn to go on."""
        self._turn.acquire()

    def close(self) -> None:
        """End the threads once they are idle."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class _ServedAnswers(AnswerSource):
    """Buys one request's answers: the loop makes the calls, while a thread waits."""

    def __init__(
        self,
        relay: Relay,
        chat: ChatRequest,
        event: ServedEvent,
        models: tuple[str, ...],
        stepping: SteppingRouter,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._relay, self._chat, self._event, self._models = relay, chat, event, models
        self._stepping, self._loop = stepping, loop
        self.answers: dict[str, Answered] = {}
        self.errors: dict[str, ApiError] = {}

    def buy(self, rows: Ints, ask: Mask) -> Bought:
        names = [self._models[int(model)] for model in np.flatnonzero(ask[0])]
        self._stepping.release()
        try:
            work = asyncio.run_coroutine_threadsafe(self._ask(names), self._loop)
            work.result()
            came = [name for name in names if name in self.answers]
            texts = [_text(self.answers[name]) for name in came]
            finals = self._stepping.read(self._chat.text, texts) if came else []
        finally:
            self._stepping.acquire()
        bought = Bought.nothing(1, len(self._models))
        assert bought.finish_reason is not None
        bought.asked[:] = ask
        for name in names:
            bought.cost[0, self._models.index(name)] = 0.0
        for name, text, final in zip(came, texts, finals, strict=True):
            at, answered = self._models.index(name), self.answers[name]
            bought.answered[0, at] = True
            bought.response[0, at], bought.final[0, at] = text, final
            bought.finish_reason[0, at] = _choice(answered).get("finish_reason")
            bought.input_tokens[0, at] = answered.counts.input_tokens
            bought.output_tokens[0, at] = answered.counts.output_tokens
            bought.cost[0, at], bought.latency[0, at] = answered.usd, answered.seconds
            bought.confidence[0, at] = _confidence(answered)
        return bought

    async def _ask(self, names: Sequence[str]) -> None:
        await asyncio.gather(*(self._one(name) for name in names))

    async def _one(self, name: str) -> None:
        try:
            self.answers[name] = await self._relay.complete(self._chat, (name,), self._event)
        except ApiError as error:
            self.errors[name] = error


def _choice(answered: Answered) -> dict[str, Any]:
    choice = answered.completion["choices"][0]
    return choice if isinstance(choice, dict) else {}


def _text(answered: Answered) -> str:
    message = _choice(answered).get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _confidence(answered: Answered) -> float:
    """Return the mean log-probability of the answer's tokens; NaN where they did not come."""
    logprobs = _choice(answered).get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    values = [one.get("logprob") for one in tokens or () if isinstance(one, dict)]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return float(np.mean(known)) if known and len(known) == len(values) else float("nan")
