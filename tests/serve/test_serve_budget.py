"""The budget of `routebench serve`: reserved before a call, settled after, never exceeded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from served import HELLO, POLICIED, a_run, body, options, serving

from routebench.records import Reply
from routebench.serve.calls import spending
from routebench.serve.chat import parse

httpx = pytest.importorskip("httpx")
for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory)


def test_many_at_once_never_spend_more_than_the_budget(run: Path) -> None:
    """What is spent, reserved and in doubt is within the budget at every moment."""
    content = body(model="acme/general-large", max_tokens=20)
    with (
        ChatServer(0.005) as server,
        serving(run, "knn", options(server.url, budget=0.01)) as served,
    ):
        budget, seen = served.gateway.relay.budget, []
        take = budget.take

        def watched(usd: float) -> bool:
            taken = take(usd)
            seen.append(budget.spent + budget.reserved + budget.doubtful)
            return taken

        budget.take = watched  # type: ignore[method-assign]

        async def all_at_once() -> list[Any]:
            async with httpx.AsyncClient(timeout=30) as client:
                url = f"{served.url}/chat/completions"
                tasks = [client.post(url, json=content) for _ in range(150)]
                return list(await asyncio.gather(*tasks))

        answers = asyncio.run(all_at_once())
        while served.post(content).status_code == 200:
            pass
        last = served.post(content)
        assert max(seen) <= 0.01 + 1e-12
        assert budget.reserved == 0
        price = served.gateway.relay.upstreams.models["acme/general-large"].target.price
        assert budget.spent == pytest.approx(len(server.bodies) * price.usd(10.0, 5.0))
        assert budget.spent <= 0.01
    codes = {answer.status_code for answer in answers}
    assert codes == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] in ("budget_reserved", "insufficient_quota")
    assert last.json()["error"]["code"] == "insufficient_quota"
    assert last.headers["x-should-retry"] == "false"


def test_what_does_not_fit_goes_to_a_model_that_does(run: Path) -> None:
    with (
        ChatServer() as server,
        serving(run, "knn", options(server.url, budget=0.00012)) as served,
    ):
        models = served.gateway.relay.upstreams.models
        for text in ("Write a function that sorts a list.", "Who wrote Emma?", "What is 17 * 23?"):
            sent = body(max_tokens=20, messages=[{"role": "user", "content": text}])
            raw = httpx.Request("POST", "http://x", json=sent).content
            most = {name: spending.most_usd(model, parse(raw)) for name, model in models.items()}
            assert most["swift-small"] < 0.00012 - 3 * 7.5e-6 < most["codesmith-mid"]
            answer = served.post(sent)
            assert answer.headers["x-routebench-model"] == "swift-small"
        assert {each["model"] for each in server.bodies} == {"swift-small"}
        assert [name for name in served.metrics() if 'reason="budget"' in name]


def test_a_router_that_keeps_to_a_budget_is_told_what_is_spent(run: Path) -> None:
    """From nine tenths on it no longer chooses the dear model."""
    text = next(f"{n} apples" for n in range(9) if sum(map(ord, f"{n} apples")) % 3 == 1)
    sent = body(messages=[{"role": "user", "content": text}], max_tokens=20)
    chosen = []
    for spent in (0.0, 0.89, 0.91):
        with (
            ChatServer() as server,
            serving(run, POLICIED, options(server.url, budget=1.0, spent=spent)) as served,
        ):
            answer = served.post(sent)
            assert answer.headers["x-routebench-reason"] == "it has 8 letters"
            chosen.append(answer.headers["x-routebench-model"])
            assert served.metrics()['routebench_budget_usd{part="spent"}'] > spent
    assert chosen == ["swift-small", "swift-small", "acme/general-large"]


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 8192),
        ({"max_tokens": 7}, 7),
        ({"max_tokens": 7, "max_completion_tokens": 5, "n": 3}, 15),
    ],
)
def test_the_most_that_a_request_may_cost(fields: dict[str, Any], tokens: int) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    messages = [*HELLO, {"role": "user", "content": [picture, {"type": "text", "text": "é"}]}]
    raw = httpx.Request("POST", "http://x", json=body(messages=messages, **fields)).content
    chat = parse(raw)
    assert chat.most_tokens({}, 8192) == tokens
    assert chat.most_tokens({"max_tokens": 3}, 8192) == (3 if not fields else tokens)
    written = len(HELLO[0]["content"]) + len("é".encode())
    assert chat.most_prompt_tokens(4096) >= 4096 + written


def test_a_reservation_is_settled_once() -> None:
    from routebench.collect.budget import SpendingBudget
    from routebench.prices.apply import ModelPrice

    class Target:
        price = ModelPrice(input_usd_per_mtok=1.0, output_usd_per_mtok=1.0)

    class Model:
        target = Target()

    budget = SpendingBudget(1.0)
    assert budget.take(0.5)
    reservation = spending.Reservation(budget, 0.5, Model())  # type: ignore[arg-type]
    assert reservation.settle(Reply("", 100_000.0, 100_000.0)) == pytest.approx(0.2)
    reservation.doubt()
    reservation.release()
    assert (budget.spent, budget.reserved, budget.doubtful) == (pytest.approx(0.2), 0.0, 0.0)
