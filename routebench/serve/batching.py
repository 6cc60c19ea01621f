"""Routing beside the event loop: requests that come while one is routed are routed together."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.board.trained import TrainedRouter
from routebench.plugin.optional import KeepsBudget
from routebench.records import Decisions

_BATCH = 64
"""Requests that are routed at once, at most."""
_QUICK = 0.003
"""Seconds: a batch that takes no longer is routed in the event loop, as a thread costs more."""
_SLOW = 1.0  # seconds that a batch takes at most, as far as it matters
_LESS, _MORE = 1 / 1.1, 1.1**9  # one step up for nine down: at the 90th percentile
_TURNS = 3
"""Turns of the event loop in which a request that has reached the socket is read."""
_FEW, _SHORT = 8, 8000
"""Queries and characters of a batch that is routed in the event loop, at most."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """A router's decision on one query, and the order of all models after it."""

    choice: str
    order: tuple[str, ...]
    """All models, the chosen one first, the others by what is expected of them."""
    considered: tuple[str, ...]
    """Those that the router may choose."""
    quality: Mapping[str, float]
    """What the router expects of each model; empty where it does not say."""
    confidence: float | None
    policy: str | None
    reason: str
    seconds: float
    """The router's own time; that of the batch, where several were routed at once."""


@dataclass(slots=True)
class _Waiting:
    text: str
    user: str | None
    point: str | None
    ranking: asyncio.Future[Ranking]


class BatchedRouter:
    """Ranks the models for a text; a router is never asked twice at once.

    It is asked in a thread of its own, unless it is quick and the texts are few and short.

    Args:
        at: The router by operating point; None is its own choice.
        spent: Returns what is spent of a budget, for a router that keeps to one.
        usual: Seconds that few queries take at any point. It follows those that later ones take.
    """

    def __init__(
        self,
        at: Mapping[str | None, TrainedRouter],
        spent: Any = None,
        usual: float = math.inf,
    ) -> None:
        self._at, self._spent = at, spent
        self._usual = dict.fromkeys(at, usual)
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._alone = True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="routing")

    async def rank(
        self, text: str, point: str | None, user: str | None = None, alone: bool = True
    ) -> Ranking:
        """Return the models for a text and who asks, the best one first.

        `alone`: no other request is under way, so none is waited for.

        Raises:
            Exception: whatever the router raises.
        """
        loop = asyncio.get_running_loop()
        one = _Waiting(text, user, point, loop.create_future())
        self._waiting.append(one)
        self._alone = alone
        if not self._busy:
            self._busy = True
            loop.call_soon(self._gather, loop, 0, 0)
        return await one.ranking

    def close(self) -> None:
        """End the thread once it is idle."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _gather(self, loop: asyncio.AbstractEventLoop, before: int, turns: int) -> None:
        """Route what is waiting once no more has come in some turns of the event loop."""
        waiting = len(self._waiting)
        if waiting > before:
            turns = 0 if self._alone else _TURNS
        if turns and waiting < _BATCH:
            loop.call_soon(self._gather, loop, waiting, turns - 1)
        else:
            self._next(loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        short = len(batch) <= _FEW and sum(len(one.text) for one in batch) <= _SHORT
        if short and sum(self._usual[point] for point in {one.point for one in batch}) <= _QUICK:
            self._ended(loop, batch, self._route(batch))
            return
        work = loop.run_in_executor(self._thread, self._route, batch)
        work.add_done_callback(lambda done: self._ended(loop, batch, _found(done, len(batch))))

    def _ended(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[_Waiting],
        found: Sequence[Ranking | BaseException],
    ) -> None:
        for one, ranking in zip(batch, found, strict=True):
            if one.ranking.done():  # the client has gone
                continue
            if isinstance(ranking, BaseException):
                one.ranking.set_exception(ranking)
            else:
                one.ranking.set_result(ranking)
        self._busy = bool(self._waiting)
        if self._busy:
            loop.call_soon(self._next, loop)

    def _route(self, batch: Sequence[_Waiting]) -> list[Ranking | Exception]:
        """Route a batch in the thread; where one text breaks the router, the others do not."""
        rankings: list[Ranking | Exception] = [RuntimeError("not routed")] * len(batch)
        for point in dict.fromkeys(one.point for one in batch):
            rows = [row for row, one in enumerate(batch) if one.point == point]
            found = self._rankings(point, [batch[row] for row in rows])
            for row, ranking in zip(rows, found, strict=True):
                rankings[row] = ranking
        return rankings

    def _rankings(self, point: str | None, batch: Sequence[_Waiting]) -> list[Ranking | Exception]:
        trained = self._at[point]
        try:
            began = time.perf_counter()
            if self._spent is not None and isinstance(trained.router, KeepsBudget):
                assert trained.router.budget is not None
                trained.router.budget.spent = self._spent()
            queries = trained.queries([one.text for one in batch], [one.user for one in batch])
            decisions = trained.route_queries(queries)
            seconds = time.perf_counter() - began
            trained.forget_times()
            if len(batch) <= _FEW:
                self._learn(point, seconds)
            return [rank(trained, decisions, row, seconds) for row in range(len(batch))]
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [ranking for one in batch for ranking in self._rankings(point, [one])]

    def _learn(self, point: str | None, seconds: float) -> None:
        """Note what a batch took, in steps: a moment in which the process does not run is one."""
        known = min(self._usual[point], _SLOW)
        self._usual[point] = known * (_MORE if seconds > known else _LESS)


def _found(
    done: asyncio.Future[list[Ranking | Exception]], asked: int
) -> Sequence[Ranking | BaseException]:
    failed = RuntimeError("routing has ended") if done.cancelled() else done.exception()
    return done.result() if failed is None else [failed] * asked


def rank(trained: TrainedRouter, decisions: Decisions, row: int, seconds: float) -> Ranking:
    """Return one row of a router's decisions as a ranking of its models.

    Behind the chosen model come the others by the expected quality at the point, less what the
    point's trade-off takes off for their cost; where the router does not say what it expects, by
    their mean score in training.
    """
    choice = trained.models[int(decisions.choice[row])]
    quality = _quality(trained, decisions, row)
    worth = _worth(trained, quality)
    others = sorted((m for m in trained.models if m != choice), key=lambda m: (-worth[m], m))
    strings = [
        None if column is None else str(column[row])
        for column in (decisions.policy, decisions.reason)
    ]
    return Ranking(
        choice,
        (choice, *others),
        tuple(m for m in trained.models if not quality or m in quality),
        quality,
        None if decisions.confidence is None else float(decisions.confidence[row]),
        strings[0],
        strings[1] or _reason(trained, choice, quality),
        seconds,
    )


def _quality(trained: TrainedRouter, decisions: Decisions, row: int) -> dict[str, float]:
    if decisions.quality is None:
        return {}
    both = zip(trained.models, np.asarray(decisions.quality[row]).tolist(), strict=True)
    return {model: value for model, value in both if value == value}


def by_training(trained: TrainedRouter) -> tuple[str, ...]:
    """Return the models by their mean score in training; the dearest first where that is alike."""
    facts = trained.description.facts
    score = (facts and facts.mean_score) or {}
    cost = {model: _known(trained.cost.get(model)) for model in trained.models}
    return tuple(sorted(trained.models, key=lambda m: (-(score.get(m) or 0.0), -cost[m], m)))


def _worth(trained: TrainedRouter, quality: Mapping[str, float]) -> dict[str, float]:
    """Return what each model is worth at the point; not considered ones come last."""
    if not quality:
        order = by_training(trained)
        return {model: -float(order.index(model)) for model in order}
    costs = {model: _known(trained.cost.get(model)) for model in trained.models}
    setting = trained.points.named(trained.point) if trained.points and trained.point else None
    slope = setting if isinstance(setting, float) else 0.0
    return {
        model: quality[model] - slope * costs[model] if model in quality else -math.inf
        for model in trained.models
    }


def _known(cost: float | None) -> float:
    return 0.0 if cost is None or math.isnan(cost) else cost


def _reason(trained: TrainedRouter, choice: str, quality: Mapping[str, float]) -> str:
    at = f" at {trained.point}" if trained.point else ""
    if choice in quality:
        return f"predicted quality {quality[choice]:.3f}{at}"
    if trained.point and trained.setting == choice:
        return f"stands in{at}"
    return f"the router's choice{at}"
