"""A store in a thread of its own, so that no call waits while the disk writes.

What comes in while one transaction is written goes into the next one together: each answer is on
the disk before `write` returns, and many at a time cost one fsync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import tenacity

from routebench.errors import DataError
from routebench.store.store import AnswerStore

_T = TypeVar("_T")
_TRIES, _PAUSE = 5, 2.0
"""On a full disk or a locked file: how often an answer is written again, and the
seconds between."""
_Write = Callable[[AnswerStore], object]


class Ledger:
    """An open store; make it, use it and `close` it in one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "store")
        self._store: AnswerStore | None = None
        self._waiting: list[tuple[_Write, asyncio.Future[float]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def do(self, work: Callable[[AnswerStore], _T]) -> _T:
        """Run a function on the store, in the store's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._with, work)

    async def write(self, work: _Write) -> float:
        """Write something, now or with what else is waiting; returns USD spent by then."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        return await future

    async def close(self) -> None:
        """Close the store; whatever this object has in flight is given back as interrupted."""
        if self._store is not None:
            await self.do(AnswerStore.close)
        self._thread.shutdown()

    def _with(self, work: Callable[[AnswerStore], _T]) -> _T:
        if self._store is None:
            self._store = AnswerStore(self._path)
        return work(self._store)

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                spent = await self._written([work for work, _ in batch])
            except BaseException as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                if not isinstance(error, Exception):
                    raise
            else:
                for _, future in batch:
                    if not future.done():
                        future.set_result(spent)
        self._writer = None

    async def _written(self, works: list[_Write]) -> float:
        def write_all(store: AnswerStore) -> float:
            with store.transaction():
                for work in works:
                    work(store)
            return store.spent()

        again = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(DataError),
            stop=tenacity.stop_after_attempt(_TRIES),
            wait=tenacity.wait_fixed(_PAUSE),
            reraise=True,
        )
        return await again(self.do, write_all)
