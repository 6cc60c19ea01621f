"""Connections to the servers of models, kept open between calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import aiohttp

_CONNECT = 5.0  # seconds until a server must have taken a connection
_KEPT = 60.0  # seconds for which an idle connection is kept
_UNWANTED = ("User-Agent", "Accept", "Accept-Encoding")


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go, prepared once."""

    url: Any
    """A `yarl.URL`."""
    headers: Mapping[str, str]
    proxy: str | None


def address(url: str, headers: Mapping[str, str]) -> Address:
    """Return a URL and its headers with the proxy that the environment names for it."""
    import yarl
    from multidict import CIMultiDict, CIMultiDictProxy

    place = urlsplit(url)
    proxies: Mapping[str, str] = {} if proxy_bypass(place.netloc) else getproxies()
    proxy = proxies.get(place.scheme, proxies.get("all"))
    return Address(yarl.URL(url), CIMultiDictProxy(CIMultiDict(headers)), proxy)


class Connections:
    """Sends requests over connections that are kept open, and follows no redirects.

    A key must not go along to another server. Nor does anything of `.netrc`, or a cookie.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def send(self, to: Address, content: bytes) -> aiohttp.ClientResponse:
        """Return the response to a POST with its head read; it must be released."""
        session = self._session or self._opened()
        return await session.post(
            to.url, data=content, headers=to.headers, proxy=to.proxy, allow_redirects=False
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Return a session, which belongs to the event loop that runs."""
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=min(_CONNECT, self._timeout), sock_read=self._timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_UNWANTED,
            trust_env=False,
        )
        return self._session
