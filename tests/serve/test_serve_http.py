"""`routebench serve` over HTTP: what passes through, what is added, and who is let in."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import ChatServer
from served import HELLO, KEY, Served, a_run, body, options, serving

from routebench.collect.budget import SpendingBudget
from routebench.serve.metrics import ServeMetrics
from routebench.serve.server import JoinedWrites

httpx = pytest.importorskip("httpx")
for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed)

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory)


@pytest.fixture(scope="module")
def behind() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture(scope="module")
def served(run: Path, behind: ChatServer) -> Iterator[Served]:
    with serving(run, "knn", options(behind.url)) as found:
        yield found


def test_an_answer_says_who_gave_it_what_it_cost_and_why(served: Served) -> None:
    answer = served.post(body())
    assert answer.status_code == 200
    headers, usage = answer.headers, answer.json()["usage"]
    model = headers["x-routebench-model"]
    assert answer.json()["choices"][0]["message"]["content"].startswith(f"{model}: Translate")
    assert headers["x-routebench-reason"].startswith("predicted quality ")
    price = served.gateway.relay.upstreams.models[model].target.price
    assert float(headers["x-routebench-cost-usd"]) == pytest.approx(price.usd(10.0, 5.0))
    assert usage["prompt_tokens"] == 10
    assert usage["routebench"] == {
        "event": headers["x-routebench-event"],
        "model": model,
        "cost_usd": pytest.approx(price.usd(10.0, 5.0)),
        "reason": headers["x-routebench-reason"],
    }


def test_everything_a_client_sends_goes_through_as_it_came(
    served: Served, behind: ChatServer
) -> None:
    messages = [
        {"role": "system", "content": "Be brief. \ud800 \u4e2d"},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "tool", "tool_call_id": "1", "content": "a cat", "unknown": 1.5},
    ]
    sent = body(
        messages=messages,
        tools=[TOOL],
        response_format={"type": "json_object"},
        temperature=0.25,
        seed=12345678901234567,
        nobody_knows={"a": [1, None, True]},
        user="u-1",
    )
    answer = served.client.post(
        f"{served.url}/chat/completions",
        content=json.dumps(sent),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 200
    came = behind.bodies[-1]
    assert came.pop("model") == answer.headers["x-routebench-model"]
    del sent["model"]
    assert came == sent


def test_a_stream_comes_chunk_by_chunk(run: Path) -> None:
    with ChatServer() as server, serving(run, "knn", options(server.url)) as served:
        server.gate = threading.Event()
        sent = body(stream=True, messages=[{"role": "user", "content": "one two three"}])
        with httpx.stream("POST", f"{served.url}/chat/completions", json=sent) as answer:
            assert "x-routebench-cost-usd" not in answer.headers
            model = answer.headers["x-routebench-model"]
            lines = []
            for line in filter(None, answer.iter_lines()):
                lines.append(line)
                server.gate.set()  # the second chunk is sent once the first one is here
    assert server.passed, "the first chunk was kept back"
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    said = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert said == f"{model}: one two three"
    assert server.bodies[-1]["stream_options"] == {"include_usage": True}
    assert served.metrics()[f'routebench_spend_usd_total{{model="{model}"}}'] > 0


def test_a_stream_whose_usage_is_wanted_ends_with_it(served: Served) -> None:
    sent = body(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    answer = served.post(sent)
    lines = [line for line in answer.text.split("\n\n") if line]
    usage = json.loads(lines[-2].removeprefix("data: "))["usage"]
    assert usage["total_tokens"] == 15
    assert usage["routebench"]["model"] == answer.headers["x-routebench-model"]
    assert usage["routebench"]["cost_usd"] > 0


def test_models_are_the_router_its_points_and_its_pool(served: Served) -> None:
    names = [one["id"] for one in served.client.get(f"{served.url}/models").json()["data"]]
    assert names[0] == "routebench"
    assert {"routebench@within-1pp", "routebench@same-accuracy", "acme/general-large"} <= set(names)
    for name in names:
        found = served.client.get(f"{served.url}/models/{name}")
        assert (found.status_code, found.json()["id"]) == (200, name)
        answer = served.post(body(model=name))
        assert answer.status_code == 200
        point = name.partition("@")[2]
        assert answer.headers.get("x-routebench-point", "") == point
        if not name.startswith("routebench"):
            assert answer.headers["x-routebench-model"] == name
    missing = served.client.get(f"{served.url}/models/gpt-0")
    assert missing.json()["error"]["code"] == "model_not_found"


def test_points_decide_as_route_does(served: Served, run: Path) -> None:
    from routebench.board.trained import open_router

    for point in ("within-1pp", "same-accuracy"):
        trained = open_router(run, "knn", point=point)
        for text in ("Write a function that sorts a list.", "Who wrote Emma?"):
            messages = [{"role": "user", "content": text}]
            answer = served.post(body(model=f"routebench@{point}", messages=messages))
            choice = trained.models[int(trained.route([text]).choice[0])]
            assert answer.headers["x-routebench-model"] == choice


def test_a_checkpoint_folder_is_served_as_its_run_is(
    run: Path, behind: ChatServer, tmp_path: Path
) -> None:
    from routebench.board.trained import open_router
    from routebench.deploy.export import export

    export(run, "knn", tmp_path / "checkpoint", point="within-1pp")
    text = "Write a function that sorts a list."
    trained = open_router(run, "knn", point="within-1pp")
    with serving(tmp_path / "checkpoint", None, options(behind.url)) as served:
        answer = served.post(body(messages=[{"role": "user", "content": text}]))
    assert answer.headers["x-routebench-point"] == "within-1pp"
    choice = trained.models[int(trained.route([text]).choice[0])]
    assert answer.headers["x-routebench-model"] == choice
    assert "routebench@most-accurate" in served.gateway.names


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b'{"model": "routebench", "messages": [], "n": NaN}', None),
        (b'{"messages": []}', "model"),
        (b'{"model": "routebench"}', "messages"),
        (b'{"model": "routebench", "messages": []}', "messages"),
        (b'{"model": "routebench", "messages": [1]}', "messages[0]"),
        (b'{"model": "routebench", "messages": [{}]}', "messages[0].role"),
        (b'{"model": "routebench", "messages": [{"role": "user", "content": 1}]}',
         "messages[0].content"),
        (b'{"model": "routebench", "messages": [{"role": "user", "content": [{"text": ""}]}]}',
         "messages[0].content[0]"),
        (b'{"model": "routebench", "messages": [{"role": "user"}], "stream": "yes"}', "stream"),
        (b'{"model": "routebench", "messages": [{"role": "user"}], "n": 0}', "n"),
        (b'{"model": "routebench", "messages": [{"role": "user"}], "max_tokens": "9"}',
         "max_tokens"),
    ],
)  # fmt: skip
def test_what_breaks_the_protocol_is_named(
    served: Served, content: bytes, param: str | None
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = served.client.post(f"{served.url}/chat/completions", content=content, headers=headers)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]


def test_other_pages_have_errors_in_the_same_form(served: Served) -> None:
    for answer, status in (
        (served.client.get(f"{served.url}/nothing"), 404),
        (served.client.get(f"{served.url}/chat/completions"), 405),
        (served.post(body(model="gpt-0")), 404),
        (served.client.post(f"{served.url}/chat/completions", content=b"{}"), 415),
    ):
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_body_that_is_too_large_is_refused(run: Path, behind: ChatServer) -> None:
    with serving(run, "knn", options(behind.url), most_bytes=10_000) as served:
        asked = len(behind.bodies)
        for size in (11_000, 39_000, 200_000):
            messages = [{"role": "user", "content": "x" * size}]
            answer = served.post(body(messages=messages))
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "request_too_large"
        assert len(behind.bodies) == asked
        assert served.post(body()).status_code == 200


def test_clients_need_a_key_where_there_are_keys(run: Path, behind: ChatServer) -> None:
    keys = ("client-key-1", "client-key-2")
    with serving(run, "knn", options(behind.url, client_keys=keys), keys=keys) as served:
        root = served.url.removesuffix("/v1")
        assert served.client.get(f"{root}/health").json() == {"status": "ok", "router": "knn"}
        for given in (None, "Bearer nobody", "Bearer", "Basic client-key-1", "client-key-1"):
            headers = {} if given is None else {"Authorization": given}
            for page in (f"{served.url}/models", f"{root}/metrics"):
                assert served.client.get(page, headers=headers).status_code == 401
            answer = served.post(body(), headers=headers)
            assert answer.json()["error"]["code"] == "invalid_api_key"
        for key in keys:
            headers = {"Authorization": f"Bearer {key}"}
            assert served.post(body(), headers=headers).status_code == 200
            assert behind.headers[-1]["authorization"] == f"Bearer {KEY}"


def test_without_keys_a_page_of_another_host_is_not_let_in(served: Served) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""):
        assert served.post(body(), headers={"Host": host}).status_code in (400, 403)
    assert served.post(body(), headers={"Host": "localhost:8000"}).status_code == 200


def test_the_metrics_count(served: Served) -> None:
    before = served.metrics()
    model = served.post(body()).headers["x-routebench-model"]
    served.post(body(messages=None))
    page = served.client.get(served.url.removesuffix("/v1") + "/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    after = served.metrics()
    for name, more in {
        'routebench_requests_total{model="routebench",status="200"}': 1,
        'routebench_requests_total{model="",status="400"}': 1,
        f'routebench_decisions_total{{model="{model}"}}': 1,
        f'routebench_answers_total{{model="{model}"}}': 1,
        f'routebench_tokens_total{{kind="prompt",model="{model}"}}': 10,
        'routebench_errors_total{type="invalid_request_error"}': 1,
        "routebench_request_seconds_count": 1,
        "routebench_route_seconds_count": 1,
    }.items():
        assert after[name] - before.get(name, 0) == more, name
    assert f'routebench_decisions_total{{model="{model}"}}' in page.text
    assert HELLO[0]["content"] not in page.text


def test_models_are_asked_by_the_proxy_of_the_environment(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine models.invalid login a password of-the-netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with ChatServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with serving(run, "knn", options("http://models.invalid/v1")) as served:
            assert served.post(body()).status_code == 200
    (headers,) = proxy.headers
    assert headers["host"] == "models.invalid"
    assert headers["authorization"] == f"Bearer {KEY}"


def test_errors_are_counted_under_names_that_are_known() -> None:
    """Another server's kinds of errors are passed on; as labels they could be without number."""
    metrics = ServeMetrics(SpendingBudget(None), frozenset())
    for kind in ("server_error", "made-up-1", "made-up-2"):
        metrics.error(kind)
    page = metrics.text().decode()
    assert 'routebench_errors_total{type="server_error"} 1.0' in page
    assert 'routebench_errors_total{type="other"} 2.0' in page
    assert "made-up" not in page


def test_what_is_written_in_one_turn_is_sent_together_and_before_the_end() -> None:
    sent: list[bytes] = []

    class Transport:
        closing = False
        write = sent.append

        def is_closing(self) -> bool:
            return self.closing

        def close(self) -> None:
            self.closing = True
            sent.append(b"closed")

    async def write() -> None:
        joined = JoinedWrites(Transport(), asyncio.get_running_loop())
        joined.write(b"head")
        joined.write(b"body")
        assert not sent
        await asyncio.sleep(0)
        joined.write(b"last")
        joined.close()
        joined.write(b"too late")
        await asyncio.sleep(0)

    asyncio.run(write())
    assert sent == [b"headbody", b"last", b"closed"]
