"""Local servers of tests, each in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve by a handler until the end of the context; the server's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class AsyncServer:
    """Serves on 127.0.0.1 between `__enter__` and `__exit__`, or as a program.

    Those that inherit say what is answered, in `_one`.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve; after `stop` on the same port again."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.run(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10), "the server has not started"

    def stop(self) -> None:
        """Drop all connections, and refuse others."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join(10)

    async def run(self, ready: threading.Event | None = None) -> None:
        """Serve until `stop`; without `ready` print the address."""
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, limit=2**24, backlog=2048
        )
        self.port = server.sockets[0].getsockname()[1]
        if ready:
            ready.set()
        else:
            print(self.url, flush=True)
        await self._done.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client has gone, or the server has
        finally:
            self._tasks.discard(task)
            self._end(writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read a request and answer it; return whether others may come on the connection."""
        raise NotImplementedError

    def _end(self, writer: asyncio.StreamWriter) -> None:
        """End a connection, once what was written is sent."""
        writer.close()
