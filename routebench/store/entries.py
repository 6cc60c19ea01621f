"""Records that a store of answers takes and returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.data.texts import encode
from routebench.files import sha256

PENDING, IN_FLIGHT, ANSWERED, FAILED = STATES = ("pending", "in_flight", "answered", "failed")
"""What becomes of a call: to be made; being made; answered, refusals too; no answer came."""


@dataclass(frozen=True, slots=True)
class Call:
    """One question put to one model, once."""

    key: str
    """32 hex digits over all that follows: two calls are the same if and only if these are."""
    provider: str
    model: str
    parameters: str
    """Canonical JSON of all else that an answer depends on."""
    prompt: str
    sample: int = 0
    """Tells repeated calls with the same prompt apart."""

    @classmethod
    def of(
        cls,
        provider: str,
        model: str,
        parameters: Mapping[str, Any] | str,
        prompt: str,
        sample: int = 0,
    ) -> Call:
        """Return the call with its key; parameters that are text are canonical JSON already."""
        known = parameters if isinstance(parameters, str) else canonical(parameters)
        return cls(
            call_key(provider, model, known, prompt, sample), provider, model, known, prompt, sample
        )


def call_key(
    provider: str, model: str, parameters: Mapping[str, Any] | str, prompt: str, sample: int
) -> str:
    """Return the key of a call: 32 hex digits of SHA-256, whatever the parameters' order."""
    known = parameters if isinstance(parameters, str) else canonical(parameters)
    parts = (provider, model, known, str(sample), prompt)
    # Prefixed by their lengths, so that different parts never give the same text.
    named = "".join(f"{len(part)}:{part}" for part in parts)
    return sha256(encode(named))[:32]


def canonical(parameters: Mapping[str, Any]) -> str:
    """Return parameters as JSON with sorted names; raise `ValueError` for what JSON cannot hold."""
    return json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Added:
    """Counts of added calls and questions."""

    new: int
    known: int
    """Calls that were in the store already, answered or not."""
    changed: int = 0
    """Questions stored with another prompt before, whose answers do not count for the new one."""
    others: int = 0
    """Questions of the same suite that were added earlier, and not now."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer to be graded: no model comes with it."""

    call: int
    question: int
    """Its key for `AnswerStore.grade`, together with `call`."""
    query: str
    reference: str | None
    response: str


@dataclass(frozen=True, slots=True)
class ModelCalls:
    """The calls to one model with one set of parameters, by state."""

    provider: str
    model: str
    parameters: str
    calls: dict[str, int]
    """Calls by state; states without any are left out."""
    usd: float


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """The content of a store, in numbers."""

    path: Path
    size: int
    """Bytes, those of SQLite's log included."""
    suites: dict[str, int]
    """Questions by suite."""
    models: tuple[ModelCalls, ...]
    states: dict[str, int]
    """Calls by state, all four of them."""
    usd: float
    """Paid in all, for answers that came twice too."""
    unpriced: int
    """Answers of which nobody knows the cost; they are not in `usd`."""
    errors: dict[str, int]
    """Failed calls by kind."""
    interrupted: int
    """How often a call was in flight when its process ended: each may have been paid in vain."""
    twice: int
    """Answers that came when another process had stored one already: paid, and not kept."""
    prices: dict[str, int]
    """Answers by the id of the prices that they were paid at."""
    judges: dict[str, dict[str, int]]
    """Graded answers by judge and state (`ok`, `ungraded`), in the order the judges came."""
