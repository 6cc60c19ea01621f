"""The log of `routebench serve`: what off-policy evaluation needs, and never a key."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from chat_server import ChatServer
from served import HELLO, KEY, a_run, body, logged, options, serving

from routebench.serve.api_errors import Hidden
from routebench.serve.exploring import draw

pytest.importorskip("httpx")
for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed)

CLIENT_KEY = "client-secret-0123456789"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory)


def test_an_event_says_all_that_the_decision_was_drawn_from(run: Path, tmp_path: Path) -> None:
    place = tmp_path / "new folder" / "log.jsonl"
    with (
        ChatServer() as server,
        serving(run, "knn", options(server.url, log=place, explore=0.2)) as served,
    ):
        plain = served.post(body(user="u-7"))
        served.post(body(model="routebench@within-1pp", metadata={"session_id": "s-1"}))
        served.post(body(model="swift-small", stream=True))
        served.post(body(messages=1))
        served.post(body(model="gpt-0"))
    by_name = {event["requested"]: event for event in logged(place)}
    named = ("routebench", "routebench@within-1pp", "swift-small", "gpt-0")
    first, at_point, direct, unknown = (by_name.pop(name) for name in named)
    assert not by_name
    assert first["event"] == plain.headers["x-routebench-event"]
    assert first["chosen"] == first["answered_by"] == plain.headers["x-routebench-model"]
    assert (first["session"], at_point["session"], direct["session"]) == ("u-7", "s-1", None)
    for event in (first, at_point):
        assert sum(event["probabilities"]) == pytest.approx(1)
        assert len(event["candidates"]) == 4
        by = dict(zip(event["candidates"], event["probabilities"], strict=True))
        assert event["propensity"] == by[event["chosen"]]
        assert by[event["greedy"]] == pytest.approx(0.85)
    assert set(first["quality"]) == set(first["candidates"])
    assert at_point["point"] == "within-1pp"
    assert (direct["candidates"], direct["propensity"]) == (["swift-small"], 1.0)
    assert (direct["stream"], direct["status"]) == (True, 200)
    assert direct["first_s"] <= direct["latency_s"]
    for event in (first, at_point, direct):
        assert event["tokens"] == {
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
        }  # fmt: skip
        assert event["cost_usd"] == pytest.approx(event["calls"][0]["usd"])
        assert event["error"] is None
        assert "messages" not in event
    assert (unknown["status"], unknown["error"]) == (404, "model_not_found")
    assert len({event["policy_version"] for event in (first, at_point, direct)}) == 1
    assert HELLO[0]["content"] not in place.read_text()


def test_exploration_draws_as_its_log_says(run: Path, tmp_path: Path) -> None:
    place, n = tmp_path / "log.jsonl", 60
    chosen = {"log": place, "explore": 0.4, "seed": 3}
    with ChatServer() as server, serving(run, "knn", options(server.url, **chosen)) as served:
        answers = [served.post(body()) for _ in range(n)]
        explored = served.metrics()["routebench_explored_total"]
    events = logged(place)
    assert explored == sum(event["explored"] for event in events) > 0
    for event, answer in zip(events, answers, strict=True):
        assert event["explored"] == ("x-routebench-explored" in answer.headers)
        assert event["chosen"] == answer.headers["x-routebench-model"]
        by = dict(zip(event["candidates"], event["probabilities"], strict=True))
        assert by[event["chosen"]] == event["propensity"]
        assert event["propensity"] == pytest.approx(
            0.7 if event["chosen"] == event["greedy"] else 0.1
        )
        assert event["explored"] or event["chosen"] == event["greedy"]


def test_models_are_drawn_as_often_as_their_probabilities_say() -> None:
    source, n = random.Random(0), 4000
    drawn = [draw("b", ["a", "b", "c"], 0.3, source) for _ in range(n)]
    times = Counter(one.model for one in drawn)
    for model, share in drawn[0].probabilities.items():
        # Five standard errors: with this seed it is one draw, and far from the bound.
        assert abs(times[model] / n - share) < 5 * (share * (1 - share) / n) ** 0.5
    # Weighted by propensity a log stands for any policy: here for one that always asks `c`.
    worth = {"a": 0.2, "b": 0.9, "c": 0.6}
    value = sum((one.model == "c") * worth[one.model] / one.propensity for one in drawn) / n
    assert value == pytest.approx(worth["c"], abs=0.05)


def test_without_exploration_nothing_is_drawn() -> None:
    drawn = draw("b", ["a", "b"], 0.0, random.Random(0))
    assert (drawn.model, drawn.explored, drawn.propensity) == ("b", False, 1.0)
    always = [draw("b", ["a", "b"], 1.0, random.Random(seed)) for seed in range(40)]
    assert {one.model for one in always} == {"a", "b"}
    assert {one.propensity for one in always} == {0.5}


def test_texts_are_logged_where_asked_for(run: Path, tmp_path: Path) -> None:
    place = tmp_path / "log.jsonl"
    with (
        ChatServer() as server,
        serving(run, "knn", options(server.url, log=place, log_texts=True)) as served,
    ):
        served.post(body())
        served.post(body(stream=True))
    whole, streamed = sorted(logged(place), key=lambda event: event["stream"])
    assert whole["messages"] == streamed["messages"] == HELLO
    assert whole["answer"][0]["content"] == streamed["answer"]
    assert streamed["answer"].endswith(HELLO[0]["content"])


def test_a_word_that_stands_for_no_key_is_not_hidden() -> None:
    hidden = Hidden(["none", "password", "", KEY])
    assert hidden.text("none is a password") == "none is a password"
    assert hidden.text(f"it is {KEY}!") == "it is [hidden]!"
    assert hidden.header("caf\u00e9 \u4e2d\n\x1b[2J") == "caf\\xe9 \\u4e2d  [2J"


@pytest.mark.parametrize("texts", [False, True])
def test_no_key_is_in_logs_metrics_headers_or_bodies(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], texts: bool
) -> None:
    """A server quotes its key in answers and errors, a client puts its own everywhere."""
    place = tmp_path / "log.jsonl"
    coded = base64.b64encode(f"Bearer {KEY}".encode()).decode()
    error = {"message": f"wrong key {KEY} {coded}", "type": KEY, "code": KEY, "param": KEY}
    choice = {"index": 0, "message": {"content": f"your key is {KEY}, {coded}"}}
    replies = {
        "quoted": (200, {"id": KEY, "choices": [choice], "usage": {KEY: 1, "prompt_tokens": 3}}),
        "broken": (500, {"error": error}),
        "refused": (400, {"error": error}),
        "denied": (401, {"error": error}),
        "within": (200, {"error": error}),
        "none": None,
    }

    def script(asked: dict, headers: object) -> object:
        return replies[asked["messages"][0]["content"].split()[0]]

    with ChatServer(script=script) as server:
        keys = (CLIENT_KEY,)
        chosen = options(server.url, log=place, log_texts=texts, client_keys=keys)
        with serving(run, "knn", chosen, keys=keys) as served:
            bearer = {"Authorization": f"Bearer {CLIENT_KEY}"}
            pages = []
            for what in replies:
                for stream in (False, True):
                    messages = [{"role": "user", "content": f"{what} {CLIENT_KEY}"}]
                    sent = body(messages=messages, stream=stream, user=CLIENT_KEY)
                    answer = served.post(sent, headers=bearer)
                    text = answer.text
                    if what != "none":  # whoever sends its own key may get it back
                        text = text.replace(CLIENT_KEY, "")
                    pages += [text, str(answer.headers)]
            sent = body(model=CLIENT_KEY)
            pages.append(str(served.post(sent, headers=bearer).headers))
            served.post(body(), headers={"Authorization": f"Bearer {CLIENT_KEY}x"})
            pages.append(served.client.get(
                served.url.removesuffix("/v1") + "/metrics", headers=bearer
            ).text)  # fmt: skip
            assert {each["authorization"] for each in server.headers} == {f"Bearer {KEY}"}
    out, err = capfd.readouterr()
    everything = json.dumps(pages) + place.read_text() + out + err
    assert KEY not in everything
    assert base64.b64encode(KEY.encode()).decode()[4:20] not in everything
    assert CLIENT_KEY not in place.read_text() + out + err + str(pages[1::2])
    assert len(logged(place)) == 2 * len(replies) + 1
