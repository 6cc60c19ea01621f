"""Blocks of rows from PersonaRoute-Bench's CSV files, and row places for error messages."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.data.files import broken_rows, open_unpacked
from routebench.errors import DataError, did_you_mean
from routebench.files import damage
from routebench.records import Floats, Ints, Mask

REQUIRED = ("user_id", "performance_preference", "task_id", "query", "llm", "effect", "cost")
OPTIONAL = (
    "reward",
    "ground_truth",
    "task_description",
    "query_embedding",
    "task_description_embedding",
)
BLOCK = 1 << 20
LONG_BLOCK = 1 << 26
"""Bytes at a time: the first takes little memory, the second any row that makes sense."""


class LongRowError(Exception):
    """A row does not fit into a block."""


class Block:
    """Some rows of a file; a column is a list of distinct texts and their numbers by row."""

    def __init__(
        self, batch: Any, file: int, start: int, starts: list[int], paths: Sequence[Path]
    ) -> None:
        self._batch, self._starts, self._paths = batch, starts, paths
        self.file, self.start = file, start

    def has(self, column: str) -> bool:
        return column in self._batch.schema.names

    def place(self, row: int) -> str:
        return self.place_of(self.start + row)

    def place_of(self, row: int) -> str:
        """Return file and row of a row counted over all files."""
        file = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"{self._paths[file].name}: row {row - self._starts[file] + 1}"

    def entries(self, column: str) -> tuple[list[str], Ints]:
        held = self._batch.column(column)
        return held.dictionary.to_pylist(), held.indices.to_numpy().astype(np.int64)

    def text(self, column: str, row: int) -> Any:
        return self._batch.column(column)[row].as_py()

    def codes(self, column: str, known: dict[str, int]) -> Ints:
        """Return [rows] the numbers of the column's texts; new texts get the next ones."""
        texts, local = self.entries(column)
        numbers = [known.setdefault(text, len(known)) for text in texts]
        return np.array(numbers, dtype=np.int64)[local]

    def check_filled(self, column: str) -> None:
        held = self._batch.column(column)
        if held.null_count:
            row = held.is_null().index(True).as_py()
            raise DataError(f"{self.place(row)}, column {column}: is empty")

    def numbers(self, column: str, empty: bool = False) -> Floats:
        """Return [rows] the column as finite numbers; NaN for empty cells if these are allowed."""
        held = self._batch.column(column)
        texts = held.dictionary
        try:
            values = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            values = np.array([_float(text) for text in texts.to_pylist()])
        local = held.indices.fill_null(0).to_numpy()
        rows: Floats = values[local] if len(values) else np.full(len(local), np.nan)
        missing = held.is_null().to_numpy(zero_copy_only=False) if empty else False
        wrong = ~np.isfinite(rows) & ~np.asarray(missing)
        if wrong.any():
            row = int(wrong.argmax())
            text = self.text(column, row)
            raise DataError(f"{self.place(row)}, column {column}: {text!r} is no finite number")
        return np.where(missing, np.nan, rows) if empty else rows

    def check(self, good: Mask, values: Floats, column: str, bounds: str) -> None:
        if not good.all():
            row = int((~good).argmax())
            raise DataError(f"{self.place(row)}, column {column}: {values[row]:g} is not {bounds}")

    def pairs(self, column: str, owners: Ints) -> Iterator[tuple[int, str | None, int]]:
        """Yield each owner with each of its texts in this block, and a row of both."""
        if not self.has(column):
            return
        held = self._batch.column(column)
        texts = [*held.dictionary.to_pylist(), None]
        local = held.indices.fill_null(len(texts) - 1).to_numpy().astype(np.int64)
        keys, first = np.unique(owners * len(texts) + local, return_index=True)
        for key, row in zip(keys.tolist(), first.tolist(), strict=True):
            owner, text = divmod(key, len(texts))
            yield owner, texts[text], row

    def earlier(self, row: int) -> str:
        """Return the place of the first row with this row's user, task, query and model."""
        columns = ("user_id", "task_id", "query", "llm")
        wanted = [self.text(column, row) for column in columns]
        for block in blocks(self._paths, LONG_BLOCK, columns):
            same = np.ones(block._batch.num_rows, dtype=bool)
            for column, value in zip(columns, wanted, strict=True):
                texts, local = block.entries(column)
                same &= local == (texts.index(value) if value in texts else -1)
            if same.any():
                return block.place(int(same.argmax()))
        return "another row"


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def blocks(paths: Sequence[Path], size: int, only: Sequence[str] = ()) -> Iterator[Block]:
    starts: list[int] = []
    start = 0
    for file, path in enumerate(paths):
        starts.append(start)
        try:
            for batch in _batches(path, size, only):
                if batch.num_rows:
                    yield Block(batch, file, start, starts, paths)
                    start += batch.num_rows
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, PermissionError):
                raise DataError(f"{path.name}: may not be read") from error
            raise DataError(f"{path.name}: is damaged or cut short") from error
        if start == starts[-1]:
            raise DataError(f"{path.name}: there are no rows")


def _batches(path: Path, size: int, only: Sequence[str]) -> Iterator[Any]:
    """Yield record batches with the known columns of a CSV, each as a dictionary of texts."""
    from pyarrow import csv as arrow

    wanted = list(only) or _header(path)
    try:
        with open_unpacked(path) as stream, broken_rows(path) as note:
            yield from arrow.open_csv(
                stream,
                # One thread, or Arrow cannot say which row is broken.
                arrow.ReadOptions(block_size=size, use_threads=False),
                arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(
                        wanted, pa.dictionary(pa.int32(), pa.large_string())
                    ),
                    include_columns=wanted,
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise DataError(f"{path.name}: there are no rows") from None
        if "straddl" in str(error) and size < LONG_BLOCK:
            raise LongRowError from None
        raise DataError(f"{path.name}: cannot be read: {damage(error)}") from error


def _header(path: Path) -> list[str]:
    """Return the known columns of a file."""
    try:
        with io.TextIOWrapper(open_unpacked(path), encoding="utf-8-sig", newline="") as lines:
            present = next(csv.reader(lines), [])
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: is no CSV file: the text is not UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path.name}: is no CSV file: {error}") from error
    if not present:
        raise DataError(f"{path.name}: the file is empty, without even a header")
    for column in REQUIRED:
        if column not in present:
            raise DataError(
                f"{path.name}: there is no column {column}", did_you_mean(column, present)
            )
    known = [column for column in present if column in (*REQUIRED, *OPTIONAL)]
    for column in known:
        if known.count(column) > 1:
            raise DataError(f"{path.name}: the header has the column {column} twice")
    return known
