"""The server's HTTP: paths, keys of clients, sizes, errors in OpenAI's form."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from routebench.serve.api_errors import ApiError, invalid
from routebench.serve.calls import events
from routebench.serve.calls.relay import OpenedStream
from routebench.serve.chat import ChatRequest, RouteBy, parse, too_large
from routebench.serve.event_log import ServedEvent
from routebench.serve.gateway import Gateway, unknown

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""What uvicorn serves: an ASGI application."""

CHAT = "/v1/chat/completions"
MOST_BYTES = 20 << 20
_BODY_SECONDS = 60.0  # in which a body must have come
_IN_A_THREAD = 256 << 10  # bytes of a body from which on it is read beside the event loop
_STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class HttpOptions:
    """What the server asks of a request."""

    keys: Sequence[str] = field(default=(), repr=False)
    """Keys of clients; none: anybody who reaches it."""
    most_bytes: int = MOST_BYTES
    route_by: RouteBy = "conversation"
    local: bool = True
    """Bound to loopback: without keys a request must name this machine as its host."""


def build(gateway: Gateway, options: HttpOptions) -> Application:
    """Return the application; closing it closes the gateway."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await gateway.close()

    pages = _Pages(gateway, options)
    others = Starlette(
        routes=[
            Route(CHAT, pages.chat, methods=["POST"]),
            Route("/v1/models", pages.models),
            Route("/v1/models/{name:path}", pages.model),
            Route("/health", pages.health),
            Route("/metrics", pages.metrics),
        ],
        exception_handlers={ApiError: _refuse, HTTPException: _no_page},
        lifespan=lifespan,
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        # What is asked for all the time need not go through the layers of the other pages.
        if scope["type"] == "http" and scope["path"] == CHAT and scope["method"] == "POST":
            await pages.completion(scope, receive, send)
        else:
            await others(scope, receive, send)

    return app


class _Pages:
    """The paths of the server."""

    def __init__(self, gateway: Gateway, options: HttpOptions) -> None:
        self._gateway, self._options = gateway, options
        # Equal lengths, so that comparing them takes no longer for a better guess.
        self._keys = [_digest(key) for key in options.keys]
        self._began = int(time.time())

    async def completion(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a chat completion, as an ASGI application."""
        from starlette.requests import Request

        request = Request(scope, receive)
        try:
            response = await self.chat(request)
        except ApiError as error:
            response = await _refuse(request, error)
        await response(scope, receive, send)

    async def chat(self, request: Request) -> Any:
        """Answer a chat completion."""
        metrics = self._gateway.metrics
        try:
            self._admit(request)
            chat = await self._read(request)
        except ApiError as error:
            metrics.refused(error.status)
            metrics.error(error.kind)
            raise
        return await self._answer(chat)

    async def models(self, request: Request) -> Response:
        """List the models that can be asked for."""
        self._admit(request)
        data = [self._model(name) for name in self._gateway.names]
        return _json({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """Describe one model."""
        self._admit(request)
        name = request.path_params["name"]
        if name not in self._gateway.names:
            raise unknown(name)
        return _json(self._model(name))

    async def health(self, request: Request) -> Response:
        """Say that the server answers; needs no key."""
        return _json({"status": "ok", "router": self._gateway.label})

    async def metrics(self, request: Request) -> Response:
        """Return the metrics for Prometheus."""
        from starlette.responses import Response

        self._admit(request)
        self._gateway.count()
        return Response(self._gateway.metrics.text(), media_type="text/plain; version=0.0.4")

    def _model(self, name: str) -> dict[str, Any]:
        owner = "routebench" if name in self._gateway.points else self._owner(name)
        return {"id": name, "object": "model", "created": self._began, "owned_by": owner}

    def _owner(self, name: str) -> str:
        return self._gateway.relay.upstreams.models[name].target.provider

    def _admit(self, request: Request) -> None:
        """Raise an `ApiError` for a client without a key, or a page that only pretends to be one.

        Without keys a web page that the user looks at must not be able to spend money: its name may
        resolve to this machine, but it is not this machine's.
        """
        if not self._keys:
            host = request.headers.get("host", "").rpartition(":")
            name = host[0] if host[1] and host[2].isdecimal() else "".join(host)
            if self._options.local and name.lower() not in _LOCAL:
                raise ApiError(403, "this server is for clients on its own machine", code="host")
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        digest = _digest(given.strip())
        known = [hmac.compare_digest(digest, key) for key in self._keys]
        if scheme.lower() != "bearer" or not any(known):
            raise ApiError(
                401,
                "no valid key: send Authorization: Bearer and one of this server's keys",
                kind="authentication_error",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _read(self, request: Request) -> ChatRequest:
        # Of what a web page may send anywhere without being asked, JSON is no part.
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(415, "the body must be sent as Content-Type: application/json")
        raw = await self._body(request)
        route_by = self._options.route_by
        if len(raw) > _IN_A_THREAD:
            return await asyncio.to_thread(parse, raw, route_by)
        return parse(raw, route_by)

    async def _body(self, request: Request) -> bytes:
        most, parts, size, more = self._options.most_bytes, [], 0, True
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:18]) > 4 * most:
            raise too_large(most)
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while more:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise invalid("the body is not whole")
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    if size > 4 * most:
                        raise too_large(most)
                    # A client that is still sending would not read the answer.
                    parts.append(part if size <= most else b"")
        except TimeoutError:
            raise ApiError(408, "the body has not come in time", code="timeout") from None
        if size > most:
            raise too_large(most)
        return b"".join(parts)

    async def _answer(self, chat: ChatRequest) -> Any:
        gateway, event = self._gateway, self._gateway.begin(chat)
        try:
            if chat.stream and not gateway.steps(chat):
                return _Streaming(gateway, chat, event, await gateway.open(chat, event))
            completion = await gateway.complete(chat, event)
        except ApiError as error:
            error.headers |= gateway.headers(event)
            error.message = gateway.hidden.line(error.message)
            gateway.finish(event, error.status, error)
            raise
        except asyncio.CancelledError:
            gateway.finish(event, 499, ApiError(499, "", kind="client_gone"))
            raise
        except Exception as error:
            said = gateway.hidden.line(f"{type(error).__name__}: {error}")
            print(f"error: request {event.id}: {said}", file=sys.stderr)  # noqa: T201
            failed = ApiError(
                500, "the server failed; its log says how", kind="server_error", code="internal"
            )
            failed.headers |= gateway.headers(event)
            gateway.finish(event, 500, failed)
            raise failed from None
        headers = gateway.headers(event)
        if not chat.stream:
            return _Whole(gateway, event, _json(completion, headers=headers))
        stream = b"".join(events.as_events(completion, chat.wants_usage))
        return _Whole(gateway, event, _events(stream, headers))


class _Whole:
    """The response that is sent at once."""

    def __init__(self, gateway: Gateway, event: ServedEvent, response: Response) -> None:
        self._gateway, self._event, self._response = gateway, event, response

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the response."""
        try:
            await self._response(scope, receive, send)
        finally:
            self._gateway.finish(self._event, 200)


class _Streaming:
    """The response of a stream: its events as they come, settled however it ends."""

    def __init__(
        self, gateway: Gateway, chat: ChatRequest, event: ServedEvent, opened: OpenedStream
    ) -> None:
        self._gateway, self._chat, self._event, self._opened = gateway, chat, event, opened

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the response."""
        from starlette.responses import StreamingResponse

        gateway, event = self._gateway, self._event
        keep: list[str] | None = None if event.messages is None else []
        whole = False

        async def passed() -> AsyncIterator[bytes]:
            nonlocal whole
            events = self._opened.events(lambda usd: gateway.about(event, event.usd + usd), keep)
            async for each in events:
                yield each
            whole = True

        response = StreamingResponse(
            passed(),
            media_type="text/event-stream",
            headers=_STREAM | gateway.headers(event, streamed=True),
        )
        try:
            await response(scope, receive, send)
        finally:
            await asyncio.shield(self._opened.close())
            if keep is not None:
                event.answer = "".join(keep)
            gateway.finish(event, 200 if whole else 499)  # the client has gone


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import Response

    content = json.dumps(value, separators=(",", ":")).encode()
    return Response(content, status, headers, "application/json")


def _events(content: bytes, headers: dict[str, str]) -> Response:
    from starlette.responses import Response

    return Response(content, 200, _STREAM | headers, "text/event-stream")


async def _refuse(request: Request, error: Any) -> Response:
    return _json(error.body(), error.status, error.headers)


async def _no_page(request: Request, error: Any) -> Response:
    said = ApiError(error.status_code, str(error.detail), code="unknown_url")
    return _json(said.body(), error.status_code, dict(error.headers or {}))
