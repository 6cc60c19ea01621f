"""Sound providers, and ones that each break one rule: `broken` names its check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from broken_options import Stored, of_kind

from routebench import OptionError, Pool
from routebench.hookspecs import ChatEndpoint
from routebench.records import Answers, Request


class Provider(Stored):
    models = ("one", "two")

    def pool(self) -> Any:
        return Pool(self.models)

    def answer(self, requests: list[Request]) -> Any:
        texts = tuple(self.text(request) for request in requests)
        return Answers(texts, *(np.array([len(t) / 4 for t in texts]) for _ in range(2)))

    def text(self, request: Request) -> str:
        return f"{request.model}: {request.prompt}"


class Dumb(Stored):
    broken = "check_methods"


class AsksAtOnce(Provider):
    broken = "check_methods"

    def ask(self, request: Request) -> Any:
        return None


class UnsortedPool(Provider):
    broken = "check_pool"
    models = ("two", "one")


class KeepsSet(Provider):
    broken = "check_parameters"

    def parameters(self) -> Any:
        return {"stop": {"."}}


class TellsKey(Provider):
    broken = "check_parameters"

    def parameters(self) -> Any:
        return {"headers": ["Bearer secret-of-mine"]}


class Unready(Provider):
    broken = "check_ready"

    def ready(self) -> Any:
        raise KeyError("MY_KEY")


class Nowhere(Provider):
    broken = "check_chat_endpoint"

    def chat_endpoint(self) -> Any:
        return ChatEndpoint("over there")


class DropsOne(Provider):
    broken = "check_answers"

    def answer(self, requests: list[Request]) -> Any:
        return super().answer(requests[:-1])


class OwesTokens(Provider):
    broken = "check_answers"

    def answer(self, requests: list[Request]) -> Any:
        made = super().answer(requests)
        return replace(made, output_tokens=-made.output_tokens)


class ByModel(Provider):
    broken = "check_order"

    def answer(self, requests: list[Request]) -> Any:
        return super().answer(sorted(requests, key=lambda request: request.model))


class NeedsWords(Provider):
    broken = "check_odd_prompts"

    def text(self, request: Request) -> str:
        return request.prompt.split()[0] + request.model


class Live(Stored):
    """Is called over a network, or says so."""

    def parameters(self) -> Any:
        return {}

    async def ask(self, request: Request) -> Any:
        raise OptionError("no key")

    async def close(self) -> None:
        pass


class Raises(Live):
    broken = "check_ask"

    async def ask(self, request: Request) -> Any:
        raise ConnectionError("reset by peer")


class RepliesText(Live):
    broken = "check_ask"

    async def ask(self, request: Request) -> Any:
        return "Paris"


PROVIDERS = [
    *of_kind(Provider), Dumb, AsksAtOnce, UnsortedPool, KeepsSet, TellsKey, Unready, Nowhere,
    DropsOne, OwesTokens, ByModel, NeedsWords, Raises, RepliesText,
]  # fmt: skip
