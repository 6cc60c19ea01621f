"""The server's process: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from routebench.errors import OptionError
from routebench.files import reason
from routebench.serve.app import Application

if TYPE_CHECKING:
    import uvicorn

_WAITING = 2048  # connections that are not accepted yet
_SWITCH = 0.0005  # seconds; the router's thread holds up the event loop no longer than that


def check_installed() -> None:
    """Raise an `OptionError` where the libraries of the extra `serve` are missing."""
    try:
        import aiohttp  # noqa: F401
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise OptionError(
            f"serve: needs {error.name}", "pip install 'routebench[serve]'"
        ) from error


def is_local(host: str) -> bool:
    """Return whether a host to bind to is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to a host and port; port 0 is any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_WAITING)
    except OSError as error:
        raise OptionError(
            f"cannot listen on {host}:{port}: {reason(error)}", "--port 0 takes any free port"
        ) from error


def address(listening: socket.socket) -> str:
    """Return the URL up to its /v1 of a bound socket."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/v1"


def configured(app: Application, grace: float) -> uvicorn.Config:
    """Return how uvicorn serves an application; see `serve`."""
    import uvicorn

    return uvicorn.Config(
        app,
        http=_protocol(),
        log_level="warning",
        access_log=False,  # requests are in --log and the metrics
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(grace)),
    )


def serve(app: Application, listening: socket.socket, grace: float) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first.

    Args:
        grace: Seconds that they have at most.
    """
    import prometheus_client
    import uvicorn

    settings: Any = prometheus_client  # its functions have no types
    settings.disable_created_metrics()
    server = uvicorn.Server(configured(app, grace))
    # uvicorn raises the signal again once it has ended: that ends the process with success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    sys.setswitchinterval(_SWITCH)
    # What was loaded stays: the collector need not go through it while requests wait.
    gc.collect()
    gc.freeze()
    server.run(sockets=[listening])


def _protocol() -> Any:
    """Return uvicorn's protocol, whose head and body of a response go out in one packet."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Protocol(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            joined: Any = JoinedWrites(transport, self.loop)
            super().connection_made(joined)

    return Protocol


class JoinedWrites:
    """A transport that sends what is written in one turn of the event loop together."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes at the end of this turn."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        """Close the connection, behind what was written."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


def _end(*_: Any) -> None:
    sys.exit(0)
