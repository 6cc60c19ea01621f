"""Reading the columns of a table a user gave: converted as a whole, errors naming the row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.data import scores
from routebench.errors import DataError
from routebench.records import Floats, Ints, Mask, Strings

# No leading plus and no underscores: what Arrow itself reads as a number.
_NUMERIC = r"^(-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|-?(?i:nan|inf|infinity))$"


Lines = Callable[[Sequence[int]], list[int]]
"""Where rows (from 0) begin in the file, as an editor shows it; 0 where that is unknown."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A text column as codes into its distinct values; -1 for null."""

    codes: Ints
    values: Strings


class TableColumns:
    """The table's columns, converted on demand, with errors that name the row."""

    def __init__(self, table: pa.Table, place: str, lines: Lines | None = None) -> None:
        self.table, self.place, self._lines = table, place, lines
        if table.num_rows == 0:
            raise DataError(f"{place}: the table has no rows")

    def __contains__(self, column: str) -> bool:
        return column in self.table.column_names

    def fail(self, bad: Mask | Ints, column: str, problem: str, hint: str = "") -> NoReturn:
        """Raise for the rows where `bad`, naming the first few."""
        rows = np.flatnonzero(bad) + 1 if bad.dtype == np.bool_ else np.sort(bad) + 1
        first = ", ".join(str(row) for row in rows[:3])
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        lines = self._at([int(row) for row in rows[:3]])
        raise DataError(
            f"{self.place}: row{'s' * (len(rows) > 1)} {first}{more}{lines}, column {column}:"
            f" {problem}",
            hint,
        )

    def _at(self, rows: list[int]) -> str:
        """Return the lines of rows (from 1), where an editor counts otherwise."""
        found = [] if self._lines is None else self._lines([row - 1 for row in rows])
        if not found or not all(found) or found == rows:
            return ""
        return f" (line{'s' * (len(found) > 1)} {', '.join(map(str, found))})"

    def text(self, column: str) -> Any:
        """Return the column as one Arrow large_string array."""
        kind = self.table.schema.field(column).type
        try:
            array = pc.cast(self.table[column], pa.large_string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"{self.place}: column {column}: {kind} is not text") from error
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            raise DataError(f"{self.place}: column {column}: the text is not UTF-8") from None
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array

    def coded(self, column: str) -> Coded:
        array = self.text(column).dictionary_encode()
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return Coded(codes, objects(array.dictionary.to_pylist()))

    def key(self, column: str) -> Coded:
        """Return a text column that must have a value in every row."""
        coded = self.coded(column)
        blank = np.array([not value.strip() for value in coded.values] + [True])
        if blank[coded.codes].any():
            self.fail(blank[coded.codes], column, "is empty")
        return coded

    def places(self, column: str) -> Ints:
        """Return [rows] the rank of each row's text among the distinct ones; null is empty."""
        array = pc.fill_null(self.text(column), "").dictionary_encode()
        places = pc.rank(array.dictionary, sort_keys="ascending").to_numpy().astype(np.int64)
        by_row: Ints = places[array.indices.to_numpy()] - 1
        return by_row

    def number(self, column: str) -> tuple[Floats, Mask]:
        """Return the column as float64, NaN and infinity refused, and where it is null."""
        return self._finite(self._whole(column), column)

    def shares(self, column: str, top: float) -> tuple[Floats, Mask, Mask]:
        """Return scores as shares of their maximum, where they are null, and where `top` counts.

        True, yes and per cent have a maximum of their own.
        """
        array = self._whole(column)
        words = percent = np.zeros(len(array), dtype=np.bool_)
        if _is_text(array):
            array, words, percent = scores.plain(array)
        elif pa.types.is_boolean(array.type):
            words = np.ones(len(array), dtype=np.bool_)
        values, null = self._finite(array, column)
        return scores.scaled(values, words, percent, top), null, ~(words | percent)

    def _finite(self, given: Any, column: str) -> tuple[Floats, Mask]:
        array = self._floats(given, column)
        null: Mask = array.is_null().to_numpy(zero_copy_only=False)
        values: Floats = array.fill_null(0.0).to_numpy(zero_copy_only=False).astype(np.float64)
        wrong = ~np.isfinite(values)
        if wrong.any():
            first = values[np.flatnonzero(wrong)[0]]
            hint = "leave the cell empty where there is none" if np.isnan(first) else ""
            self.fail(wrong, column, f"is {'NaN' if np.isnan(first) else first}", hint)
        return np.where(null, np.nan, values), null

    def _whole(self, column: str) -> Any:
        array = self.table[column].combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks)
        return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array

    def _floats(self, array: Any, column: str) -> Any:
        try:
            if _is_text(array):
                array = pc.utf8_trim_whitespace(array)
                # An empty text is no number, but no error either: CSV writes null so.
                array = pc.if_else(pc.equal(array, ""), None, array)
            return pc.cast(array, pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return self._not_numeric(array, column)

    def _not_numeric(self, array: Any, column: str) -> NoReturn:
        if _is_text(array):
            fine = pc.match_substring_regex(array, _NUMERIC).fill_null(True)
            bad = ~fine.to_numpy(zero_copy_only=False)
            if bad.any():
                value = array[int(np.flatnonzero(bad)[0])].as_py()
                hint = ""
                if re.fullmatch(r"-?[\d.]+(,\d+)+", value):
                    hint = "write 1000.5, without commas"
                self.fail(bad, column, f"{value!r} is not a number", hint)
        raise DataError(f"{self.place}: column {column}: {array.type} is not a number")

    def choice(self, column: str, known: dict[str, int]) -> Ints:
        """Return codes of a column of known words, any case; -1 for null."""
        coded = self.coded(column)
        words = [value.strip().upper().replace(" ", "_") for value in coded.values]
        lookup = np.array([known.get(w, -1 if not w else -2) for w in words] + [-1])
        codes: Ints = lookup[coded.codes]
        if (codes == -2).any():
            value = coded.values[coded.codes[np.flatnonzero(codes == -2)[0]]]
            self.fail(
                codes == -2, column, f"unknown {column} {value!r}", f"known: {', '.join(known)}"
            )
        return codes


def _is_text(array: Any) -> bool:
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def objects(values: Sequence[str | None]) -> Strings:
    """Return an object array of texts, whatever their lengths."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
