"""Stores as the tests need them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from protocols import THOUGHT

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


def kinds_of_calls(path: Path, answer: Callable[[str, str], str]) -> Counter[tuple[str, str]]:
    """Calls of a store by prompt and by what the local server of the tests must have sent.

    It is one of `servers.BILLED`; a state, text or cost that none of these leaves is `wrong: …`.
    """
    query = """SELECT text, model, state, answer, finish, input_tokens, output_tokens, cost,
    reasoning, miscounted FROM calls JOIN askers ON askers.id = asker
    JOIN prompts ON prompts.id = prompt LEFT JOIN traces ON traces.call = calls.id"""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(query).fetchall()
    return Counter((row[0], _kind(answer(row[0], row[1]), row[2:])) for row in rows)


def _kind(right: str, row: Sequence[Any]) -> str:
    state, text, finish, given, came, cost, reasoning, miscounted = row
    known = given is not None and came is not None and cost is not None and given > 0
    unknown = given is None and came is None and cost is None
    kinds = {
        "answered": (right, "stop", None, None, known),
        "refused": ("I can't help with that.", "refused", None, None, known),
        "safety": ("", "refused", None, None, known),
        "zero": (right, "stop", None, "zero", unknown),
        "contradictory": (right, "stop", None, "contradictory", unknown),
        "reasoned": (right, "stop", THOUGHT, None, known),
        "hollow": ("", "stop", THOUGHT, None, known),
    }
    for kind, (*expected, counted) in kinds.items():
        if state == "answered" and counted and [text, finish, reasoning, miscounted] == expected:
            return kind
    return f"wrong: {state} {finish} {text!r} {given} {came} {cost} {reasoning!r} {miscounted}"
