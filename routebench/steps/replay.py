"""Step a router through queries, and serve the answers that it buys from recorded ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from routebench.bought import Bought, Stepped, Steps
from routebench.errors import PluginError
from routebench.records import Ints, Mask, Queries, Strings

CHUNK = 1024
"""The most queries that a router is asked about at once."""

Step = Callable[[Queries, Bought], Any]


class UnrecordedError(PluginError):
    """A model was asked of which there is no call for that query."""


class AnswerSource(Protocol):
    """Answers to what is asked: recorded ones, or those of live models."""

    def buy(self, rows: Ints, ask: Mask) -> Bought:
        """Return the answers of the models `ask` [rows, m] to the given queries, and no others."""


class RecordedAnswers:
    """Recorded answers, each given once.

    Raises:
        PluginError: where a model has no recorded call for a query, or is asked twice.
    """

    def __init__(self, recorded: Bought, models: tuple[str, ...]) -> None:
        self._recorded = recorded
        self._models = models
        self._given = np.zeros(recorded.asked.shape, dtype=np.bool_)

    def buy(self, rows: Ints, ask: Mask) -> Bought:
        if (again := ask & self._given[rows]).any():
            raise PluginError(f"step asks {_named(again, self._models)} twice for one query")
        if (absent := ask & ~self._recorded.asked[rows]).any():
            raise UnrecordedError(
                f"step asks {_named(absent, self._models)} for a query it was never asked",
                "no such call is recorded",
            )
        self._given[rows] |= ask
        return self._recorded.take(rows).only(ask)


def step_through(
    step: Step, queries: Queries, models: tuple[str, ...], source: AnswerSource
) -> Stepped:
    """Step all queries, round by round, until each has its answer.

    In a round every open query is asked about, and what all of them buy is fetched at once. Where
    no model of the whole pool gave an answer, the query ends with the first that was asked.

    Raises:
        PluginError: for a step that breaks the contract.
    """
    n, m = len(queries), len(models)
    bought = Bought.nothing(n, m)
    asked = np.zeros((n, m), dtype=np.int8)
    answer = np.full(n, -1, dtype=np.int64)
    confidence = np.full(n, np.nan)
    reason = np.full(n, "", dtype=object)
    current, rounds = np.arange(n), 0
    while len(current):
        rounds += 1
        ask = np.zeros((len(current), m), dtype=np.bool_)
        for start in range(0, len(current), CHUNK):
            rows = current[start : start + CHUNK]
            known = bought.take(rows)
            steps = check_steps(step(queries.take(rows), known), bought.take(rows), models)
            ask[start : start + CHUNK] = steps.ask
            answer[rows] = steps.answer
            ended = steps.answer >= 0
            if steps.confidence is not None:
                confidence[rows[ended]] = steps.confidence[ended]
            if steps.reason is not None:
                reason[rows[ended]] = steps.reason[ended]
        going = answer[current] < 0
        current, ask = current[going], ask[going]
        if not len(current):
            break
        bought.put(current, ask, source.buy(current, ask))
        asked[current] = np.where(ask, np.int8(rounds), asked[current])
        current = current[~_without_answer(current, asked, bought, answer)]
    known_confidence = None if np.isnan(confidence).any() else confidence
    return Stepped(answer, asked, bought, known_confidence, reason if any(reason) else None)


def check_steps(steps: Any, bought: Bought, models: tuple[str, ...]) -> Steps:
    """Return the steps in canonical types; raise `PluginError` where they break the contract."""
    if not isinstance(steps, Steps):
        raise PluginError(f"step returned {type(steps).__name__}, expected Steps")
    n, m = bought.asked.shape
    ask, answer = np.asarray(steps.ask), np.asarray(steps.answer)
    if ask.shape != (n, m) or ask.dtype != np.bool_:
        raise PluginError(f"ask is {ask.dtype} {ask.shape}, expected bool ({n}, {m})")
    if answer.shape != (n,) or not np.issubdtype(answer.dtype, np.integer):
        raise PluginError(f"answer is {answer.dtype} {answer.shape}, expected integers ({n},)")
    if n and (answer.min() < -1 or answer.max() >= m):
        raise PluginError(f"answer has {answer.min()} to {answer.max()}, expected -1 to {m - 1}")
    stops, asks = answer >= 0, ask.any(axis=1)
    if (stops & asks).any():
        raise PluginError("step asks and stops for one query", "answer is -1 where it asks")
    if not (stops | asks).all():
        raise PluginError(
            "step neither asks nor stops for a query", "ask a model, or stop with an answer"
        )
    if (again := ask & bought.asked).any():
        raise PluginError(f"step asks {_named(again, models)} twice for one query")
    given = np.zeros((n, m), dtype=np.bool_)
    given[stops, answer[stops]] = True
    if (unbought := given & ~bought.asked).any():
        name = _named(unbought, models)
        raise PluginError(f"step stops with an answer of {name} that it never bought")
    if (missing := given & ~bought.answered).any():
        raise PluginError(
            f"step stops with {_named(missing, models)}, whose answer did not come",
            "bought.answered says which answers came",
        )
    return Steps(
        ask,
        answer.astype(np.int64),
        _confidence(steps.confidence, stops),
        _reason(steps.reason, n),
    )


def _without_answer(current: Ints, asked: Any, bought: Bought, answer: Ints) -> Mask:
    """Return which queries end because nobody of the pool answered; they get the first asked."""
    lost: Mask = (asked[current] > 0).all(axis=1) & ~bought.answered[current].any(axis=1)
    answer[current[lost]] = asked[current[lost]].argmin(axis=1)
    return lost


def _named(cells: Mask, models: tuple[str, ...]) -> str:
    return repr(models[int(np.nonzero(cells)[1][0])])


def _confidence(value: Any, stops: Mask) -> Any:
    if value is None:
        return None
    array = np.array(value, dtype=np.float64)
    if array.shape != stops.shape:
        raise PluginError(f"confidence has shape {array.shape}, expected {stops.shape}")
    there = array[stops]
    if not ((there >= 0) & (there <= 1)).all():
        raise PluginError("confidence is outside [0, 1] where step stops")
    return array


def _reason(value: Any, n: int) -> Strings | None:
    if value is None:
        return None
    array = np.asarray(value, dtype=object)
    if array.shape != (n,) or not all(item is None or isinstance(item, str) for item in array):
        raise PluginError(f"reason must hold {n} strings")
    return np.array([item or "" for item in array], dtype=object)
