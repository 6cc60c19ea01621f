"""Checks of providers: an answer to every request, in order, with counts that can be true."""

from __future__ import annotations

import asyncio
import inspect
import os
import unittest
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from routebench.collect.calls import is_live
from routebench.errors import CallError, OptionError
from routebench.hookspecs import ChatEndpoint
from routebench.plugin.optional import ListsModels, SpeaksChat, StatesParameters, StatesReadiness
from routebench.records import Answers, Pool, Reply, Request
from routebench.testing.kinds.subject import (
    ODD_TEXTS,
    SHARED,
    PluginSubject,
    check_init_only_stores,
    is_plain,
)
from routebench.testing.rules import Check, check, expect

_PROMPTS = ("What is the capital of France?", "How much is 6 times 7?", "Say nothing.")
_COUNTS = ("input_tokens", "output_tokens", "latency")


def _models(subject: PluginSubject) -> tuple[str, ...]:
    provider = subject.new()
    if isinstance(provider, ListsModels):
        return provider.pool().models
    raise unittest.SkipTest("it lists no models (pool) that could be asked")


def _answers(subject: PluginSubject, requests: list[Request]) -> Answers:
    """Return the checked answers of a provider that takes batches."""
    provider = subject.new()
    if is_live(provider):
        raise unittest.SkipTest("it is asked call by call (ask)")
    made: Answers = provider.answer(requests)
    expect(isinstance(made, Answers), "routebench.records.Answers", type(made).__name__)
    n = len(requests)
    sizes = {"text": len(made.text)} | {
        name: len(value)
        for name in (*_COUNTS, "note")
        if (value := getattr(made, name)) is not None
    }
    wrong = [f"{size} of {name}" for name, size in sizes.items() if size != n]
    expect(not wrong, f"{n} answers to {n} requests", ", ".join(wrong))
    return made


def _requests(models: tuple[str, ...], prompts: tuple[str, ...] = _PROMPTS) -> list[Request]:
    return [Request(model, prompt) for prompt in prompts for model in models[:3]]


@check(after=check_init_only_stores)
def check_methods(subject: PluginSubject) -> None:
    """It has `answer` for batches, or `ask`, `close` (both async) and `parameters`."""
    plugin = subject.plugin
    if not hasattr(plugin, "ask"):
        expect(
            callable(getattr(plugin, "answer", None)),
            "a method answer(requests), or ask(request)",
            "neither",
        )
        return
    lacking = [
        n for n in ("ask", "close") if not inspect.iscoroutinefunction(getattr(plugin, n, 0))
    ]
    expect(not lacking, "async def ask and async def close", f"no async {', '.join(lacking)}")
    expect(
        callable(getattr(plugin, "parameters", None)),
        "parameters(): what an answer depends on, besides the request",
        "none: a store could not tell these answers from others",
    )


@check(after=check_methods)
def check_pool(subject: PluginSubject) -> None:
    """`pool()`, where there is one, has models in name order, and prices of 0 or more."""
    provider = subject.new()
    if not isinstance(provider, ListsModels):
        return
    pool: Any = provider.pool()
    expect(isinstance(pool, Pool), "routebench.Pool", type(pool).__name__)
    names = list(pool.models)
    expect(names == sorted(set(names)), "models in name order, each once", f"{names}")
    for name in ("input_price", "output_price", "size"):
        values = getattr(pool, name)
        if values is None:
            continue
        expect(np.shape(values) == (len(names),), f"{len(names)} of {name}", f"{np.shape(values)}")
        expect(not (np.asarray(values) < 0).any(), f"{name} of 0 or more", f"{values}")


@check(after=check_methods)
def check_parameters(subject: PluginSubject) -> None:
    """`parameters()`, where there is one, returns what JSON can hold, and no key."""
    provider = subject.new()
    if not isinstance(provider, StatesParameters):
        return
    given = provider.parameters()
    expect(
        is_plain(given),
        "a dict of texts, numbers, lists and dicts",
        f"{given!r}",
        "self.options.model_dump(mode='json') is one",
    )
    keys = {name: value for name, value in os.environ.items() if name.endswith("_API_KEY")}
    told = [name for name, value in keys.items() if value and value in str(given)]
    expect(not told, "no key: parameters are stored with the answers", f"the value of {told}")


@check(after=check_methods)
def check_ready(subject: PluginSubject) -> None:
    """`ready()`, where there is one, is content or raises an OptionError that says what lacks."""
    provider = subject.new()
    if not isinstance(provider, StatesReadiness):
        return
    try:
        provider.ready()
    except OptionError as error:
        expect(bool(error.message), "a message that says what is missing", "none")


@check(after=check_methods)
def check_chat_endpoint(subject: PluginSubject) -> None:
    """`chat_endpoint()`, where there is one, gives a web address, or an OptionError."""
    provider = subject.new()
    if not isinstance(provider, SpeaksChat):
        return
    try:
        given: Any = provider.chat_endpoint()
    except OptionError:
        return
    expect(isinstance(given, ChatEndpoint), "hookspecs.ChatEndpoint", type(given).__name__)
    parts = urlsplit(given.url)
    expect(parts.scheme in ("http", "https") and bool(parts.netloc), "a web address", given.url)


@check(after=check_pool)
def check_answers(subject: PluginSubject) -> None:
    """Every request of a batch gets a text, or None, and counts of 0 or more, or NaN."""
    made = _answers(subject, _requests(_models(subject)))
    odd = [text for text in made.text if not isinstance(text, str | None)]
    expect(not odd, "texts, or None where no answer came", f"{odd[:1]!r}")
    for name in _COUNTS:
        values = getattr(made, name)
        negative = values is not None and bool((np.asarray(values) < 0).any())
        expect(not negative, f"{name} of 0 or more, NaN where unknown", "a negative one")


@check(after=check_answers)
def check_order(subject: PluginSubject) -> None:
    """Answers come in the order of the requests, whatever else is in the batch."""
    requests = _requests(_models(subject))
    first, again = (_answers(subject, requests).text for _ in range(2))
    if first != again:
        raise unittest.SkipTest("its answers differ from time to time")
    backward = _answers(subject, requests[::-1]).text[::-1]
    alone = tuple(_answers(subject, [request]).text[0] for request in requests)
    for name, other in (("in the reverse order", backward), ("alone", alone)):
        differing = [r for r, a, b in zip(requests, first, other, strict=True) if a != b]
        expect(
            not differing,
            "the same answer to a request wherever it stands in a batch",
            f"{len(differing)} of {len(requests)} differ when asked {name}",
            "the n-th answer is that to the n-th request",
        )


@check(after=check_answers)
def check_odd_prompts(subject: PluginSubject) -> None:
    """Empty, very long and foreign prompts get an answer or None."""
    _answers(subject, _requests(_models(subject)[:1], ODD_TEXTS))


@check(after=check_pool)
def check_ask(subject: PluginSubject) -> None:
    """`ask(request)` returns a Reply with a text, or raises CallError; nothing else."""
    provider = subject.new()
    if not is_live(provider):
        return
    if not subject.ask:
        raise unittest.SkipTest("it calls a model, which may cost: allow it with --ask (ask=True)")
    models = provider.pool().models if isinstance(provider, ListsModels) else ("no-such-model",)
    request = Request(models[0], _PROMPTS[0])

    async def once() -> Any:
        try:
            return await provider.ask(request)
        finally:
            await provider.close()

    try:
        reply = asyncio.run(once())
    except (CallError, OptionError):
        return
    except Exception as error:
        expect(
            False,
            "a Reply, or routebench.errors.CallError where no answer comes",
            f"{type(error).__name__}: {error}",
            "catch what the library raises: a CallError says whether asking again may help",
        )
    expect(isinstance(reply, Reply), "routebench.records.Reply", type(reply).__name__)
    expect(isinstance(reply.text, str), "a text", f"{reply.text!r}")


CHECKS: tuple[Check, ...] = (
    *SHARED,
    check_methods,
    check_pool,
    check_parameters,
    check_ready,
    check_chat_endpoint,
    check_answers,
    check_order,
    check_odd_prompts,
    check_ask,
)
