"""CSV and its relatives: separated by commas, semicolons, tabs or bars, in any usual encoding.

Every column is read as text: what should be a number is converted later, where an error can name
its row.
"""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from routebench.data.long_table import COLUMNS, NUMBERS
from routebench.data.reading.encodings import as_utf8, encoding_note, open_unpacked, wide_encoding
from routebench.errors import DataError

BLOCK = 1 << 26  # bytes; no row may be longer
_SEPARATORS = {",": "commas", ";": "semicolons (;)", "\t": "tabs", "|": "bars (|)"}
_HEAD = 1 << 20
_DECIMAL = r"^\s*-?\d*,\d+([eE][+-]?\d+)?\s*%?\s*$"
_THOUSANDS = r"^\s*-?[1-9]\d{0,2}(,\d{3})+\s*$"


class DelimitedFile:
    """A file of separated values; `known` are names of columns by which its header is told."""

    def __init__(self, path: Path, known: Collection[str] = ()) -> None:
        self.path = path
        self._known = {*COLUMNS, *known}
        self._text: bytes | None = None
        self._skip = 0
        self.notes: tuple[str, ...] = ()
        if wide_encoding(path) is not None:
            self._recode()
        try:
            head = self._first_lines()
        except UnicodeDecodeError:
            self._recode()
            head = self._first_lines()
        self.separator, self.present = self._header(head)
        usual = "\t" if ".tsv" in path.suffixes[-2:] else ","
        if self.separator != usual:
            self.notes += (f"separated by {_SEPARATORS[self.separator]}",)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return columns as text; null where a cell is empty."""
        try:
            return self._arrow(columns)
        except (pa.ArrowInvalid, DataError):
            if self._text is not None:
                raise
            text, name = as_utf8(self.path)  # raises where it is in no encoding at all
            if name == "UTF-8":
                raise
            self._text, self.notes = text, self.notes + encoding_note(name)
            return self._arrow(columns)

    def lines(self, rows: Sequence[int]) -> list[int]:
        """Return the line on which each row (from 0) begins, as an editor shows it."""
        wanted, found, row = set(rows), dict[int, int](), 0
        with self._reader() as reader:
            begin = reader.line_num + 1
            for cells in reader:
                if cells:
                    if row > 0 and row - 1 in wanted:
                        found[row - 1] = begin + self._skip
                    row += 1
                begin = reader.line_num + 1
        return [found.get(each, 0) for each in rows]

    def _recode(self) -> None:
        self._text, name = as_utf8(self.path)
        self.notes += encoding_note(name)

    def _stream(self) -> Any:
        stream = open_unpacked(self.path) if self._text is None else io.BytesIO(self._text)
        for _ in range(self._skip):
            stream.readline()
        return stream

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Any]:
        csv.field_size_limit(min(sys.maxsize, (1 << 31) - 1))  # answers are longer than its default
        with io.TextIOWrapper(
            self._stream(), encoding="utf-8-sig", errors="replace", newline=""
        ) as text:
            yield csv.reader(text, delimiter=self.separator)

    def _first_lines(self) -> str:
        with io.TextIOWrapper(self._stream(), encoding="utf-8-sig", newline="") as text:
            head = text.readline()
            while head.count('"') % 2 and len(head) < _HEAD and (more := text.readline()):
                head += more
            return head

    def _header(self, head: str) -> tuple[str, list[str]]:
        first = head.strip().lower()
        if first.startswith("sep=") and len(first) == 5 and first[4] in _SEPARATORS:  # Excel's
            self._skip = 1
            return first[4], self._fields(self._first_lines(), first[4])
        by = {mark: self._fields(head, mark) for mark in _SEPARATORS}
        if not any(by.values()):
            raise DataError(f"{self.path.name}: there is no header")

        def fit(mark: str) -> tuple[int, int]:
            return len(self._known & set(by[mark])), len(by[mark])

        best = max(_SEPARATORS, key=fit)
        # Columns of unknown names: commas, unless there are none.
        separator = best if fit(best)[0] > fit(",")[0] or fit(",")[1] == 1 else ","
        return separator, by[separator]

    def _fields(self, head: str, separator: str) -> list[str]:
        try:
            return next(csv.reader(io.StringIO(head, newline=""), delimiter=separator), [])
        except csv.Error as error:
            raise DataError(f"{self.path.name}: is not a CSV file: {error}") from error

    def _arrow(self, columns: Sequence[str]) -> pa.Table:
        from pyarrow import csv as arrow

        with self._stream() as stream, broken_rows(self.path, self._line) as note:
            return arrow.read_csv(
                stream,
                # One thread, or Arrow cannot say which row is broken.
                arrow.ReadOptions(block_size=BLOCK, use_threads=False),
                arrow.ParseOptions(
                    delimiter=self.separator, newlines_in_values=True, invalid_row_handler=note
                ),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.large_string()),
                    include_columns=list(columns),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,  # see `without_empty`
                ),
            )

    def _line(self, row: int) -> int:
        return self.lines([row])[0]


@contextlib.contextmanager
def broken_rows(
    path: Path, line: Callable[[int], int] | None = None
) -> Iterator[Callable[[Any], str]]:
    """Yield an `invalid_row_handler` for Arrow; a `DataError` names the row it was called for.

    `line` returns where a row (from 0) begins, as an editor shows it.
    """
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
        if row.number is not None and line is not None:
            where += f" (line {line(row.number - 2)})"
        raise DataError(
            f"{path.name}: {where} has {row.actual_columns} fields, not the header's"
            f" {row.expected_columns}",
            "a field with commas or line breaks needs quotes",
        ) from None


def without_empty(table: pa.Table) -> pa.Table:
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


def decimal_points(table: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Return a table with decimal commas turned to points, and a note on the columns.

    Only for files that commas do not separate. A column in which every comma may set off
    thousands (1,000) stays as it is, and is no number.
    """
    changed = []
    for name in [each for each in NUMBERS if each in table.column_names]:
        column = table[name]
        comma = pc.fill_null(pc.match_substring_regex(column, _DECIMAL), False)
        either = pc.fill_null(pc.match_substring_regex(column, _THOUSANDS), False)
        sure = pc.and_(comma, pc.invert(either))
        if not pc.any(sure).as_py() or pc.any(pc.match_substring(column, ".")).as_py():
            continue
        points = pc.if_else(comma, pc.replace_substring(column, ",", "."), column)
        table = table.set_column(table.column_names.index(name), name, points)
        changed.append(name)
    note = f"decimal commas in {', '.join(changed)}, read as points"
    return table, ((note,) if changed else ())
