"""JSON lines, or a JSON array of objects; Arrow reads what is regular, Python's parser the rest.

A column that is not used can hold anything. Of those that are used, a number may stand where the
others are texts, a score may be true or false, and a query may be chat messages.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from routebench.data.long_table import COLUMNS, NUMBERS, TEXTS
from routebench.data.reading import messages
from routebench.data.reading.delimited import BLOCK
from routebench.data.reading.encodings import as_utf8, encoding_note, open_unpacked, wide_encoding
from routebench.data.reading.mapping import lookup
from routebench.errors import DataError
from routebench.redact import one_line

_KEYS = ("query_id", "model", "sample")
"""Columns in which 7 and "7" may be two things."""
_WORDS = ("query", "response", "reference")
"""Columns in which chat messages are joined."""


class JsonFile:
    """A file of JSON objects, one per line or in one array."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self._text: bytes | None = None
        if wide_encoding(path) is not None or not _is_utf8(path):
            self._text, name = as_utf8(path)
            self.notes += encoding_note(name)
        self._array = self._first_byte() == b"["
        self._records: list[tuple[int, dict[str, Any]]] | None = None
        self._regular: pa.Table | None = None
        if path.suffix.lower() == ".json" and not self._array:
            self._unwrap()
        self.present = self._names()

    def read(self, sources: Mapping[str, str]) -> pa.Table:
        """Return columns by the names that they are read as; a source may be a dotted path."""
        if self._regular is not None and all(name == at for name, at in sources.items()):
            table = self._regular.select(list(sources))
            if not any(_is_nested(kind) for kind in table.schema.types):
                return table
        records = self._parsed()
        made = Conversion(self.path.name, [line for line, _ in records])
        columns = {
            name: made.column(name, [lookup(record, at) for _, record in records])
            for name, at in sources.items()
        }
        self.notes += made.notes()
        return pa.table(columns)

    def first(self) -> dict[str, Any]:
        """Return the first object."""
        return self._parsed()[0][1] if self._records is not None else next(self._lines())[1]

    def lines(self, rows: Sequence[int]) -> list[int]:
        """Return the line of each row (from 0), as an editor shows it; 0 in an array."""
        records = self._parsed()
        return [records[row][0] for row in rows]

    def _first_byte(self) -> bytes:
        with self._stream() as stream:
            while more := stream.read(1 << 12):
                if text := more.removeprefix(b"\xef\xbb\xbf").lstrip():
                    return bytes(text[:1])
        raise DataError(f"{self.path.name}: the file is empty")

    def _stream(self) -> Any:
        return open_unpacked(self.path) if self._text is None else io.BytesIO(self._text)

    def _unwrap(self) -> None:
        """Take the rows of an object that holds them as its only list of objects."""
        with self._stream() as stream:
            try:
                held = json.loads(stream.read().decode("utf-8-sig"), parse_int=_whole)
            except (ValueError, RecursionError):
                return  # JSON lines, whatever the file's name
        if not isinstance(held, dict):
            return
        lists = {
            name: value
            for name, value in held.items()
            if isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
        }
        if len(lists) == 1:
            ((name, rows),) = lists.items()
            self._records = [(0, one) for one in rows]
            self.notes += (f"the rows are those of {name!r}",)
        elif len(held) > 1 and not lists:
            self._records = [(1, held)]
        else:
            raise DataError(
                f"{self.path.name}: is one JSON object, with {', '.join(list(held)[:12])}",
                "write an array of objects, or one object per line",
            )

    def _names(self) -> list[str]:
        if self._array or self._records is not None:
            return _keys(record for _, record in self._parsed())
        first = next(self._lines(), None)
        if first is None:
            raise DataError(f"{self.path.name}: the file is empty")
        try:
            self._regular = table = self._arrow(first[1])
        except pa.ArrowException:
            return _keys(record for _, record in self._parsed())
        # The schema names columns that may be nowhere in the file.
        return [c for c in table.column_names if c in first[1] or table[c].null_count < len(table)]

    def _arrow(self, first: dict[str, Any]) -> pa.Table:
        from pyarrow import json as arrow

        schema = pa.schema([(c, kind) for c in COLUMNS if (kind := _kind(c, first.get(c)))])
        with self._stream() as stream:
            return arrow.read_json(
                stream,
                arrow.ReadOptions(block_size=BLOCK),
                arrow.ParseOptions(explicit_schema=schema),
            )

    def _parsed(self) -> list[tuple[int, dict[str, Any]]]:
        if self._records is None:
            self._records = list(self._elements() if self._array else self._lines())
            if not self._records:
                raise DataError(f"{self.path.name}: there are no rows in it")
        return self._records

    def _elements(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with self._stream() as stream:
            held = _parse(stream.read(), self.path.name)
        for row, record in enumerate(held, 1):
            if not isinstance(record, dict):
                raise DataError(f"{self.path.name}: row {row} is no JSON object")
            yield 0, record

    def _lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every object with its line, by a parser that is exact about what is wrong where."""
        row = 0
        with self._stream() as stream:
            for line, raw in enumerate(stream, 1):
                if not raw.strip():
                    continue
                row += 1
                place = f"{self.path.name}: row {row}" + (f" (line {line})" if line != row else "")
                record = _parse(raw, place)
                if not isinstance(record, dict):
                    raise DataError(f"{place} is no JSON object")
                yield line, record


@dataclass
class Conversion:
    """Values of JSON to columns of texts or numbers, with notes on what was done to them."""

    place: str
    lines: Sequence[int] = ()
    counted: Counter[str] = field(default_factory=Counter)

    def column(self, name: str, values: list[Any]) -> Any:
        """Return a column as Arrow's array.

        Raises:
            DataError: naming the row whose value cannot stand in such a column.
        """
        if name in NUMBERS:
            return self._numbers(name, values)
        if name in _KEYS:
            self._check_keys(name, values)
        texts = [self._text(name, row, value) for row, value in enumerate(values)]
        try:
            return pa.array(texts, pa.large_string())
        except UnicodeEncodeError:
            return pa.array(list(map(self._whole, texts)), pa.large_string())

    def notes(self) -> tuple[str, ...]:
        """Return what was done, with how often."""
        return tuple(f"{text}: {count:,}" for text, count in sorted(self.counted.items()))

    def _text(self, name: str, row: int, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            if value != value:  # what pandas writes for nothing
                return None
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        if isinstance(value, int):
            return str(value)
        text = messages.joined(value) if name in _WORDS else None
        if text is not None:
            self.counted[f"chat messages in {name}, their turns joined"] += 1
            return text
        if name != "reference" and name in COLUMNS:
            self._fail(
                row, name, f"{_cut(value)} is no text", messages.HINT if name in _WORDS else ""
            )
        return json.dumps(value, ensure_ascii=False)

    def _numbers(self, name: str, values: list[Any]) -> Any:
        for row, value in enumerate(values):
            if isinstance(value, list) and len(value) == 1:
                values[row] = value = value[0]
            if not (value is None or isinstance(value, (str, int, float))):
                self._fail(row, name, f"{_cut(value)} is not a number")
        if any(isinstance(value, str) for value in values):
            texts = [v if v is None or isinstance(v, str) else str(v) for v in values]
            return pa.array(list(map(self._whole, texts)), pa.large_string())
        if all(value is None or isinstance(value, bool) for value in values):
            return pa.array(values, pa.bool_())
        if name == "score" and any(isinstance(value, bool) for value in values):
            return pa.array([None if v is None else str(v) for v in values], pa.large_string())
        try:
            return pa.array([None if v is None else float(v) for v in values], pa.float64())
        except OverflowError:
            row = next(r for r, v in enumerate(values) if isinstance(v, int) and abs(v) > 1e300)
            self._fail(row, name, "is larger than any number that can be used")

    def _check_keys(self, name: str, values: list[Any]) -> None:
        kinds = [None if value is None else isinstance(value, str) for value in values]
        first = next((kind for kind in kinds if kind is not None), None)
        for row, kind in enumerate(kinds):
            if kind is not None and kind != first:
                self._fail(
                    row,
                    name,
                    f"{_cut(values[row])} is of another type than the rows above",
                    "write a column as text throughout, or as numbers throughout",
                )

    def _whole(self, text: str | None) -> str | None:
        """Replace half characters, as JSON can write them."""
        if text is None:
            return None
        whole = text.encode(errors="replace").decode()
        if whole != text:
            self.counted["texts with half characters (lone surrogates), replaced by ?"] += 1
        return whole

    def _fail(self, row: int, name: str, problem: str, hint: str = "") -> NoReturn:
        line = self.lines[row] if self.lines else 0
        at = f" (line {line})" if line not in (0, row + 1) else ""
        raise DataError(f"{self.place}: row {row + 1}{at}, column {name}: {problem}", hint)


def _keys(records: Iterator[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for record in records for key in record))


def _kind(column: str, value: Any) -> Any:
    """Return the Arrow type that a column has throughout, going by its first value."""
    if isinstance(value, str) or (value is None and column in TEXTS):
        return pa.large_string()
    if isinstance(value, bool):
        return pa.bool_()
    if column in NUMBERS:
        return pa.float64()
    return pa.int64() if isinstance(value, int) else None


def _is_nested(kind: Any) -> bool:
    return bool(pa.types.is_nested(kind))


def _is_utf8(path: Path) -> bool:
    """Return whether all lines are UTF-8; Arrow does not ask."""
    with open_unpacked(path) as stream:
        for raw in stream:
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                return False
    return True


def _parse(raw: bytes, place: str) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_int=_whole)
    except UnicodeDecodeError:
        raise DataError(f"{place}: the text is not UTF-8") from None
    except RecursionError:
        raise DataError(f"{place}: is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"{place}: not JSON: {one_line(str(error), 200)}") from None


def _whole(digits: str) -> int | float:
    """Return an integer; as a float where it has more digits than Python reads."""
    return int(digits) if len(digits) < 4000 else float(digits)


def _cut(value: Any) -> str:
    return one_line(repr(value), 80)


def nested_to_text(table: pa.Table, place: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Return a table with chat messages joined, as Parquet can hold them too, and notes on them."""
    made = Conversion(place)
    for at, name in enumerate(table.column_names):
        if name in TEXTS and _is_nested(table.schema.field(name).type):
            column = made.column(name, table[name].to_pylist())
            table = table.set_column(at, name, column)
    return table, made.notes()
