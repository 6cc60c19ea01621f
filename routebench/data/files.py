"""Reading an outcomes file, whole or not at all: one error for whatever is wrong with it.

Ids and texts stay text (`007` is no number), and of CSV every column does: what should be a
number is converted later, where an error can name its row.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from routebench.data.long_table import COLUMNS, NUMBERS, TEXTS, check_columns, unused_note
from routebench.data.places import SUFFIX
from routebench.errors import DataError
from routebench.redact import one_line

_BLOCK = 1 << 26  # bytes; no row may be longer
_MAGIC = {b"PAR1": "a Parquet file", b"\x1f\x8b": "a gzip file", b"PK\x03\x04": "a zip file"}


def read_table(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the columns of an outcomes file that are understood, and a note on the others.

    Raises:
        DataError: naming the file, and the row (from 1, a header not counted) where it is known.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if not path.is_file():
        raise DataError(f"{path}: is a folder, not an outcomes file")
    if path.stat().st_size == 0:
        raise DataError(f"{path.name}: the file is empty")
    if path.suffix.lower() == SUFFIX:  # suites read an intact one by themselves
        raise DataError(f"{path.name}: is not a store of answers, whatever its name says")
    reader = _reader(path)
    try:
        table, present = reader(path)
    except pa.ArrowException as error:
        raise DataError(f"{path.name}: cannot be read: {one_line(str(error), 200)}") from error
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, PermissionError):
            raise DataError(f"{path.name}: may not be read") from error
        raise DataError(
            f"{path.name}: is damaged or cut short: {one_line(str(error), 200)}"
        ) from error
    return table, unused_note(present)


_Reader = Callable[[Path], tuple[pa.Table, list[str]]]


def _reader(path: Path) -> _Reader:
    readers: dict[str, _Reader] = {
        ".parquet": _parquet,
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".csv": _csv,
    }
    name = path.name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in readers or (kind == ".parquet" and name.endswith(".gz")):
        raise DataError(
            f"{path.name}: not a kind of file that can be read",
            "known: .parquet, .jsonl, .ndjson, .csv, and .jsonl.gz, .ndjson.gz, .csv.gz; .sqlite",
        )
    return readers[kind]


def _parquet(path: Path) -> tuple[pa.Table, list[str]]:
    import pyarrow.parquet as pq

    with path.open("rb") as stream:
        head = stream.read(4)
    if head != b"PAR1":
        raise DataError(f"{path.name}: is not a Parquet file, whatever its name says")
    with pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        check_columns(present, path.name)
        return file.read(columns=[c for c in present if c in COLUMNS]), present


def _csv(path: Path) -> tuple[pa.Table, list[str]]:
    from pyarrow import csv as arrow

    _check_magic(path)
    present = _header(path)
    check_columns(present, path.name)
    wanted = [c for c in present if c in COLUMNS]
    try:
        with open_unpacked(path) as stream, broken_rows(path) as note:
            table = arrow.read_csv(
                stream,
                # One thread, or Arrow cannot say which row is broken.
                arrow.ReadOptions(block_size=_BLOCK, use_threads=False),
                arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.large_string()),
                    include_columns=wanted,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,  # see `_without_empty`
                ),
            )
    except (pa.ArrowInvalid, DataError):
        _check_utf8(path)
        raise
    return _without_empty(table), present


@contextlib.contextmanager
def broken_rows(path: Path) -> Iterator[Callable[[Any], str]]:
    """Yield an `invalid_row_handler` for Arrow; a `DataError` names the row it was called for."""
    broken: list[Any] = []

    def note(row: Any) -> str:
        broken.append(row)
        return "error"

    try:
        yield note
    except pa.ArrowInvalid:
        if not broken:
            raise
        row = broken[0]
        where = "a row" if row.number is None else f"row {row.number - 1}"
        raise DataError(
            f"{path.name}: {where} has {row.actual_columns} fields, not the header's"
            f" {row.expected_columns}",
            "a field with commas or line breaks needs quotes",
        ) from None


def _without_empty(table: pa.Table) -> pa.Table:
    """Replace every empty text by null, except a quoted answer whose state is ok or ungraded.

    Many programs write null as "" too; an export of ours does so only for a model's empty answer,
    which is graded like others.
    """
    names = table.column_names
    columns = {name: pc.if_else(pc.equal(table[name], ""), None, table[name]) for name in names}
    if "response" in names and "state" in names:
        state = pc.utf8_lower(pc.utf8_trim_whitespace(table["state"]))
        answered = pc.is_in(state, pa.array(["ok", "ungraded"], pa.large_string()))
        columns["response"] = pc.if_else(answered, table["response"], columns["response"])
    return pa.table(columns)


def _header(path: Path) -> list[str]:
    with io.TextIOWrapper(open_unpacked(path), encoding="utf-8-sig", newline="") as lines:
        try:
            present = next(csv.reader(lines), [])
        except UnicodeDecodeError:
            _check_utf8(path)
            raise DataError(f"{path.name}: the text is not UTF-8") from None
        except csv.Error as error:
            raise DataError(f"{path.name}: is not a CSV file: {error}") from error
    if not present:
        raise DataError(f"{path.name}: there is no header")
    return present


def _jsonl(path: Path) -> tuple[pa.Table, list[str]]:
    from pyarrow import json as arrow

    _check_magic(path)
    first = next(_records(path), None)
    if first is None:
        raise DataError(f"{path.name}: the file is empty")
    schema = pa.schema([(c, kind) for c in COLUMNS if (kind := _kind(c, first.get(c)))])
    try:
        with open_unpacked(path) as stream:
            table = arrow.read_json(
                stream,
                arrow.ReadOptions(block_size=_BLOCK),
                arrow.ParseOptions(explicit_schema=schema),
            )
    except pa.ArrowInvalid:
        _first_bad_record(path, first)
        raise
    _check_utf8(path)
    # The schema names columns that may be nowhere in the file.
    present = [c for c in table.column_names if c in first or table[c].null_count < len(table)]
    check_columns(present, path.name)
    return table.select([c for c in present if c in COLUMNS]), present


def _kind(column: str, value: Any) -> Any:
    """Return the Arrow type that a column has throughout, going by its first value."""
    if isinstance(value, str) or (value is None and column in TEXTS):
        return pa.large_string()
    if isinstance(value, bool):
        return pa.bool_()
    if column in NUMBERS:
        return pa.float64()
    return pa.int64() if isinstance(value, int) else None


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Parse the rows with Python's own parser: slow, and exact about what is wrong where."""
    row = 0
    with open_unpacked(path) as lines:
        for raw in lines:
            if not raw.strip():
                continue
            row += 1
            try:
                record = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
            except UnicodeDecodeError:
                raise DataError(f"{path.name}: row {row}: the text is not UTF-8") from None
            except ValueError as error:
                raise DataError(
                    f"{path.name}: row {row}: not JSON: {one_line(str(error), 200)}"
                ) from None
            if not isinstance(record, dict):
                raise DataError(f"{path.name}: row {row} is no JSON object")
            yield record


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number; use null where there is none")


def _first_bad_record(path: Path, first: dict[str, Any]) -> None:
    """Raise for the first row that is no JSON, or whose types are not the first row's."""
    kinds: dict[str, Any] = {}
    for row, record in enumerate(_records(path), 1):
        for column in COLUMNS:
            value = record.get(column)
            if value is None:
                continue
            kind = kinds.setdefault(column, _kind(column, first.get(column, value)))
            if _kind(column, value) != kind or kind is None:
                raise DataError(
                    f"{path.name}: row {row}, column {column}: {value!r} is of another type than"
                    " the rows above",
                    "write a column as text throughout, or as numbers throughout",
                )


def _check_magic(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(4)
    packed = path.suffix.lower() == ".gz"
    if packed and not head.startswith(b"\x1f\x8b"):
        raise DataError(f"{path.name}: is not a gzip file, whatever its name says")
    for magic, kind in _MAGIC.items():
        if head.startswith(magic) and not packed:
            raise DataError(f"{path.name}: is {kind}, whatever its name says")


def _check_utf8(path: Path) -> None:
    """Raise for the first line that is not UTF-8; Arrow does not say which."""
    with open_unpacked(path) as lines:
        for number, raw in enumerate(lines, 1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                raise DataError(
                    f"{path.name}: line {number} of the file: the text is not UTF-8"
                ) from None


def open_unpacked(path: Path) -> Any:
    """Open the bytes of a file, unpacked if it is a .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")
