"""Stores as the tests need them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from routebench.records import Reply
from routebench.store.store import AnswerStore, Call, StoredQuestion

MODELS = ("small", "large")


def questions(n: int, prefix: str = "q") -> list[StoredQuestion]:
    return [
        StoredQuestion(
            f"{prefix}{i}", f"What is {i}?", f"What is {i}?", f"answer {i}", topic="Other"
        )
        for i in range(n)
    ]


def calls(
    asked: Sequence[StoredQuestion],
    models: Sequence[str] = MODELS,
    samples: int = 1,
    provider: str = "gemini",
    **parameters: float,
) -> list[Call]:
    """StoredQuestion by question, as a collection asks them."""
    return [
        Call.of(provider, model, parameters, question.prompt, sample)
        for question in asked
        for model in models
        for sample in range(samples)
    ]


def filled(path: Path, n: int = 3, *, answered: int | None = None, **given: object) -> AnswerStore:
    """An open store of suite `simpleqa` with the first calls answered; all by default."""
    store = AnswerStore(path)
    store.add("simpleqa", questions(n), calls(questions(n), **given))  # type: ignore[arg-type]
    for call in store.claim(10**6 if answered is None else answered):
        store.settle(call.key, reply(call), cost=0.001, price_id="list-2026", latency=0.5)
    return store


def reply(call: Call) -> Reply:
    """What a call always brings."""
    return Reply(f"{call.model} says: {call.prompt}", input_tokens=10, output_tokens=20)
