"""Collecting into a store: every call once, in the right state, whatever happens on the way."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import hears_ctrl_c

from routebench.collect import ledger as ledgers
from routebench.collect.collect import CollectionListener, CollectionSummary, collect
from routebench.collect.planning import CollectionPlan, TargetModel
from routebench.collect.rate_limits import Limits
from routebench.errors import CallError, DataError
from routebench.hookspecs import StoredQuestion
from routebench.prices.apply import ModelPrice
from routebench.records import Answers, Reply, Request
from routebench.store.call_counts import CallCounts, count_calls
from routebench.store.store import AnswerStore

PRICE = ModelPrice.model_validate({"input_usd_per_mtok": 1000.0, "output_usd_per_mtok": 1000.0})
QUICK = Limits(timeout=5.0, attempts=3, patience=0.001)


class Live:
    """A live provider that answers at once, `said` permitting, and remembers what it was asked."""

    def __init__(
        self, said: Callable[[Request, int], str | CallError] | None = None, seconds: float = 0.0
    ) -> None:
        self.said, self.seconds = said, seconds
        self.asked: Counter[Request] = Counter()
        self.closed = 0
        self.open = self.most = 0
        self.confidence = float("nan")

    def parameters(self) -> dict[str, Any]:
        return {"max_output_tokens": 10, "temperature": 0.0}

    async def ask(self, request: Request) -> Reply:
        n = self.asked[request]
        self.asked[request] += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.open -= 1
        found = self.said(request, n) if self.said else f"re: {request.prompt} #{request.sample}"
        if isinstance(found, CallError):
            raise found
        return Reply(found, 4.0, 2.0, confidence=self.confidence)

    async def close(self) -> None:
        self.closed += 1


class Batch:
    """A provider that answers in batches; the prompt `q1` gets no answer."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def answer(self, asked: Sequence[Request]) -> Answers:
        self.sizes.append(len(asked))
        text = tuple(None if one.prompt == "q1" else "yes" for one in asked)
        counts = np.full(len(asked), 2.0)
        return Answers(text, counts, counts, note=tuple("no gpu" for _ in asked))


class Heard(CollectionListener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.failures: list[str] = []
        self.again: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def failed(self, target: TargetModel, error: CallError) -> None:
        self.failures.append(error.message)

    def retried(self, target: TargetModel, error: CallError) -> None:
        self.again.append(error.kind)


def plan_of(
    store: Path, n: int, samples: int = 1, *, parameters: Any = None, **plugins: Any
) -> CollectionPlan:
    """n questions to models named like the keywords."""
    questions = tuple(StoredQuestion(f"id{i}", f"q{i}", f"q{i}", "yes") for i in range(n))
    known = {"max_output_tokens": 10} if parameters is None else parameters
    targets = tuple(
        TargetModel("fake", name, plugin, known, PRICE, "list-1")
        for name, plugin in plugins.items()
    )
    return CollectionPlan("facts", questions, targets, samples, store)


def go(
    plan: CollectionPlan, budget: float | None = None, watch: Any = None, limits: Limits = QUICK
) -> Any:
    return collect(plan, limits, budget, watch or CollectionListener())


def found(plan: CollectionPlan, model: str) -> CallCounts:
    (target,) = [one for one in plan.targets if one.model == model]
    return count_calls(plan.store, plan.calls(target))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def test_every_call_once_and_nothing_again(store: Path) -> None:
    live, batch = Live(), Batch()
    plan = plan_of(store, 30, 3, a=live, b=batch)
    done = go(plan)
    assert done.answered == 90 + 87
    assert done.failed == 3
    assert set(live.asked.values()) == {1}
    assert {request.sample for request in live.asked} == {0, 1, 2}
    assert done.usd == pytest.approx((90 * 6 + 87 * 4) / 1000)
    assert found(plan, "a").states == Counter(answered=90)
    with AnswerStore(store) as opened:
        assert opened.check() == []
        assert opened.spent() == pytest.approx(done.usd)
        table = opened.table("facts")
        assert set(table["sample"].to_pylist()) == {0, 1, 2}
    again = go(plan)
    assert (again.answered, again.failed) == (0, 3)
    assert sum(live.asked.values()) == 90
    assert live.closed == 2


def test_failures_are_told_counted_and_asked_again_next_time(store: Path) -> None:
    healthy = False

    def said(request: Request, n: int) -> str | CallError:
        if request.prompt == "q3" and not healthy:
            return CallError("server", "HTTP 500")
        if request.prompt == "q5" and not healthy:
            return CallError("rejected", "too \x1b[31mlong")
        return "fine" if n or request.prompt != "q7" else CallError("rate-limited", "slow down")

    watch = Heard()
    plan = plan_of(store, 10, a=Live(said))
    done = go(plan, watch=watch)
    assert (done.answered, done.failed) == (8, 2)
    assert done.attempts == 8 + 1 + 3 + 1
    assert sorted(watch.failures) == ["HTTP 500", "too \x1b[31mlong"]
    assert Counter(watch.again) == Counter({"server": 2, "rate-limited": 1})
    row = found(plan, "a")
    assert row.states == Counter(answered=8, failed=2)
    assert +row.errors == Counter(server=1, rejected=1)
    healthy = True
    assert go(plan).answered == 2
    assert found(plan, "a").states == Counter(answered=10)


def test_a_denied_model_stops_and_the_others_go_on(store: Path) -> None:
    no = Live(lambda request, n: CallError("denied", "HTTP 401: bad key", "set SOME_KEY"))
    plan = plan_of(store, 50, a=Live(), b=no, c=Live())
    done = go(plan)
    assert set(done.stopped) == {"fake:b"}
    assert done.stopped["fake:b"].hint == "set SOME_KEY"
    assert found(plan, "a").states == found(plan, "c").states == Counter(answered=50)
    assert found(plan, "b").states == Counter(pending=50)


def test_the_budget_ends_it_and_a_larger_one_goes_on(store: Path) -> None:
    live = Live()
    plan = plan_of(store, 40, a=live)
    most = plan.targets[0].most_usd("q0")
    done = go(plan, budget=most + 10.5 * 0.006)
    assert done.short
    assert done.answered == 11
    assert found(plan, "a").states == Counter(answered=11, pending=29)
    assert go(plan, budget=most + 10.5 * 0.006).answered == 0
    assert go(plan, budget=100.0).answered == 29
    assert set(live.asked.values()) == {1}


def test_a_budget_holds_for_batches_too(store: Path) -> None:
    batch = Batch()
    plan = plan_of(store, 60, a=batch)
    most = plan.targets[0].most_usd("q59")
    done = go(plan, budget=2.5 * most)
    assert done.short
    assert batch.sizes[0] == 2
    with AnswerStore(store) as opened:
        assert 1.5 * most - 0.004 <= opened.spent() <= 2.5 * most
    assert go(plan).answered == 59 - done.answered


@pytest.mark.slow
def test_two_hundred_collections_keep_their_budget(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(200):
        lengths = rng.integers(1, 11, size=25)

        class Random(Live):
            async def ask(self, request: Request, lengths: Any = lengths) -> Reply:
                await super().ask(request)
                if rng.random() < 0.1:
                    raise CallError(str(rng.choice(["server", "rejected", "timeout"])), "no")
                return Reply("x", 2.0, float(lengths[int(request.prompt[1:])]))

        plan = plan_of(tmp_path / f"{number}.sqlite", 25, a=Random(), b=Random())
        budget = float(rng.uniform(0.05, 0.6))
        most = plan.targets[0].most_usd("q10")
        done = go(plan, budget=budget, limits=Limits(attempts=2, patience=0.0001))
        with AnswerStore(plan.store) as opened:
            assert opened.spent() <= budget + 1e-9
            over = opened.spent() + done.doubtful_usd - budget
            assert over <= most * done.doubtful + 1e-9
            assert opened.spent() == pytest.approx(done.usd)
            if done.short:
                assert opened.spent() + done.doubtful_usd + most > budget
            assert opened.counts()["in_flight"] == 0


def test_answers_of_unknown_cost_are_kept_and_said(store: Path) -> None:
    class Mute(Live):
        async def ask(self, request: Request) -> Reply:
            return Reply("x")

    plan = plan_of(store, 5, a=Mute())
    done = go(plan)
    row = found(plan, "a")
    assert (row.states["answered"], row.unpriced, row.usd) == (5, 5, 0.0)
    assert done.doubtful_usd == pytest.approx(
        sum(plan.targets[0].most_usd(f"q{i}") for i in range(5))
    )


def test_calls_of_a_dead_process_are_taken_over_and_counted(store: Path) -> None:
    plan = plan_of(store, 20, a=Live())
    killed = os.fork()
    if not killed:
        held = AnswerStore(store)
        held.add("facts", plan.questions, plan.calls(plan.targets[0]))
        held.claim(6)
        os._exit(0)
    os.waitpid(killed, 0)
    watch = Heard()
    done = go(plan, watch=watch)
    assert (done.answered, done.recovered) == (20, 6)
    assert "6 calls were under way" in watch.notes[0]


def test_two_collectors_share_a_store(store: Path) -> None:
    live = Live(seconds=0.01)
    plan = plan_of(store, 300, a=live)
    results: list[CollectionSummary] = []
    limits = Limits(concurrency=5)
    workers = [
        threading.Thread(target=lambda: results.append(go(plan, limits=limits))) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert set(live.asked.values()) == {1}
    assert sum(result.answered for result in results) == 300
    assert all(result.answered > 30 for result in results)
    with AnswerStore(store) as opened:
        assert opened.info().twice == 0


def test_ctrl_c_stores_what_is_under_way_and_gives_the_rest_back(store: Path) -> None:
    hears_ctrl_c()

    class Struck(Live):
        async def ask(self, request: Request) -> Reply:
            if sum(self.asked.values()) == 20:
                os.kill(os.getpid(), signal.SIGINT)
            return await super().ask(request)

    live = Struck(seconds=0.2)
    plan = plan_of(store, 200, a=live)
    done = go(plan)
    assert done.interrupted
    assert 0 < done.answered == sum(live.asked.values()) < 200
    assert found(plan, "a").states == Counter(answered=done.answered, pending=200 - done.answered)
    assert go(plan).answered == 200 - done.answered
    assert set(live.asked.values()) == {1}


def test_batches_of_one_provider_are_asked_one_model_at_a_time(store: Path) -> None:
    order: list[str] = []

    class Loads(Batch):
        def answer(self, asked: Sequence[Request]) -> Answers:
            order.extend({one.model for one in asked})
            return super().answer(asked)

    batch = Loads()
    go(plan_of(store, 600, a=batch, b=batch))
    assert order == ["a", "a", "a", "b", "b", "b"]


def test_a_disk_that_is_full_for_a_while_loses_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_PAUSE", 0.01)
    settle, full = AnswerStore.settle, 3

    def settled(self: AnswerStore, *args: Any, **named: Any) -> bool:
        nonlocal full
        if full:
            full -= 1
            raise DataError("store.sqlite: the disk is full")
        return settle(self, *args, **named)

    monkeypatch.setattr(AnswerStore, "settle", settled)
    live = Live()
    plan = plan_of(store, 30, a=live)
    assert go(plan).answered == 30
    full = 10**9
    plan = plan_of(store, 60, a=live)
    with pytest.raises(DataError, match="disk is full"):
        go(plan)
    full = 0
    assert go(plan).answered == 30
    assert sum(live.asked.values()) - len(live.asked) <= 12


ODD = {
    "q0": "\x1b[2J\x1b]0;owned\x07\x1b[31mParis",
    "q1": "<script>alert(1)</script>",
    "q2": "Pa\x00ris\x00",
    "q3": "Paris " * 175_000,
    "q4": "half a pair \ud83d",
    "q5": "[bold red]markup[/] [/nonsense]",
}


def test_odd_answers_are_stored_as_they_came(store: Path) -> None:
    plan = plan_of(store, 6, a=Live(lambda request, n: ODD[request.prompt]))
    go(plan)
    with AnswerStore(store) as opened:
        said = {answer.query: answer.response for answer in opened.answers()}
    assert said == ODD or said == ODD | {"q4": "half a pair ?"}


def test_a_stated_confidence_is_kept_and_exported(tmp_path: Path) -> None:
    sure, silent, out = Live(), Live(), tmp_path / "t.parquet"
    sure.confidence = -0.25
    plan = plan_of(tmp_path / "s.sqlite", 3, sure=sure, silent=silent)
    go(plan)
    with AnswerStore(plan.store, write=False) as store:
        assert store.export(out) == 6
    rows = pq.read_table(out).to_pylist()  # type: ignore[no-untyped-call]
    stated = {(row["model"], row["confidence"]) for row in rows}
    assert stated == {("sure", -0.25), ("silent", None)}
