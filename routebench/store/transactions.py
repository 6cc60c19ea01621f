"""Transactions of a store: when a write is committed, and when it is on the disk."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from routebench.store.schema import database_errors

_SYNC = 1.0  # seconds of answers that a power cut may cost, at most; nothing else costs any


class Transactions:
    """Transactions that write, one inside another where they are nested."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path
        self._open = False
        self._synced = -math.inf  # when the disk has last been waited for

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Commit at the end, or nothing of it after an error; wait for other processes'."""
        if self._open:
            yield
            return
        with database_errors(self._path):
            try:
                self._open = True
                self._wait_for_disk(time.monotonic() - self._synced > _SYNC)
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            finally:
                self._open = False
                self._database.rollback()  # nothing, after a commit

    def _wait_for_disk(self, wait: bool) -> None:
        """Set whether the next commit waits until it is on the disk, with all that came before.

        A commit that does not outlives the process, however that ends, but not a power cut.
        Waiting takes 0.2 to 10 ms, next to calls of seconds that cost money; but many return in
        one second, and on a busy disk they would wait for it more than for the server.
        """
        self._database.execute(f"PRAGMA synchronous = {'FULL' if wait else 'NORMAL'}")
        if wait:
            self._synced = time.monotonic()
