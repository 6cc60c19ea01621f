"""Calls to models: passed through to servers that speak the protocol, else asked by a provider."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routebench.collect.calls import is_live
from routebench.collect.planning import TargetModel
from routebench.errors import CallError, RoutebenchError
from routebench.hookspecs import ChatEndpoint
from routebench.records import Reply, Request
from routebench.serve.api_errors import ApiError, Hidden, invalid
from routebench.serve.calls.connections import Address, Connections, address
from routebench.serve.calls.events import as_events, split_events
from routebench.serve.calls.usage import known_counts
from routebench.serve.chat import ChatRequest

if TYPE_CHECKING:
    import aiohttp

Completion = dict[str, Any]

_PASSING = {408: "timeout", 409: "server", 429: "rate-limited", 504: "timeout"}
_DENIED = {401, 402, 403, 404, 405, 407}
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_LARGEST = 64 << 20  # bytes of an answer that is read as a whole


class UpstreamError(Exception):
    """A call that brought no answer; kinds are those of `CallError`."""

    def __init__(
        self,
        kind: str,
        message: str,
        status: int | None = None,
        error: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind, self.message, self.status = kind, message, status
        self.error = dict(error or {})
        """The server's own error object, where it sent one; keys hidden."""
        self.retry_after = retry_after

    @property
    def rejected(self) -> ApiError:
        """Return the client's error for a request that this server does not take."""
        error = self.error
        param, code = error.get("param"), error.get("code")
        return ApiError(
            self.status if self.status is not None and 400 <= self.status < 500 else 400,
            self.message,
            kind=str(error.get("type") or "invalid_request_error"),
            param=param if isinstance(param, str) else None,
            code=code if isinstance(code, str) else None,
        )


@dataclass(frozen=True, slots=True)
class UpstreamModel:
    """A model of the router's pool, and who is asked for it."""

    name: str
    """Its name in the run."""
    target: TargetModel
    endpoint: ChatEndpoint | None
    """None for a provider that takes texts alone."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Return the fields that a request gets where it has none of the name."""
        return {} if self.endpoint is None else self.endpoint.defaults

    def check(self, chat: ChatRequest) -> None:
        """Raise an `ApiError` for a request that the provider cannot take."""
        if self.endpoint is None and (beyond := chat.beyond_text):
            raise invalid(f"{self.name} takes texts alone, and no {beyond}", beyond)


class Upstreams:
    """Asks models over one pool of connections."""

    def __init__(self, models: Mapping[str, UpstreamModel], timeout: float, hidden: Hidden) -> None:
        self.models, self._timeout, self._hidden = models, timeout, hidden
        self._connections = Connections(timeout)
        self._addresses: Mapping[str, Address] = {
            name: address(one.endpoint.url, _headers(one.endpoint))
            for name, one in models.items()
            if one.endpoint is not None
        }
        self._without_usage: set[str] = set()
        """Addresses whose servers refuse `stream_options`."""

    async def complete(self, name: str, chat: ChatRequest) -> Completion:
        """Return a model's chat completion, keys hidden.

        Raises:
            UpstreamError: where none comes within the time.
        """
        model = self.models[name]
        try:
            async with asyncio.timeout(self._timeout):
                if model.endpoint is None:
                    return await self._by_provider(model, chat)
                response = await self._send(model, chat)
                try:
                    return self._read(await _content(response))
                finally:
                    response.release()
        except UpstreamError:
            raise
        except Exception as error:
            raise self._unsent(error) from None

    async def stream(self, name: str, chat: ChatRequest) -> AsyncIterator[bytes]:
        """Yield the events of a model's answer as they come, keys hidden.

        Raises:
            UpstreamError: before the first event, where the call fails, or while it goes on.
        """
        model = self.models[name]
        try:
            if model.endpoint is None:
                async with asyncio.timeout(self._timeout):
                    completion = await self._by_provider(model, chat)
                for event in as_events(completion, usage=True):
                    yield event
                return
            async with asyncio.timeout(self._timeout):
                response = await self._send(model, chat)
            try:
                if "event-stream" not in response.headers.get("content-type", ""):
                    async with asyncio.timeout(self._timeout):
                        completion = self._read(await _content(response))
                    for event in as_events(completion, usage=True):
                        yield event
                    return
                async for event in split_events(response.content.iter_any()):
                    yield self._hidden.text(event.decode("utf-8", "replace")).encode()
            finally:
                response.release()
        except (UpstreamError, GeneratorExit, asyncio.CancelledError):
            raise
        except Exception as error:
            raise self._unsent(error) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.aclose()
        plugins = {id(one.target.plugin): one.target.plugin for one in self.models.values()}
        for plugin in plugins.values():
            close = getattr(plugin, "close", None)
            if callable(close) and asyncio.iscoroutine(waiting := close()):
                await waiting

    async def _send(self, model: UpstreamModel, chat: ChatRequest) -> aiohttp.ClientResponse:
        """Send a request and return the response with its head read; HTTP 200 alone is one."""
        endpoint = model.endpoint
        assert endpoint is not None
        usage = endpoint.url not in self._without_usage
        body = chat.upstream_body(model.target.model, endpoint.defaults, usage)
        response = await self._connections.send(self._addresses[model.name], body)
        if response.status == 200:
            return response
        try:
            failure = self._failure(response, await _content(response))
        finally:
            response.release()
        said = f"{failure.message} {failure.error.get('param')}"
        if chat.stream and usage and failure.kind == "rejected" and "stream_options" in said:
            self._without_usage.add(endpoint.url)
            return await self._send(model, chat)
        raise failure

    def _read(self, content: bytes) -> Completion:
        """Return the completion in an answer; an error within HTTP 200 is a failure."""
        text = self._hidden.text(content.decode("utf-8", "replace"))
        try:
            completion = json.loads(text)
        except (ValueError, RecursionError):
            raise UpstreamError("malformed", "the answer is no JSON") from None
        if not isinstance(completion, dict):
            raise UpstreamError("malformed", "the answer is no JSON object")
        if completion.get("error"):
            raise self.error_within(completion["error"])
        if not isinstance(completion.get("choices"), list) or not completion["choices"]:
            raise UpstreamError("malformed", "the answer has no choices")
        return completion

    def error_within(self, error: Any) -> UpstreamError:
        """Return the failure that an error within an HTTP 200 is."""
        given = error if isinstance(error, dict) else {"message": str(error)}
        message = self._hidden.line(str(given.get("message") or "the server sent an error"))
        code = str(given.get("code") or "")
        status = int(code) if code.isdecimal() and 400 <= int(code[:9]) < 600 else 500
        return UpstreamError(_kind(status, given), message, status, given)

    def _failure(self, response: aiohttp.ClientResponse, content: bytes) -> UpstreamError:
        text = self._hidden.text(content[:65536].decode("utf-8", "replace"))
        error: Mapping[str, Any] = {}
        try:
            body = json.loads(text)
            body = body[0] if isinstance(body, list) and body else body  # Gemini's
            if isinstance(body, dict) and isinstance(body.get("error"), dict):
                error = body["error"]
        except (ValueError, RecursionError):
            pass
        status = response.status
        message = self._hidden.line(str(error.get("message") or f"the server answered {status}"))
        after = response.headers.get("retry-after", "")
        wait = float(after) if after.isdecimal() else None
        return UpstreamError(_kind(status, error), message, status, error, wait)

    def _unsent(self, error: Exception) -> UpstreamError:
        import aiohttp

        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return UpstreamError("server", "no connection in time")
        if isinstance(error, TimeoutError):
            return UpstreamError("timeout", f"no answer within {self._timeout:g} s")
        if isinstance(error, aiohttp.ClientError):
            connected = not isinstance(error, aiohttp.ClientConnectorError)
            return UpstreamError("server", "connection lost" if connected else "no connection")
        if isinstance(error, RoutebenchError):
            kind = error.kind if isinstance(error, CallError) else "denied"
            return UpstreamError(kind, self._hidden.line(error.message))
        return UpstreamError("malformed", f"the call failed ({type(error).__name__})")

    async def _by_provider(self, model: UpstreamModel, chat: ChatRequest) -> Completion:
        """Ask a provider that takes a text, and put its reply into the protocol's form."""
        request = Request(model.target.model, chat.text)
        if is_live(model.target.plugin):
            reply = await model.target.plugin.ask(request)
        else:
            reply = await asyncio.to_thread(_of_batch, model.target.plugin, request)
        finish = {"refused": "content_filter"}.get(reply.finish, reply.finish)
        completion: Completion = {
            "id": f"chatcmpl-{time.time_ns():x}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model.target.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": self._hidden.text(reply.text)},
                    "finish_reason": finish,
                }
            ],
        }
        counts = known_counts(reply)
        return completion | ({"usage": counts} if counts else {})


def _headers(endpoint: ChatEndpoint) -> dict[str, str]:
    given = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }
    return given | ({"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {})


def _of_batch(provider: Any, request: Request) -> Reply:
    answers = provider.answer([request])
    text = answers.text[0]
    if text is None:
        raise CallError("rejected", (answers.note or ("no answer",))[0] or "no answer")
    counts = answers.input_tokens, answers.output_tokens
    given, came = (math.nan if one is None else float(one[0]) for one in counts)
    return Reply(text, input_tokens=given, output_tokens=came)


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of a response, of which there is a limit."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > _LARGEST:
            raise UpstreamError("malformed", f"the answer is longer than {_LARGEST >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


def _kind(status: int, error: Mapping[str, Any]) -> str:
    names = (str(error.get("code") or ""), str(error.get("type") or ""))
    if status in _DENIED or status < 400 or any(name in _NO_CREDIT for name in names):
        return "denied"
    if "api key not valid" in str(error.get("message") or "").lower():  # Gemini's, with 400
        return "denied"
    return _PASSING.get(status, "server" if status >= 500 else "rejected")
