"""The `openai` library as the client of `routebench serve`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from chat_server import ChatServer
from served import HELLO, Served, a_run, options, serving

openai = pytest.importorskip("openai")
for needed in ("httpx", "starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed)

CLIENT_KEY = "client-key-0123456789"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    run = a_run(tmp_path_factory)
    with (
        ChatServer() as server,
        serving(run, "knn", options(server.url), keys=(CLIENT_KEY,)) as found,
    ):
        yield found


def test_sync(served: Served) -> None:
    with openai.OpenAI(base_url=served.url, api_key=CLIENT_KEY) as client:
        assert "routebench" in [model.id for model in client.models.list()]
        raw = client.chat.completions.with_raw_response.create(model="routebench", messages=HELLO)
        found = raw.parse()
        assert found.choices[0].message.content.endswith(HELLO[0]["content"])
        assert found.usage.total_tokens == 15
        model = raw.headers["x-routebench-model"]
        assert found.usage.model_extra["routebench"]["model"] == model
        tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
        client.chat.completions.create(model="routebench", messages=HELLO, tools=[tool], n=1)
        stream = client.chat.completions.create(
            model="routebench@within-1pp",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
        *chunks, last = stream
        said = "".join(chunk.choices[0].delta.content for chunk in chunks)
        assert said.endswith(HELLO[0]["content"])
        assert last.usage.model_extra["routebench"]["cost_usd"] > 0


def test_async_many_at_once(served: Served) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=served.url, api_key=CLIENT_KEY) as client:

            async def one(number: int) -> str:
                text = f"Question {number}"
                messages = [{"role": "user", "content": text}]
                if number % 2:
                    found = await client.chat.completions.create(
                        model="routebench", messages=messages
                    )
                    return found.choices[0].message.content or ""
                stream = await client.chat.completions.create(
                    model="routebench", messages=messages, stream=True
                )
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return list(await asyncio.gather(*(one(number) for number in range(20))))

    for number, said in enumerate(asyncio.run(ask())):
        assert said.endswith(f"Question {number}")


def test_its_errors_are_understood(served: Served) -> None:
    with (
        openai.OpenAI(base_url=served.url, api_key="another-key-0", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()
    with openai.OpenAI(base_url=served.url, api_key=CLIENT_KEY, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="no model 'gpt-0'"):
            client.chat.completions.create(model="gpt-0", messages=HELLO)
        with pytest.raises(openai.BadRequestError, match="at least one message"):
            client.chat.completions.create(model="routebench", messages=[])
