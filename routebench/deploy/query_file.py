"""Queries as JSON lines, read one by one: a text or chat messages, and whatever else they carry."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from routebench.data.reading import messages
from routebench.data.reading.encodings import open_unpacked
from routebench.errors import DataError
from routebench.redact import one_line

LONGEST = 32 << 20
"""Bytes of a line."""
TEXT_FIELDS = ("query", "messages", "prompt")
"""Where the query may be; the first that is there counts."""
SHOWN = 3
_LINES = 'one JSON object per line, such as {"query": "Who wrote Emma?"}'


@dataclass(frozen=True, slots=True)
class QueryRow:
    """One query of a file."""

    row: int
    """From 1, empty lines not counted."""
    record: dict[str, Any]
    """The whole object, as it was read."""
    text: str
    user: str | None
    preference: float | None
    task: str | None


@dataclass
class QueryFile:
    """A file of queries, or standard input; read once, from the beginning to the end."""

    path: Path | None
    skip_bad: bool = False
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    """Of the first lines that were skipped."""

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else self.path.name

    def __iter__(self) -> Iterator[QueryRow]:
        """Yield the queries; a `DataError` names file and row of a broken line."""
        if self.path is None:
            yield from self._rows(sys.stdin.buffer)
            return
        try:
            stream = open_unpacked(self.path)
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror or error}") from error
        with stream:
            yield from self._rows(stream)

    def _rows(self, stream: BinaryIO) -> Iterator[QueryRow]:
        row = 0
        for line, raw in enumerate(_lines(stream), 1):
            if raw is not None and not raw.removeprefix(b"\xef\xbb\xbf").strip():
                continue
            row += 1
            place = f"{self.name}: row {row}" + (f" (line {line})" if line != row else "")
            try:
                yield _row(raw, row, place)
            except DataError as error:
                if not self.skip_bad:
                    raise
                self.skipped += 1
                if len(self.problems) < SHOWN:
                    self.problems.append(error.message)


def _lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Yield lines; None for one that is too long, of which no more than that is held."""
    while raw := stream.readline(LONGEST + 1):
        if len(raw) <= LONGEST:
            yield raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = stream.readline(LONGEST)
        yield None


def _row(raw: bytes | None, row: int, place: str) -> QueryRow:
    record = _parse(raw, place)
    return QueryRow(
        row,
        record,
        _text(record, place),
        _name(record, "user", place),
        _preference(record, place),
        _name(record, "task", place),
    )


def _parse(raw: bytes | None, place: str) -> dict[str, Any]:
    if raw is None:
        raise DataError(f"{place}: the line has more than {LONGEST:,} bytes", _LINES)
    try:
        record = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_float)
    except UnicodeDecodeError:
        raise DataError(f"{place}: the text is not UTF-8", "write the file as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {one_line(str(error), 200)}", _LINES) from None
    if not isinstance(record, dict):
        raise DataError(f"{place} is no JSON object", _LINES)
    return record


def _text(record: dict[str, Any], place: str) -> str:
    name = next((name for name in TEXT_FIELDS if record.get(name) is not None), None)
    if name is None:
        near = f"it has {', '.join(map(_cut, list(record)[:8]))}" if record else "it is empty"
        raise DataError(f"{place}: has no query: {near}", _LINES)
    text = messages.joined(record[name])
    if text is None:
        raise DataError(f"{place}, {name}: {_cut(record[name])} is no text", messages.HINT)
    if not text.strip():
        raise DataError(f"{place}, {name}: is empty", _LINES)
    return text.encode(errors="replace").decode()  # half characters, as JSON can write them


def _name(record: dict[str, Any], name: str, place: str) -> str | None:
    value = record.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{place}, {name}: {_cut(value)} is no text", f'"{name}": "…"')
    return str(value)


def _preference(record: dict[str, Any], place: str) -> float | None:
    value = record.get("preference")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(
            f"{place}, preference: {_cut(value)} is no weight",
            "the weight on quality against cost, from 0 to 1",
        )
    return float(value)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _cut(value: Any) -> str:
    return one_line(repr(value), 80)
