"""Reading the files of public data: their beginning, and their rows one by one."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from routebench.data.files import open_unpacked
from routebench.errors import DataError
from routebench.files import damage
from routebench.hookspecs import FileHead

_HEAD = 1 << 16  # bytes in which a file says what it is
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_KEY = re.compile(r'"((?:[^"\\]|\\.){1,200})"\s*:')


def files_in(path: Path, *suffixes: str) -> list[Path]:
    """Return a file itself, or the files below a folder with these endings, by name."""
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(suffixes))
    if not found:
        raise DataError(f"{path}: there is no {' or '.join(suffixes)} in this folder")
    return found


def head_of(path: Path) -> FileHead:
    """Read the beginning of a file, by which its format is recognised."""
    try:
        return _head(path)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, pa.ArrowException) as error:
        refused = error.strerror if isinstance(error, OSError) else None
        why = refused or damage(error)
        raise DataError(f"{path.name}: cannot be read: {why}") from error


def _head(path: Path) -> FileHead:
    with open_file(path) as stream:
        raw = stream.read(_HEAD)
    if raw.startswith(_WIDE):
        raise DataError(f"{path.name}: the text is UTF-16, not UTF-8", "save it as UTF-8")
    kind = "".join(path.suffixes[-2:]).lower()
    if kind.endswith((".tar", ".tar.gz", ".tgz")):
        return FileHead(path, "tar")
    if raw.startswith(b"PAR1"):
        import pyarrow.parquet as pq

        return FileHead(path, "parquet", tuple(pq.read_schema(path).names))
    if raw.startswith(b"\x80"):
        return FileHead(path, "pickle")
    text = raw.decode("utf-8-sig", "replace").lstrip()
    if text.startswith(("{", "[")):
        line, more, _ = text.partition("\n")
        rows = text.startswith("{") and _is_object(line) and bool(more or ".jsonl" in path.suffixes)
        # The rest may speak of anything: of JSON lines the first one says what they are.
        names = tuple(dict.fromkeys(_KEY.findall(line if rows else text)))
        return FileHead(
            path, "jsonl" if rows else "list" if text.startswith("[") else "json", names
        )
    lines = csv.reader(io.StringIO(text, newline=""))
    try:
        return FileHead(path, "csv", tuple(next(lines, ())), tuple(next(lines, ())))
    except csv.Error:
        return FileHead(path, "")


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def open_file(path: Path) -> Any:
    """Open the bytes of a file, unpacked if it is a .gz."""
    try:
        return open_unpacked(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


Bad = Callable[[DataError], None]
"""What is done with the error of one row: it raises it, or notes that the row is left out."""


def _raise(error: DataError) -> None:
    raise error


def read_csv(path: Path, bad: Bad = _raise) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every row with the place to name it by: `file: row 1`, the header not counted."""
    csv.field_size_limit(min(sys.maxsize, (1 << 31) - 1))  # answers are longer than its default
    row = 0
    try:
        with io.TextIOWrapper(open_file(path), "utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            reader.fieldnames  # noqa: B018 the header is read here
            line = reader.line_num + 1
            if len(set(reader.fieldnames or ())) < len(reader.fieldnames or ()):
                raise DataError(f"{path.name}: a column is there more than once")
            for row, cells in enumerate(reader, 1):
                place = f"{path.name}: row {row} (line {line})"
                line = reader.line_num + 1
                if None in cells or None in cells.values():
                    bad(DataError(f"{place} has not as many fields as the header"))
                    continue
                yield place, cells
    except UnicodeDecodeError:
        raise DataError(
            f"{path.name}: after row {row}: the text is not UTF-8", "save it as UTF-8"
        ) from None
    except (csv.Error, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path.name}: after row {row}: cannot be read: {error}") from error


def read_jsonl(path: Path, bad: Bad = _raise) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a file of JSON lines, with the place to name it by; NaN is null."""
    row = 0
    try:
        with open_file(path) as lines:
            for line, raw in enumerate(lines, 1):
                if not raw.strip():
                    continue
                row += 1
                place = f"{path.name}: row {row}" + (f" (line {line})" if line != row else "")
                try:
                    record = parse_json(raw, place)
                    if not isinstance(record, dict):
                        raise DataError(f"{place} is no JSON object")
                except DataError as error:
                    bad(error)
                    continue
                yield place, record
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path.name}: after row {row}: cannot be read: {error}") from error


def read_json(path: Path) -> Any:
    """Read a whole JSON file; NaN is null."""
    try:
        with open_file(path) as stream:
            return parse_json(stream.read(), path.name)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path.name}: cannot be read: {error}") from error


def read_records(path: Path, kind: str, bad: Bad = _raise) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a file of a `FileHead.kind` with rows, with the place to name each by."""
    if kind == "csv":
        yield from read_csv(path, bad)
    elif kind in ("jsonl", "json"):
        yield from read_jsonl(path, bad)
    elif kind == "parquet":
        yield from _read_parquet(path)
    else:
        for row, record in enumerate(read_json(path), 1):
            if isinstance(record, dict):
                yield f"{path.name}: row {row}", record
            else:
                bad(DataError(f"{path.name}: row {row} is no JSON object"))


def _read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow.parquet as pq

    row = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(1024):
            for record in batch.to_pylist():
                row += 1
                yield f"{path.name}: row {row}", record
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path.name}: after row {row}: cannot be read: {error}") from error


def parse_json(raw: bytes, place: str) -> Any:
    """Parse JSON text; a `DataError` that names the place where it is none."""
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=lambda _: None)
    except UnicodeDecodeError:
        raise DataError(f"{place}: the text is not UTF-8", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {error}") from None
