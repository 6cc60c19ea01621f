"""Limits on files from outside: a small file must not take all memory, or a day.

What is too much is a `DataError` that says so; nobody's real data come near.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from routebench.errors import DataError

ROWS = 200_000_000
"""Of a table."""
PAIRS = 1_000_000_000
"""Queries × models of a table: each takes some 50 bytes."""
MODELS = 50_000
"""Of a price list."""
TOML = 16 << 20
"""Bytes of a TOML file."""
PARTS = 64
"""Of a dotted key in TOML."""
RATIO, SMALLEST = 200, 64 << 20
"""A .gz file may become so many times as large, or so many bytes; text becomes 3 to 20 times."""
_SHARE = 0.8  # of the free memory that reading one file may take
_UNKNOWN = 16 << 30  # free bytes where the system does not say
_CHAIN = re.compile(rf"(?<![\w-])[\w-]+(?:[ \t]*\.[ \t]*[\w-]+){{{PARTS}}}")
_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")


def check(place: str, what: str, number: int, most: int) -> None:
    """Raise a `DataError` where there are more of something than are read."""
    if number > most:
        raise DataError(f"{place}: has {number:,} {what}; at most {most:,} are read")


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of TOML.

    Raises:
        tomllib.TOMLDecodeError: it is none, is too large, or nests without end.
    """
    if len(text) > TOML:
        raise tomllib.TOMLDecodeError(f"it has {len(text):,} characters; at most {TOML:,} are read")
    # A key of n parts takes n² memory to parse.
    if "." in text and _CHAIN.search(_QUOTED.sub("q", text)):
        raise tomllib.TOMLDecodeError(f"a key has more than {PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError("it is nested too deeply") from None


def parse_json(text: str | bytes, **options: Any) -> Any:
    """Return the content of JSON, read with the options of `json.loads`.

    Raises:
        ValueError: it is none, or nests without end.
    """
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def open_gzip(path: Path) -> BinaryIO:
    """Open what is packed in a .gz; reading raises a `DataError` where it has no end in sight."""
    return cast(BinaryIO, io.BufferedReader(_Unpacked(path)))


class _Unpacked(io.RawIOBase):
    def __init__(self, path: Path) -> None:
        self._stream = gzip.GzipFile(path, "rb")
        self._name = path.name
        self._most = max(SMALLEST, RATIO * path.stat().st_size)
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(memoryview(buffer)))
        self._read += len(content)
        if self._read > self._most:
            raise DataError(
                f"{self._name}: becomes more than {self._most:,} bytes when it is unpacked",
                "unpack it yourself if it is meant to",
            )
        memoryview(buffer)[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextlib.contextmanager
def within_memory(path: Path) -> Iterator[None]:
    """Read a file within the memory that is free, or raise a `DataError`; other limits elsewhere.

    On Linux the system refuses more to this process meanwhile; without it nothing is limited.
    """
    free = int(_SHARE * free_memory())
    try:
        with _address_space(free):
            yield
    except MemoryError as error:
        size = f"{free / 1e9:,.1f} GB"
        raise DataError(f"{path.name}: cannot be read in {size} of free memory") from error


def free_memory() -> int:
    """Return the free bytes of the machine, or of this process's control group."""
    free = [_UNKNOWN]
    if (known := _number("/proc/meminfo", "MemAvailable:")) is not None:
        free = [1024 * known]
    group = Path("/sys/fs/cgroup")
    most, used = (_number(str(group / f"memory.{name}"), "") for name in ("max", "current"))
    if most is not None and used is not None:
        free.append(max(0, most - used))
    return min(free)


def _number(path: str, name: str) -> int | None:
    """Return the number behind a name in a file of the system, None where there is none."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(path).read_text().splitlines():
            if line.startswith(name):
                return int(line.removeprefix(name).split()[0])
    return None


@contextlib.contextmanager
def _address_space(more: int) -> Iterator[None]:
    used = _number("/proc/self/status", "VmSize:")
    if sys.platform != "linux" or used is None:
        yield
        return
    import resource

    with _LOCK:
        _readers.append(resource.getrlimit(resource.RLIMIT_AS))
        soft, hard = _readers[0]
        if len(_readers) == 1:
            limit = 1024 * used + more
            resource.setrlimit(resource.RLIMIT_AS, (limit if soft < 0 else min(limit, soft), hard))
    try:
        yield
    finally:
        with _LOCK:
            before = _readers[0]
            _readers.pop()
            if not _readers:
                resource.setrlimit(resource.RLIMIT_AS, before)


_LOCK = threading.Lock()
_readers: list[tuple[int, int]] = []
"""The limit that each file now being read has found: the first one's is the process's own."""
