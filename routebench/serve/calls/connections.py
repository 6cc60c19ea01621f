"""Connections to the servers of models, kept open between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

if TYPE_CHECKING:
    import httpx

_EACH = 8
"""Calls at a time of one pool: httpcore looks at all connections of a pool for every call."""
_CONNECT = 5.0  # seconds until a server must have taken a connection


class Connections:
    """Sends requests over pools of a few connections each, and follows no redirects.

    A key must not go along to another server.
    """

    def __init__(self, timeout: float) -> None:
        waits = {"connect": min(_CONNECT, timeout), "read": timeout}
        self._extensions = {"timeout": waits | {"write": timeout, "pool": timeout}}
        # A transport takes little more than half a client's time, but knows no proxies.
        self._proxied = bool(getproxies())
        self._pools: list[Any] = []
        self._open: list[int] = []
        """Calls under way by pool."""

    async def send(self, url: httpx.URL, headers: httpx.Headers, content: bytes) -> httpx.Response:
        """Return the response to a POST with its head read; it must be released."""
        import httpx

        at = next((at for at, calls in enumerate(self._open) if calls < _EACH), len(self._open))
        if at == len(self._pools):
            self._pools.append(self._pool())
            self._open.append(0)
        self._open[at] += 1
        request = httpx.Request(
            "POST", url, content=content, headers=headers, extensions=self._extensions
        )
        try:
            response: httpx.Response = (
                await self._pools[at].send(request, stream=True)
                if self._proxied
                else await self._pools[at].handle_async_request(request)
            )
        except BaseException:
            self._open[at] -= 1
            raise
        response.extensions["pool"] = at
        return response

    async def release(self, response: httpx.Response) -> None:
        """End a response, whether it was read or not; once."""
        at = response.extensions.pop("pool")
        try:
            await response.aclose()
        finally:
            self._open[at] -= 1

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.aclose()

    def _pool(self) -> Any:
        import httpx

        limits = httpx.Limits(max_connections=2 * _EACH, max_keepalive_connections=2 * _EACH)
        if self._proxied:
            return httpx.AsyncClient(limits=limits, follow_redirects=False)
        return httpx.AsyncHTTPTransport(limits=limits)
