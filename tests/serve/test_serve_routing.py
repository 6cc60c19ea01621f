"""Routing beside the event loop: in batches, and whatever a text does to the router."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from served import a_run, body, options, serving

from routebench.board.trained import open_router
from routebench.records import Decisions, Queries
from routebench.serve.batching import BatchedRouter

BROKEN = "this text breaks the router"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory)


class Watched:
    """A trained router that waits until it may go on, notes its batches, and breaks at a text."""

    def __init__(self, trained: Any) -> None:
        self._trained, self.batches = trained, []
        self.asked, self.may = threading.Event(), threading.Event()
        self.threads: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trained, name)

    def route_queries(self, queries: Queries) -> Decisions:
        self.batches.append([str(text) for text in queries.text])
        self.threads.append(threading.get_ident())
        self.asked.set()
        assert self.may.wait(20)
        if BROKEN in queries.text:
            raise ValueError("what is this?")
        made: Decisions = self._trained.route_queries(queries)
        return made


def test_what_comes_while_one_is_routed_is_routed_together_beside_the_loop(run: Path) -> None:
    trained = Watched(open_router(run, "knn"))
    texts = [f"Write function number {n}." for n in range(11)]

    async def ask() -> list[str]:
        router = BatchedRouter({None: trained})  # type: ignore[dict-item]
        try:
            tasks = [asyncio.create_task(router.rank(texts[0], None))]
            await asyncio.to_thread(trained.asked.wait, 20)
            tasks += [asyncio.create_task(router.rank(text, None)) for text in texts[1:]]
            for _ in range(100):
                await asyncio.sleep(0)  # the loop goes on while the router is busy
            assert not any(task.done() for task in tasks)
            trained.may.set()
            return [ranking.choice for ranking in await asyncio.gather(*tasks)]
        finally:
            router.close()

    choices = asyncio.run(ask())
    assert trained.batches == [texts[:1], texts[1:]]
    alone = open_router(run, "knn").route(texts)
    assert choices == [trained.models[int(at)] for at in alone.choice]


def test_a_quick_router_is_asked_in_the_loop_unless_texts_are_long_or_many(run: Path) -> None:
    trained = Watched(open_router(run, "knn"))
    trained.may.set()

    async def ask(usual: float) -> list[bool]:
        router = BatchedRouter({None: trained}, usual=usual)  # type: ignore[dict-item]
        try:
            for texts in (["Who wrote Emma?"] * 2, ["x" * 50_000], ["Who wrote Emma?"] * 9):
                router._usual[None] = usual
                await asyncio.gather(*(router.rank(text, None) for text in texts))
        finally:
            router.close()
        own, trained.threads = [one == threading.get_ident() for one in trained.threads], []
        return own

    assert asyncio.run(ask(0.0005)) == [True, False, False]
    assert asyncio.run(ask(0.5)) == [False, False, False]
    assert [len(batch) for batch in trained.batches] == 2 * [2, 1, 9]


@pytest.mark.parametrize(("alone", "batches"), [(True, [1, 1]), (False, [2])])
def test_what_is_at_the_socket_is_waited_for_where_others_are_under_way(
    run: Path, alone: bool, batches: list[int]
) -> None:
    trained = Watched(open_router(run, "knn"))
    trained.may.set()

    async def ask() -> None:
        router = BatchedRouter({None: trained}, usual=0.0005)  # type: ignore[dict-item]
        try:
            first = asyncio.create_task(router.rank("Who wrote Emma?", None, alone=alone))
            for _ in range(3):
                await asyncio.sleep(0)
            await asyncio.gather(first, router.rank("What is 17 * 23?", None, alone=alone))
        finally:
            router.close()

    asyncio.run(ask())
    assert [len(batch) for batch in trained.batches] == batches


def test_a_text_that_breaks_the_router_breaks_no_other(run: Path) -> None:
    trained = Watched(open_router(run, "knn"))
    trained.may.set()
    texts = ["Who wrote Emma?", BROKEN, "What is 17 * 23?"]

    async def ask() -> list[Any]:
        router = BatchedRouter({None: trained})  # type: ignore[dict-item]
        try:
            waiting = [router.rank(text, None) for text in (*texts, *texts)]
            return await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            router.close()

    found = asyncio.run(ask())
    assert [isinstance(one, Exception) for one in found] == 2 * [False, True, False]


def test_the_others_come_by_quality_less_what_the_point_takes_off(run: Path) -> None:
    async def order(point: str | None, text: str) -> Any:
        router = BatchedRouter({point: open_router(run, "knn", point=point)})
        try:
            return await router.rank(text, point)
        finally:
            router.close()

    text = "Who wrote Emma?"
    ranking = asyncio.run(order(None, text))
    quality = [ranking.quality[model] for model in ranking.order[1:]]
    assert quality == sorted(quality, reverse=True)
    trained = open_router(run, "knn", point="within-1pp")
    assert trained.points is not None
    ranking = asyncio.run(order("within-1pp", text))
    assert ranking.choice == trained.models[int(trained.route([text]).choice[0])]
    slope = trained.points.named("within-1pp")
    if isinstance(slope, float):
        worth = {m: q - slope * (trained.cost[m] or 0.0) for m, q in ranking.quality.items()}
        rest = [worth[model] for model in ranking.order[1:]]
        assert rest == sorted(rest, reverse=True)
    else:
        facts = trained.description.facts
        assert facts is not None
        assert facts.mean_score is not None
        scores = [facts.mean_score[model] or 0.0 for model in ranking.order[1:]]
        assert scores == sorted(scores, reverse=True)


def test_a_client_gets_an_answer_even_where_the_router_fails(run: Path) -> None:
    for needed in ("httpx", "starlette", "uvicorn", "prometheus_client"):
        pytest.importorskip(needed)
    with ChatServer() as server, serving(run, "knn", options(server.url)) as served:
        router = served.gateway.router
        assert router is not None
        watched = Watched(router._at[None])
        watched.may.set()
        router._at = {**router._at, None: watched}  # type: ignore[dict-item]
        answer = served.post(body(messages=[{"role": "user", "content": BROKEN}]))
        assert answer.status_code == 200
        assert answer.headers["x-routebench-reason"] == ("the router could not decide (ValueError)")
        assert answer.headers["x-routebench-model"] == served.gateway.default[0]
        assert served.metrics()["routebench_routing_errors_total"] == 1
