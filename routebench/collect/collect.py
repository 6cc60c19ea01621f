"""Collects answers: every call once, stored the moment it returns, within a budget."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from routebench.collect.budget import SpendingBudget
from routebench.collect.calls import BATCH, Outcome, ask_all, ask_batch
from routebench.collect.ledger import Ledger
from routebench.collect.planning import CollectionPlan, TargetModel
from routebench.collect.plausible import guessed_tokens
from routebench.collect.rate_limits import Limits, Pace, Throttle
from routebench.errors import CallError, RoutebenchError
from routebench.records import Reply, Request
from routebench.redact import one_line
from routebench.store.entries import Added, Call
from routebench.store.store import AnswerStore

_AT_ONCE = 32  # calls claimed in one transaction
_BEAT = 20.0  # seconds


class CollectionListener:
    """Receives the events of a collection; this one ignores them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def note(self, text: str) -> None: ...
    def asking(self, target: TargetModel, calls: int) -> None: ...
    def answered(self, target: TargetModel, usd: float | None) -> None: ...
    def failed(self, target: TargetModel, error: CallError) -> None: ...
    def retried(self, target: TargetModel, error: CallError) -> None: ...
    def stopped(self, target: TargetModel, error: CallError) -> None: ...
    def ending(self, calls: int) -> None: ...


@dataclass(slots=True)
class CollectionSummary:
    """The totals and incidents of one collection that the store does not keep."""

    answered: int = 0
    failed: int = 0
    usd: float = 0.0
    """Paid in this collection."""
    attempts: int = 0
    doubtful: int = 0
    """Attempts without an answer that may have been charged."""
    doubtful_usd: float = 0.0
    """What they cost at most, and answers of unknown cost."""
    recovered: int = 0
    """Calls recovered from dead processes: they may have been paid without an answer."""
    short: bool = False
    """Whether the budget ended it."""
    interrupted: bool = False
    """Whether Ctrl-C ended it."""
    stopped: dict[str, CallError] = field(default_factory=dict)
    """Models that are not asked any more, and why."""
    reasons: dict[str, str] = field(default_factory=dict)
    """The message of a model's last failed call."""
    empty: int = 0
    """Answers without any text that are no refusals."""
    guessed_usd: float = 0.0
    """What answers of unknown cost come to by the lengths of their texts; it is in no sum."""


def collect(
    plan: CollectionPlan, limits: Limits, budget: float | None, listener: CollectionListener
) -> CollectionSummary:
    """Ask the questions that the store has no answer to; earlier failures are asked again.

    Ctrl-C lets the calls under way end and be stored; a second one ends the process at once, and
    what was under way counts as interrupted.

    Raises:
        RoutebenchError: for a store that cannot be written; whatever was stored stays.
    """
    return asyncio.run(_Collection(plan, limits, budget, listener).run())


class _Collection:
    def __init__(
        self,
        plan: CollectionPlan,
        limits: Limits,
        budget: float | None,
        listener: CollectionListener,
    ) -> None:
        self.plan, self.limits, self.listener = plan, limits, listener
        self.budget = SpendingBudget(budget)
        self.done = CollectionSummary()
        self._rates: dict[str, Pace] = {}
        self._lanes: list[_Lane] = []

    async def run(self) -> CollectionSummary:
        self._lanes = [self._lane(target) for target in self.plan.targets]
        with self._hearing():
            try:
                await self._open()
                beat = asyncio.create_task(self._beat())
                try:
                    await self._ask()
                finally:
                    beat.cancel()
            finally:
                for lane in self._lanes:
                    await lane.ledger.close()
                for plugin in {id(t.plugin): t.plugin for t in self.plan.targets}.values():
                    await _close(plugin)
        self.done.short = self.budget.short
        self.done.doubtful_usd = self.budget.doubtful
        return self.done

    def _lane(self, target: TargetModel) -> _Lane:
        rate = self._rates.setdefault(target.provider, Pace(self.limits.rate))
        return _Lane(self, target, Ledger(self.plan.store), Throttle(self.limits, rate))

    async def _open(self) -> None:
        """Add all calls to the store; make those of dead processes and failed ones pending."""
        for place, lane in enumerate(self._lanes):
            questions = self.plan.questions if not place else ()
            calls = self.plan.calls(lane.target)
            add = partial(AnswerStore.add, suite=self.plan.suite, questions=questions, calls=calls)
            added = await lane.ledger.do(add)
            if not place:
                self._note_other_questions(added)
                self.done.recovered += await lane.ledger.do(AnswerStore.recover)
            await lane.ledger.do(AnswerStore.retry)
            self.budget.read(await lane.ledger.do(AnswerStore.spent))
        if self.done.recovered:
            self.listener.note(
                f"{self.done.recovered} calls were under way when an earlier collection ended:"
                " they are asked again, and may have been paid twice"
            )

    def _note_other_questions(self, added: Added) -> None:
        """Note the store's changed questions, and other questions that a run would take too."""
        name, suite = self.plan.store.name, self.plan.suite
        if added.changed:
            self.listener.note(
                f"{added.changed:,} questions had another text under the same id in {name}: answers"
                " to that are kept, and belong to no question now; --store keeps files apart"
            )
        if added.others:
            self.listener.note(
                f"{name} holds {added.others:,} other questions of {suite}: a run takes all of them"
            )

    async def _ask(self) -> None:
        """Run all lanes at a time, but one after another where a provider takes batches."""
        groups: dict[str, list[_Lane]] = {}
        for lane in self._lanes:
            name = lane.target.name if lane.target.live else lane.target.provider
            groups.setdefault(name, []).append(lane)

        async def each(lanes: list[_Lane]) -> None:
            for lane in lanes:
                await lane.run()

        tasks = [asyncio.create_task(each(lanes)) for lanes in groups.values()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if any(task.exception() for task in done):
                self.stop()  # the others end what they have begun
            await asyncio.gather(*tasks)
        finally:
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Start no further call."""
        self.budget.close()
        for lane in self._lanes:
            lane.throttle.stop()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            for lane in self._lanes:
                with contextlib.suppress(RoutebenchError):  # the next answer raises it again
                    await lane.ledger.do(AnswerStore.beat)

    @contextlib.contextmanager
    def _hearing(self) -> Iterator[None]:
        """Handle Ctrl-C: the first one stops in an orderly way, the second one at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop, heard = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
        before = {each: signal.getsignal(each) for each in heard}

        def interrupted() -> None:
            for each in heard:
                loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL)
            self.done.interrupted = True
            self.listener.ending(sum(lane.flying for lane in self._lanes))
            self.stop()

        for each in heard:
            loop.add_signal_handler(each, interrupted)
        try:
            yield
        finally:
            for each in heard:
                loop.remove_signal_handler(each)
                signal.signal(each, before[each])


class _Lane:
    """The calls to one model."""

    def __init__(
        self, all_: _Collection, target: TargetModel, ledger: Ledger, throttle: Throttle
    ) -> None:
        self.target, self.ledger, self.throttle = target, ledger, throttle
        self._all, self._budget, self._watch = all_, all_.budget, all_.listener
        self._open: dict[Request, tuple[Call, float]] = {}
        self._sent: set[str] = set()  # keys of calls that may have been charged already
        self._batch = 0

    @property
    def flying(self) -> int:
        """Return the number of calls that have been made and not answered yet."""
        return self._batch or self.throttle.flying

    async def run(self) -> None:
        """Ask until all is asked, or until the model, the budget or the user ends it."""
        try:
            if self.target.live:
                await ask_all(
                    self.target.plugin,
                    self._requests(),
                    limits=self._all.limits,
                    on_reply=self._replied,
                    on_failure=self._failed,
                    on_retry=self._retried,
                    throttle=self.throttle,
                )
            else:
                await self._batches()
        except CallError as error:
            self._all.done.stopped[self.target.name] = error
            self._watch.stopped(self.target, error)
        finally:
            for _, reserved in self._open.values():
                self._budget.release(reserved)
            sent = self._sent & {call.key for call, _ in self._open.values()}
            with contextlib.suppress(RoutebenchError):  # a full disk: `recover` finds them
                await self.ledger.do(lambda store: store.release(sent, sent=True))
                await self.ledger.do(AnswerStore.release)

    async def _claim(self, n: int) -> list[Call]:
        calls = await self.ledger.do(lambda store: store.claim(n))
        if not calls and (recovered := await self.ledger.do(AnswerStore.recover)):
            self._all.done.recovered += recovered
            calls = await self.ledger.do(lambda store: store.claim(n))
        self._budget.read(await self.ledger.do(AnswerStore.spent))
        return calls

    async def _requests(self) -> AsyncIterator[Request]:
        while calls := await self._claim(min(_AT_ONCE, self.throttle.free)):
            for call in calls:
                most = self.target.most_usd(call.prompt)
                if not await self._budget.reserve(most):
                    return
                yield self._opened(call, most)

    def _opened(self, call: Call, reserved: float) -> Request:
        request = Request(call.model, call.prompt, call.sample)
        self._open[request] = call, reserved
        return request

    async def _replied(self, outcome: Outcome) -> None:
        reply = outcome.result
        assert isinstance(reply, Reply)
        call, reserved = self._open[outcome.request]
        cost = self._usd(reply)
        spent = await self.ledger.write(
            lambda store: store.settle(
                call.key,
                reply,
                cost=cost,
                price_id=self.target.price_id,
                latency=outcome.latency,
                attempts=outcome.attempts,
            )
        )
        del self._open[outcome.request]
        self._budget.settle(reserved, spent, cost is not None)
        done = self._count(outcome)
        done.answered += 1
        done.usd += cost or 0.0
        done.empty += not reply.text.strip() and reply.finish != "refused"
        if cost is None:
            done.guessed_usd += self.target.price.usd(*guessed_tokens(call.prompt, reply))
        self._watch.answered(self.target, cost)

    async def _failed(self, outcome: Outcome) -> None:
        error = outcome.result
        assert isinstance(error, CallError)
        self._count(outcome)
        if error.kind == "denied":
            return  # released at the end: the fault is not this call's
        call, reserved = self._open[outcome.request]
        message = one_line(error.message)
        await self.ledger.write(
            lambda store: store.fail(call.key, error.kind, message, attempts=outcome.attempts)
        )
        del self._open[outcome.request]
        if error.kind in ("timeout", "malformed"):
            self._budget.doubt(reserved)
        self._budget.release(reserved)
        self._all.done.failed += 1
        self._all.done.reasons[self.target.name] = message
        self._watch.failed(self.target, error)

    def _retried(self, request: Request, error: CallError) -> None:
        call, reserved = self._open[request]
        if error.kind in ("timeout", "malformed"):
            self._budget.doubt(reserved)
            self._sent.add(call.key)
        self._watch.retried(self.target, error)

    async def _batches(self) -> None:
        with ThreadPoolExecutor(1, self.target.provider) as thread:
            while not self.throttle.stopped and (calls := await self._claim(BATCH)):
                if not (requests := await self._fitting(calls)):
                    return
                self._batch = len(requests)
                loop = asyncio.get_running_loop()
                plugin = self.target.plugin
                outcomes = await loop.run_in_executor(thread, ask_batch, plugin, requests)
                self._batch = 0
                await asyncio.gather(*map(self._ended, outcomes))

    async def _fitting(self, calls: list[Call]) -> list[Request]:
        """Return the calls that the budget allows at once; the others are given back."""
        first, *rest = [(call, self.target.most_usd(call.prompt)) for call in calls]
        if not await self._budget.reserve(first[1]):
            return []
        fitting = [first, *(each for each in rest if self._budget.take(each[1]))]
        requests = [self._opened(*each) for each in fitting]
        away = {call.key for call in calls} - {call.key for call, _ in fitting}
        if away:
            await self.ledger.do(lambda store: store.release(away))
        return requests

    async def _ended(self, outcome: Outcome) -> None:
        failed = isinstance(outcome.result, CallError)
        await (self._failed(outcome) if failed else self._replied(outcome))

    def _count(self, outcome: Outcome) -> CollectionSummary:
        done = self._all.done
        done.attempts += outcome.attempts
        done.doubtful += outcome.doubtful
        return done

    def _usd(self, reply: Reply) -> float | None:
        usd = self.target.price.usd(
            reply.input_tokens, reply.output_tokens, reply.cached_tokens, reply.thinking_tokens
        )
        return None if usd != usd else usd  # NaN: the server does not say what it used


async def _close(plugin: object) -> None:
    close = getattr(plugin, "close", None)
    if close is not None and asyncio.iscoroutine(waiting := close()):
        await waiting
