"""A local server of OpenAI's chat completions that streams, takes its time, fails and dies.

    with ChatServer(latency=0.05) as server:
        ...  # openai.base_url = server.url
        assert server.bodies[-1]["tools"] == ...

As a program it prints its address and serves: `python chat_server.py 0.05 [PORT]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from listening import AsyncServer

Reply = tuple[int, Any] | str | None
"""A status with the JSON to send; `hang`, `reset` (before an answer), `cut` (in the middle of it),
`bare` (a stream without usage); None for an answer."""
Script = Callable[[dict[str, Any], Mapping[str, str]], Reply]


class ChatServer(AsyncServer):
    """Answers chat completions, and breaks connections off as its script says."""

    def __init__(
        self,
        latency: float = 0.0,
        script: Script | None = None,
        port: int = 0,
        says: str | None = None,
    ) -> None:
        super().__init__(port)
        self.latency, self.script, self.says = latency, script, says
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.keep = True
        """Whether bodies are kept."""
        self.gate: threading.Event | None = None
        """What a stream waits for after its first chunk."""
        self.passed = True
        """Whether the last stream did not wait in vain."""
        self.most_open = 0
        self._open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        if self.keep:
            self.bodies.append(body)
            self.headers.append(headers)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            return await self._answer(body, headers, writer)
        finally:
            self._open -= 1

    async def _answer(
        self, body: dict[str, Any], headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> bool:
        what = self.script(body, headers) if self.script else None
        if isinstance(what, tuple):
            status, value = what
            writer.write(_message(status, value))
            return True
        if what == "hang":
            await asyncio.sleep(3600)
        if what == "reset":
            return False
        await asyncio.sleep(self.latency)
        text = self.says or f"{body['model']}: {_prompt(body)[-200:]}"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        about = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            value = about | {"object": "chat.completion", "choices": [choice], "usage": usage}
            writer.write(_message(200, value))
            return True
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        about["object"] = "chat.completion.chunk"
        words = text.split(" ")
        for at, word in enumerate(words):
            delta = {"content": word if at == 0 else " " + word}
            reason = "stop" if at == len(words) - 1 else None
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            _chunk(writer, about | {"choices": [choice]})
            await writer.drain()
            await asyncio.sleep(self.latency / 20)
            if what == "cut" and at == 0:
                return False
            if self.gate is not None and at == 0:
                self.passed = await asyncio.to_thread(self.gate.wait, 10)
        if (body.get("stream_options") or {}).get("include_usage") and what != "bare":
            _chunk(writer, about | {"choices": [], "usage": usage})
        writer.write(_framed(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        return True


def _prompt(body: dict[str, Any]) -> str:
    content = body["messages"][-1].get("content")
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content)
    return str(content)


def _chunk(writer: asyncio.StreamWriter, value: Any) -> None:
    writer.write(_framed(b"data: " + json.dumps(value).encode() + b"\n\n"))


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _message(status: int, value: Any) -> bytes:
    content = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
    return (head + f"Content-Length: {len(content)}\r\n\r\n").encode() + content


if __name__ == "__main__":
    serving = ChatServer(float(sys.argv[1]), port=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    serving.keep = False
    asyncio.run(serving.run())
