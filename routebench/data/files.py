"""Reading an outcomes file, whole or not at all: one error for whatever is wrong with it.

Ids and texts stay text (`007` is no number). What is read in another way than it stands there is
said in a note.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from routebench import limits
from routebench.data.columns import Lines
from routebench.data.long_table import check_columns
from routebench.data.reading import wide
from routebench.data.reading.delimited import (
    DelimitedFile,
    broken_rows,
    decimal_points,
    without_empty,
)
from routebench.data.reading.encodings import open_unpacked
from routebench.data.reading.json_rows import Conversion, JsonFile, nested_to_text
from routebench.data.reading.mapping import Columns, has, lookup
from routebench.errors import DataError, did_you_mean
from routebench.files import SUFFIX, damage

__all__ = ["Read", "TableFile", "broken_rows", "open_unpacked", "read_file", "read_table"]

_MAGIC = {b"PAR1": "a Parquet file", b"\x1f\x8b": "a gzip file", b"PK\x03\x04": "a zip file"}
TEXT = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
KINDS = (".parquet", *TEXT)


@dataclass(frozen=True, slots=True)
class Read:
    """The options with which a file is read."""

    columns: Mapping[str, str] | None = None
    """The file's name, or a dotted path in it, of columns that are called otherwise there."""
    models: tuple[str, ...] = ()
    """Columns that are models: one row per query."""
    score_max: float = 1.0
    checked: bool = True
    """Whether columns that a run needs must be there."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file's columns that are understood."""

    table: pa.Table
    present: tuple[str, ...]
    """All columns of the file."""
    notes: tuple[str, ...]
    lines: Lines | None = None


def read_table(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the columns of an outcomes file that are understood, and a note on the others.

    Raises:
        DataError: naming the file, and the row (from 1, a header not counted) where it is known.
    """
    read = read_file(path)
    return read.table, read.notes


def read_file(path: Path, how: Read | None = None) -> TableFile:
    """Read an outcomes file with what is to be said of it.

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
        with limits.within_memory(path):
            return reader(path, how or Read())
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: a name or a text in it is not UTF-8") from error
    except pa.ArrowException as error:
        raise DataError(f"{path.name}: cannot be read: {damage(error)}") from error
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, PermissionError):
            raise DataError(f"{path.name}: may not be read") from error
        raise DataError(f"{path.name}: is damaged or cut short") from error


def is_outcomes_name(name: str) -> bool:
    """Return whether a name is that of a kind of file that can be read."""
    name = name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    return kind in TEXT or name.endswith((".parquet", SUFFIX))


_Reader = Callable[[Path, Read], TableFile]


def _reader(path: Path) -> _Reader:
    readers: dict[str, _Reader] = {".parquet": _parquet, ".csv": _csv, ".tsv": _csv}
    name = path.name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in KINDS or (kind == ".parquet" and name.endswith(".gz")):
        known = ", ".join(KINDS)
        raise DataError(
            f"{path.name}: not a kind of file that can be read",
            f"known: {known}, all but .parquet also with .gz; .sqlite",
        )
    return readers.get(kind, _json)


def _parquet(path: Path, how: Read) -> TableFile:
    import pyarrow.parquet as pq

    with path.open("rb") as stream:
        head = stream.read(4)
    if head != b"PAR1":
        raise DataError(f"{path.name}: is not a Parquet file, whatever its name says")
    with pq.ParquetFile(path) as file:
        limits.check(path.name, "rows", file.metadata.num_rows, limits.ROWS)
        present = file.schema_arrow.names
        columns = Columns.of(present, how.columns or {})
        _check_sources(present, how, path.name, nested=True)

        def read(sources: Mapping[str, str]) -> pa.Table:
            heads = [at if at in present else at.partition(".")[0] for at in sources.values()]
            table = file.read(columns=list(dict.fromkeys(heads)))
            table.validate(full=True)  # texts may be no UTF-8
            inner = Conversion(path.name)
            return pa.table(
                {
                    name: table[head]
                    if head == at
                    else inner.column(
                        name, [lookup(row, at) for row in table.select([head]).to_pylist()]
                    )
                    for head, (name, at) in zip(heads, sources.items(), strict=True)
                }
            )

        made = _made(path, present, columns, how, read, ())
    table, notes = nested_to_text(made.table, path.name)
    return replace(made, table=table, notes=made.notes + notes)


def _csv(path: Path, how: Read) -> TableFile:
    _check_magic(path)
    file = DelimitedFile(path, tuple((how.columns or {}).values()))
    columns = Columns.of(file.present, how.columns or {})
    _check_sources(file.present, how, path.name)

    def read(sources: Mapping[str, str]) -> pa.Table:
        table = file.read(list(dict.fromkeys(sources.values())))
        return without_empty(pa.table({name: table[at] for name, at in sources.items()}))

    made = _made(path, file.present, columns, how, read, ())
    table, notes = (made.table, ()) if file.separator == "," else decimal_points(made.table)
    lines = None if _is_wide(columns, how) else file.lines
    return TableFile(table, made.present, file.notes + made.notes + notes, lines)


def _json(path: Path, how: Read) -> TableFile:
    _check_magic(path)
    file = JsonFile(path)
    columns = Columns.of(file.present, how.columns or {})
    for column, source in (how.columns or {}).items():
        if source not in file.present and not has(file.first(), source):
            head = source.partition(".")[0]
            if head in file.present and "." in source:
                continue  # in another row, it may be
            _no_source(column, source, file.present, path.name)
    made = _made(path, file.present, columns, how, file.read, ())
    lines = None if _is_wide(columns, how) else file.lines
    return TableFile(made.table, made.present, file.notes + made.notes, lines)


def _made(
    path: Path,
    present: Sequence[str],
    columns: Columns,
    how: Read,
    read: Callable[[Mapping[str, str]], pa.Table],
    notes: tuple[str, ...],
) -> TableFile:
    """Read the columns that are wanted, one per model where the table is wide."""
    if _is_wide(columns, how):
        names = {name: name for name in (*columns.unused, *columns.sources)}
        everything = read(names | columns.sources)
        models = wide.model_columns(
            everything, columns.unused, how.models, path.name, how.score_max
        )
        if models:
            table = wide.to_long(everything, {name: name for name in columns.sources}, models)
            left = replace(columns, unused=tuple(c for c in columns.unused if c not in models))
            said = (wide.note(models), *left.notes())
            return TableFile(table, tuple(present), notes + said)
    if how.checked:
        sources = columns.sources
        twice = [c for c in present if list(present).count(c) > 1 and sources.get(c) == c]
        others = [name for name in columns.unused if name not in sources]
        check_columns([*sources, *twice, *others], path.name)
    table = read(columns.sources) if columns.sources else pa.table({})
    return TableFile(table, tuple(present), notes + columns.notes())


def _is_wide(columns: Columns, how: Read) -> bool:
    return wide.is_wide(columns.sources, how.models)


def _check_sources(present: Sequence[str], how: Read, place: str, *, nested: bool = False) -> None:
    for column, source in (how.columns or {}).items():
        known = source in present or (nested and source.partition(".")[0] in present)
        if not known:
            _no_source(column, source, present, place)


def _no_source(column: str, source: str, present: Sequence[str], place: str) -> None:
    raise DataError(
        f"{place}: --map {column}={source}: there is no column {source!r}",
        did_you_mean(source, present),
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
