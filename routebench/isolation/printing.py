"""What a process prints: the beginning and the end are kept, whatever comes between."""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from typing import IO, Self

FIRST, LAST = 64 * 1024, 64 * 1024
"""Bytes that are kept."""
_CHUNK = 1 << 16
_LOG_TAIL = 4000
PRINTED = "printed:"
"""The heading in a log above what a router printed."""


class Printed:
    """A pipe to print to; what is kept of it is written to a file when it is left.

    Give `stream` to a process, and close it here once the process has it.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.stream: IO[bytes]
        self._first = bytearray()
        self._last: deque[bytes] = deque()
        self._held = self._left_out = 0
        self._lock = threading.Lock()
        self._reader: threading.Thread

    def __enter__(self) -> Self:
        self.log.touch()
        reads, writes = os.pipe()
        self.stream = os.fdopen(writes, "wb")
        self._reader = threading.Thread(target=self._read, args=(reads,), daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        # What outlives the process, where nothing keeps it from doing so, is not waited for.
        self._reader.join(timeout=5)
        with self._lock:
            kept = bytes(self._first) + self._gap() + b"".join(self._last)
        self.log.write_bytes(kept)

    def _gap(self) -> bytes:
        return f"\n[{self._left_out:,} bytes left out]\n".encode() if self._left_out else b""

    def _read(self, pipe: int) -> None:
        with os.fdopen(pipe, "rb", buffering=0) as stream:
            while part := stream.read(_CHUNK):
                with self._lock:
                    self._take(part)

    def _take(self, part: bytes) -> None:
        room = FIRST - len(self._first)
        self._first += part[:room]
        if rest := part[room:] if room else part:
            self._last.append(rest)
            self._held += len(rest)
        while self._held - len(self._last[0] if self._last else b"") >= LAST:
            dropped = len(self._last.popleft())
            self._held -= dropped
            self._left_out += dropped


def printed(log: Path) -> str:
    """Return the end of what a process printed, under a heading; nothing where it did not."""
    tail = _tail(log)
    return f"\n{PRINTED}\n{tail}" if tail.strip() else ""


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_TAIL))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
