"""Servers that fail, hang, refuse or die behind `routebench serve`: who answers then."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from served import KEY, Served, a_run, body, logged, options, serving

httpx = pytest.importorskip("httpx")
for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed)

ERROR = {"error": {"message": f"broken, with {KEY}", "type": "server_error", "code": None}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory)


def ranked(served: Served) -> list[str]:
    """Return the models in the order in which they are asked about the usual text."""
    import asyncio

    from served import HELLO

    router = served.gateway.router
    assert router is not None
    return list(asyncio.run(router.rank(HELLO[0]["content"], None)).order)


@pytest.mark.parametrize(
    ("reply", "calls"),
    [
        ((500, ERROR), 2),
        ((503, "no JSON object"), 2),
        ((429, ERROR), 2),
        ((401, ERROR), 1),
        ((404, ERROR), 1),
        ((200, ERROR), 2),
        ((200, {"choices": []}), 1),
        ((200, [1]), 1),
        ("reset", 2),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_is_asked_again_where_that_may_help_and_then_the_next_best(
    run: Path, tmp_path: Path, reply: Any, calls: int, stream: bool
) -> None:
    lost: list[str] = []
    with ChatServer(script=lambda asked, _: reply if asked["model"] in lost else None) as server:
        chosen = options(server.url, log=tmp_path / "log.jsonl")
        with serving(run, "knn", chosen) as served:
            first, second, third, *_ = ranked(served)
            lost += [first, second]
            answer = served.post(body(stream=stream))
            assert answer.status_code == 200
            assert answer.headers["x-routebench-model"] == third
            assert answer.headers["x-routebench-fallbacks"] == f"{first}, {second}"
            asked = [each["model"] for each in server.bodies]
            assert asked == [first] * calls + [second] * calls + [third]
            assert KEY not in answer.text + str(answer.headers)
    (event,) = logged(tmp_path / "log.jsonl")
    assert (event["chosen"], event["answered_by"]) == (first, third)
    assert event["fallbacks"] == [first, second]
    assert event["propensity"] == 1.0
    failed = [name for name in served.metrics() if name.startswith("routebench_fallbacks_total")]
    assert len(failed) == 2


def test_a_request_that_a_server_refuses_is_the_clients(run: Path) -> None:
    said = {"message": "no such tool", "type": "invalid_request_error", "param": "tools"}
    with (
        ChatServer(script=lambda *_: (400, {"error": said | {"code": "bad_tool"}})) as server,
        serving(run, "knn", options(server.url)) as served,
    ):
        answer = served.post(body())
        assert answer.status_code == 400
        assert answer.json()["error"] == said | {"code": "bad_tool"}
        assert len(server.bodies) == 1


def test_a_server_that_hangs_is_left_in_time(run: Path) -> None:
    lost: list[str] = []
    with ChatServer(script=lambda asked, _: "hang" if asked["model"] in lost else None) as server:
        with serving(run, "knn", options(server.url, timeout=0.5)) as served:
            first, second, *_ = ranked(served)
            lost.append(first)
            for stream in (False, True):
                answer = served.post(body(stream=stream))
                assert answer.headers["x-routebench-model"] == second
        assert [each["model"] for each in server.bodies] == [first, second] * 2


def test_where_nobody_answers_the_error_says_so(run: Path) -> None:
    with ChatServer() as server, serving(run, "knn", options(server.url)) as served:
        server.script = lambda *_: (401, ERROR)
        answer = served.post(body())
        # 401 would tell the client that its own key is wrong.
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_denied")
        assert KEY not in answer.text
        server.script = lambda *_: (429, ERROR)
        answer = served.post(body(stream=True))
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
        server.stop()
        answer = served.post(body())
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_server")
        answer = served.post(body(model="codesmith-mid"))
        assert answer.status_code == 502


def test_a_stream_that_breaks_off_ends_with_an_error(run: Path, tmp_path: Path) -> None:
    with ChatServer(script=lambda *_: "cut") as server:
        chosen = options(server.url, log=tmp_path / "log.jsonl", budget=100.0)
        with serving(run, "knn", chosen) as served:
            answer = served.post(body(stream=True))
    budget = served.gateway.relay.budget
    assert budget.doubtful > 0, "what came may be charged"
    assert budget.reserved == 0
    last = json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["type"] == "upstream_error"
    assert "[DONE]" not in answer.text
    (event,) = logged(tmp_path / "log.jsonl")
    assert (event["error"], event["cost_usd"]) == ("server", None)


def test_a_client_that_goes_away_ends_the_call(run: Path, tmp_path: Path) -> None:
    import threading

    chosen = {"log": tmp_path / "log.jsonl", "budget": 100.0}
    with ChatServer() as server, serving(run, "knn", options(server.url, **chosen)) as served:
        server.gate = threading.Event()
        with served.client.stream(
            "POST", f"{served.url}/chat/completions", json=body(stream=True)
        ) as answer:
            next(answer.iter_lines())
        events: list[Any] = []
        for _ in range(500):
            events = logged(tmp_path / "log.jsonl")
            if events:
                break
            time.sleep(0.01)
        server.gate.set()
        budget = served.gateway.relay.budget
        assert (budget.reserved, budget.doubtful > 0) == (0, True)
        assert served.metrics()["routebench_requests_open"] == 0
    assert [(event["status"], event["cost_usd"]) for event in events] == [(499, None)]


def test_a_server_that_knows_no_stream_options_is_asked_without(run: Path) -> None:
    def old(asked: dict[str, Any], headers: Any) -> Any:
        said = {"message": "Unrecognized field: stream_options", "type": "invalid_request_error"}
        return (400, {"error": said}) if "stream_options" in asked else "bare"

    with ChatServer(script=old) as server, serving(run, "knn", options(server.url)) as served:
        for _ in range(2):
            answer = served.post(body(stream=True))
            assert answer.text.endswith("data: [DONE]\n\n")
        assert ["stream_options" in each for each in server.bodies] == [True, False, False]


def test_a_server_that_is_gone_for_a_while_is_asked_again_when_it_is_back(run: Path) -> None:
    # swift-small has a server of its own; for whom it is the choice, others stand in.
    with (
        ChatServer() as first,
        ChatServer() as second,
        serving(run, "knn", options(first.url, second.url)) as served,
    ):
        models = served.gateway.relay.upstreams.models
        own = body(model="swift-small")
        assert served.post(own).status_code == 200
        order = ranked(served)
        gone = second if order[0] == "swift-small" else first
        gone.stop()
        answers = [served.post(body()) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        on = {answer.headers["x-routebench-model"] for answer in answers}
        assert {models[name].target.provider for name in on} == {
            "gemini" if gone is first else "openai"
        }
        gone.start()
        answer = served.post(body())
        assert answer.headers["x-routebench-model"] == order[0]
        assert "x-routebench-fallbacks" not in answer.headers


@pytest.mark.slow
def test_a_server_killed_for_five_seconds_under_load(run: Path) -> None:
    """Every request is answered, none takes long, and afterwards the choice answers again."""
    from concurrent.futures import ThreadPoolExecutor

    with (
        ChatServer(0.02) as first,
        ChatServer(0.02) as second,
        serving(run, "knn", options(first.url, second.url)) as served,
    ):
        gone = second if ranked(served)[0] == "swift-small" else first
        end = time.monotonic() + 7

        def ask(_: int) -> list[int]:
            statuses = []
            while time.monotonic() < end:
                statuses.append(served.post(body()).status_code)
            return statuses

        with ThreadPoolExecutor(5) as pool:
            work = [pool.submit(ask, n) for n in range(5)]
            time.sleep(1)
            gone.stop()
            time.sleep(5)
            gone.start()
            statuses = [status for each in work for status in each.result(30)]
        assert set(statuses) == {200}
        fallbacks = [n for n in served.metrics() if n.startswith("routebench_fallbacks_total")]
        assert fallbacks
        assert "x-routebench-fallbacks" not in served.post(body()).headers
