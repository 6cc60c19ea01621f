"""Routers that see answers behind `routebench serve`: asked step by step, one answer is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chat_server import ChatServer
from once import once
from runs import finish
from served import HELLO, body, logged, serving

from routebench.errors import OptionError
from routebench.serve.assembled import ServeOptions

pytest.importorskip("httpx")
for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed)

IN_TURN = f"{Path(__file__).parents[1] / 'steppers.py'}:AskInTurn"
MODELS = ("sim-flash", "sim-lore", "sim-mini", "sim-nano", "sim-pro", "sim-think")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        router = (IN_TURN, "best-single")
        finish(folder / "run", suite="simpleqa", router=router, perturb=0)

    return once(tmp_path_factory, "stepped run", make) / "run"


def options(server: ChatServer, folder: Path, **given: object) -> ServeOptions:
    from routebench.prices.listed import load_file

    prices = folder / "prices.toml"
    lines = "input_usd_per_mtok = 1.0\noutput_usd_per_mtok = 4.0\n"
    prices.write_text("".join(f"[{model}]\n{lines}" for model in MODELS))
    values = {"openai": {"base_url": server.url}}
    log = folder / "log.jsonl"
    return ServeOptions(["openai"], values, load_file(prices), log=log, timeout=20, **given)  # type: ignore[arg-type]


def test_models_are_asked_until_it_stops_and_that_answer_is_given(
    run: Path, tmp_path: Path
) -> None:
    with (
        ChatServer(says="Paris") as server,
        serving(run, IN_TURN, options(server, tmp_path)) as served,
    ):
        answer = served.post(body(temperature=0.5))
        assert [each["model"] for each in server.bodies] == ["sim-flash", "sim-lore"]
        assert {each["temperature"] for each in server.bodies} == {0.5}
        found = answer.json()
        assert (found["model"], found["choices"][0]["message"]["content"]) == ("sim-lore", "Paris")
        one = (10 * 1.0 + 5 * 4.0) / 1e6
        assert found["usage"]["routebench"]["cost_usd"] == pytest.approx(2 * one)
        assert answer.headers["x-routebench-reason"] == "agreed"
        streamed = served.post(body(stream=True, stream_options={"include_usage": True}))
        chunk, usage, end, _ = streamed.text.split("\n\n")
        assert json.loads(chunk[6:])["choices"][0]["delta"]["content"] == "Paris"
        assert json.loads(usage[6:])["usage"]["routebench"]["model"] == "sim-lore"
        assert end == "data: [DONE]"
        assert all("stream" not in each for each in server.bodies)
        direct = served.post(body(model="sim-pro", stream=True))
        assert direct.headers["x-routebench-model"] == "sim-pro"
    whole, stream, _ = logged(tmp_path / "log.jsonl")
    for event in (whole, stream):
        assert (event["chosen"], event["answered_by"]) == ("sim-lore", "sim-lore")
        assert [call["model"] for call in event["calls"]] == ["sim-flash", "sim-lore"]
        assert event["propensity"] is None, "no model was chosen before the answers"


def test_a_model_that_fails_is_no_answer_and_the_router_goes_on(run: Path, tmp_path: Path) -> None:
    lost = {"sim-flash", "sim-mini"}
    error = {"error": {"message": "gone"}}
    with (
        ChatServer(
            says="Paris", script=lambda asked, _: (404, error) if asked["model"] in lost else None
        ) as server,
        serving(run, IN_TURN, options(server, tmp_path)) as served,
    ):
        answer = served.post(body())
        assert answer.headers["x-routebench-model"] == "sim-nano"
        assert answer.headers["x-routebench-fallbacks"] == "sim-flash, sim-mini"
        lost |= set(MODELS)
        answer = served.post(body())
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_denied")


def test_many_at_once_within_the_budget(run: Path, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with (
        ChatServer(0.01, says="Paris") as server,
        serving(run, IN_TURN, options(server, tmp_path, budget=0.005)) as served,
    ):
        sent = body(max_tokens=10)
        with ThreadPoolExecutor(8) as pool:
            statuses = set(pool.map(lambda _: served.post(sent).status_code, range(100)))
        budget = served.gateway.relay.budget
        assert statuses == {200, 429}
        assert 0 < budget.spent <= 0.005
        assert budget.reserved == 0
        assert server.most_open > 1


def test_it_explores_nothing(run: Path, tmp_path: Path) -> None:
    with (
        ChatServer() as server,
        pytest.raises(OptionError, match="chooses by answers"),
        serving(run, IN_TURN, options(server, tmp_path, explore=0.1)),
    ):
        raise AssertionError(HELLO)
