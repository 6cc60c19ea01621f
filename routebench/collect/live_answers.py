"""Answers of live models for a router that sees answers: bought as it asks, each call billed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from routebench.bought import Bought
from routebench.collect.budget import SpendingBudget
from routebench.collect.calls import Outcome, ask_all, ask_batch
from routebench.collect.planning import TargetModel
from routebench.collect.rate_limits import Limits
from routebench.errors import CallError
from routebench.prices.lists import ModelPrice
from routebench.records import Ints, Mask, Reply, Request
from routebench.redact import one_line

Finals = Callable[[Sequence[str], Sequence[str]], Sequence[str | None]]
"""Returns the final answers in the texts that answer some questions."""

OVER = "not asked: it may cost more than is left of the budget"


@dataclass(frozen=True, slots=True)
class AskedModel:
    """One model that was asked about one query."""

    model: str
    answered: bool
    usd: float
    """NaN where the server does not say what it used."""
    seconds: float
    error: str = ""
    """Why no answer came; empty where one did."""
    most_usd: float = 0.0
    """What attempts without an answer, or an answer of unknown cost, may have cost at most."""


class LiveAnswers:
    """The answers to some texts, asked from providers when a router asks for them.

    A call that fails, or may cost more than is left of the budget, gives no answer: the router is
    told so, and goes on. Calls of one round are made at once. Used as a context, which ends all
    connections.
    """

    def __init__(
        self,
        targets: Mapping[str, TargetModel],
        models: tuple[str, ...],
        finals: Finals,
        budget: SpendingBudget,
        limits: Limits,
    ) -> None:
        self._targets, self._models = [targets[model] for model in models], models
        self._finals, self._limits = finals, limits
        self.budget = budget
        self.texts: list[str] = []
        self.calls: dict[tuple[int, int], AskedModel] = {}
        """Who was asked, by query and model."""
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._runner:
            for plugin in {id(each.plugin): each.plugin for each in self._targets}.values():
                if callable(close := getattr(plugin, "close", None)):
                    self._runner.run(_awaited(close))

    def price(self, model: str) -> ModelPrice:
        """Return what a model's calls cost."""
        return self._targets[self._models.index(model)].price

    def begin(self, texts: Sequence[str]) -> None:
        """Take other queries; nothing is known of them."""
        self.texts, self.calls = list(texts), {}

    def buy(self, rows: Ints, ask: Mask) -> Bought:
        """Ask the models `ask` [rows, m] about the given queries."""
        bought = Bought.nothing(len(rows), len(self._models))
        assert bought.finish_reason is not None
        bought.asked[:] = ask
        cells = [(int(at), int(model)) for at, model in np.argwhere(ask)]
        reserved: dict[tuple[int, int], float] = {}
        for cell in cells:
            row, model = int(rows[cell[0]]), cell[1]
            most = self._targets[model].most_usd(self.texts[row])
            if self.budget.take(most):
                reserved[cell] = most
            else:
                self.budget.short = True
                self.calls[row, model] = AskedModel(self._models[model], False, 0.0, 0.0, OVER)
                bought.cost[cell] = bought.latency[cell] = 0.0
        for cell, outcome in self._asked(rows, list(reserved)).items():
            row, model = int(rows[cell[0]]), cell[1]
            call = self._billed(model, reserved[cell], outcome)
            self.calls[row, model] = call
            bought.cost[cell], bought.latency[cell] = call.usd, call.seconds
            if isinstance(reply := outcome.result, Reply):
                bought.answered[cell] = True
                bought.response[cell] = reply.text
                bought.finish_reason[cell] = reply.finish
                bought.input_tokens[cell] = reply.input_tokens
                bought.output_tokens[cell] = reply.output_tokens
                bought.confidence[cell] = reply.confidence
        came = [cell for cell in cells if bought.answered[cell]]
        if came:
            questions = [self.texts[int(rows[at])] for at, _ in came]
            read = self._finals(questions, [bought.response[cell] for cell in came])
            for cell, final in zip(came, read, strict=True):
                bought.final[cell] = final
        return bought

    def _billed(self, model: int, reserved: float, outcome: Outcome) -> AskedModel:
        """Settle a call's reservation with what it cost."""
        name, reply = self._models[model], outcome.result
        doubt = outcome.doubtful * reserved
        if isinstance(reply, CallError):
            self.budget.release(reserved)
            self.budget.doubt(doubt)
            said = one_line(reply.message)
            return AskedModel(name, False, 0.0, outcome.latency, said, doubt)
        usd = self._targets[model].price.usd(
            reply.input_tokens, reply.output_tokens, reply.cached_tokens, reply.thinking_tokens
        )
        known = usd == usd
        self.budget.settle(reserved, self.budget.spent + (usd if known else 0.0), known)
        self.budget.doubt(doubt)
        doubt += 0.0 if known else reserved
        return AskedModel(name, True, usd, outcome.latency, most_usd=doubt)

    def _asked(
        self, rows: Ints, cells: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], Outcome]:
        """Return the outcome of every call; those of all models are made at once."""
        if not cells:
            return {}
        asked: dict[int, list[tuple[tuple[int, int], Request]]] = {}
        for cell in cells:
            target = self._targets[cell[1]]
            request = Request(target.model, self.texts[int(rows[cell[0]])])
            asked.setdefault(cell[1], []).append((cell, request))

        async def all_models() -> list[dict[Request, Outcome]]:
            waiting = [
                self._of_model(self._targets[model], [request for _, request in each])
                for model, each in asked.items()
            ]
            return list(await asyncio.gather(*waiting))

        found = self._runner.run(all_models())
        return {
            cell: outcomes[request]
            for each, outcomes in zip(asked.values(), found, strict=True)
            for cell, request in each
        }

    async def _of_model(
        self, target: TargetModel, requests: Sequence[Request]
    ) -> dict[Request, Outcome]:
        """Return one model's outcomes; a call that was given up has failed."""
        unique = list(dict.fromkeys(requests))
        began, stopped = time.perf_counter(), CallError("denied", "was not asked")
        outcomes: dict[Request, Outcome] = {}

        def ended(outcome: Outcome) -> None:
            outcomes[outcome.request] = outcome

        try:
            if target.live:
                await ask_all(
                    target.plugin, unique, limits=self._limits, on_reply=ended, on_failure=ended
                )
            else:
                for outcome in ask_batch(target.plugin, unique):
                    ended(outcome)
        except CallError as error:
            stopped = error
        seconds = time.perf_counter() - began
        return {one: outcomes.get(one, Outcome(one, stopped, 1, seconds)) for one in unique}


async def _awaited(close: Callable[[], Any]) -> None:
    if asyncio.iscoroutine(waiting := close()):
        await waiting
