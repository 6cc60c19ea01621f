"""Replies of a server that speaks OpenAI's protocol, and what the provider makes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from servers import Server

from routebench.errors import CallError
from routebench.records import Reply, Request
from routebench_providers.openai.provider import OpenAICompatible

USED = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def ask(server: Server, given: dict[str, Any] | None = None, sample: int = 0) -> Reply:
    chosen = {"base_url": server.url + "/v1", "timeout": 5} | (given or {})
    provider = OpenAICompatible(OpenAICompatible.Options(**chosen))

    async def once() -> Reply:
        try:
            return await provider.ask(Request("gpt-x", "q", sample))
        finally:
            await provider.close()

    return asyncio.run(once())


def replied(body: Any, status: int = 200, **given: Any) -> Reply:
    """What becomes of a reply with this JSON."""
    with Server(script=lambda prompt, attempt: (status, body)) as server:
        return ask(server, given)


def failed(error: Any, status: int = 400) -> CallError:
    with pytest.raises(CallError) as caught:
        replied({"error": error}, status)
    return caught.value


def said(content: Any = "Rome", finish: str = "stop", usage: Any = None, **more: Any) -> Any:
    message = {"role": "assistant", "content": content} | more
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}
