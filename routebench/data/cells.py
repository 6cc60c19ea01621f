"""The rows of a long-form table behind each cell [query, model], and their aggregate.

Most tables have one row per cell, and pay nothing for those that have several. Several rows are
taken in the order of their `sample` labels, so that the order of the file changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from routebench.data.columns import Coded, TableColumns
from routebench.records import Codes, Floats, Ints, Mask, State


@dataclass(frozen=True, slots=True)
class Repeats:
    """All rows of a table, cell by cell and within a cell by label."""

    row: Ints
    """[r] row of the table."""
    cell: Ints
    """[r] which of the n · m cells it belongs to."""

    def take(self, rows: Mask) -> Repeats:
        return Repeats(self.row[rows], self.cell[rows])


@dataclass(frozen=True, slots=True)
class CellRows:
    """The rows of each of n · m cells."""

    shape: tuple[int, int]
    row: Ints
    """[n · m] the row that represents a cell; -1 for an absent one."""
    repeats: Repeats | None = None
    """None where no cell has several rows."""

    @classmethod
    def of(
        cls, rows: TableColumns, query: Coded, model: Coded, order: Ints, models: tuple[str, ...]
    ) -> CellRows:
        """Return the cells of queries in the given order, and of models in that of `models`.

        Raises:
            DataError: naming two rows that nothing tells apart.
        """
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        position = np.array([models.index(value) for value in model.values])
        flat = rank[query.codes] * len(models) + position[model.codes]
        shape = (len(order), len(models))
        row = first_rows(flat, np.arange(len(flat)), shape[0] * shape[1])
        again = row[flat] != np.arange(len(flat))
        if not again.any():
            return cls(shape, row)
        if "sample" not in rows:
            second = int(np.flatnonzero(again)[0])
            _fail(rows, query, model, (int(row[flat[second]]), second), int(again.sum()))
        return cls(shape, row, _sorted(rows, query, model, flat))

    def settled(self, state: Codes) -> CellRows:
        """Keep the rows that count, the first of which represents its cell.

        They are a cell's OK rows; without any, its ungraded ones; without these, its failed ones.
        """
        if self.repeats is None:
            return self
        states = state[self.repeats.row]
        settled = np.full(len(self.row), State.FAILED, dtype=np.int8)
        for better in (State.UNGRADED, State.OK):
            settled[self.repeats.cell[states == better]] = better
        counted = self.repeats.take(states == settled[self.repeats.cell])
        row = np.full(len(self.row), -1, dtype=np.int64)
        row[counted.cell[::-1]] = counted.row[::-1]
        return replace(self, row=row, repeats=counted)

    def beside(self, state: Codes) -> int:
        """Return the number of rows that are not OK in cells with an OK one."""
        if self.repeats is None:
            return 0
        scored = state[self.repeats.row] == State.OK
        ok = np.zeros(len(self.row), dtype=np.bool_)
        ok[self.repeats.cell[scored]] = True
        return int((ok[self.repeats.cell] & ~scored).sum())

    def spread(self, values: Any, empty: float) -> Any:
        """Return [n, m] the value of the row that represents a cell; `empty` in absent cells."""
        filled = np.where(self.row >= 0, values[self.row], np.asarray(empty, values.dtype))
        return filled.reshape(self.shape)

    def shared(self, values: Any, empty: float) -> Any | None:
        """Return [n, m] the value that all rows of a cell have; None where they differ anywhere."""
        if self.repeats is not None:
            one = values[self.row[self.repeats.cell]]
            if (values[self.repeats.row] != one).any():
                return None
        return self.spread(values, empty)

    def mean(self, values: Floats, *, whole: bool = False) -> Floats:
        """Return [n, m] the mean over the rows of a cell that have a value.

        NaN where none has one; with `whole`, where any has none.
        """
        if self.repeats is None:
            alone: Floats = self.spread(values, np.nan)
            return alone
        repeated, cell = values[self.repeats.row], self.repeats.cell
        known = ~np.isnan(repeated)
        total = np.bincount(cell[known], repeated[known], minlength=len(self.row))
        count = np.bincount(cell[known], minlength=len(self.row))
        if whole:
            count[cell[~known]] = 0
        mean = np.full(len(self.row), np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        return mean.reshape(self.shape)

    def samples(self, score: Floats) -> Floats | None:
        """Return [n, m, k] the scores of each cell's rows, padded with NaN; None where k < 2."""
        if self.repeats is None:
            return None
        repeated = score[self.repeats.row]
        scored = self.repeats.cell[~np.isnan(repeated)]
        count = np.bincount(scored, minlength=len(self.row))
        k = int(count.max())
        if k < 2:
            return None
        samples = np.full((len(self.row), k), np.nan)
        begin = np.cumsum(count) - count
        samples[scored, np.arange(len(scored)) - begin[scored]] = repeated[~np.isnan(repeated)]
        return samples.reshape(*self.shape, k)


def first_rows(codes: Ints, rows: Ints, n: int) -> Ints:
    """Return [n] the first of the rows with each code; -1 where there is none."""
    at = np.full(n, -1, dtype=np.int64)
    at[codes[rows[::-1]]] = rows[::-1]
    return at


def _sorted(rows: TableColumns, query: Coded, model: Coded, flat: Ints) -> Repeats:
    label = rows.places("sample")
    key = flat * (label.max() + 1) + label
    by = np.argsort(key, kind="stable")
    again = by[1:][key[by[1:]] == key[by[:-1]]]
    if len(again):
        second = int(again.min())
        one = int(np.flatnonzero(key == key[second])[0])
        _fail(rows, query, model, (one, second), len(again), label=True)
    return Repeats(by, flat[by])


def _fail(
    rows: TableColumns,
    query: Coded,
    model: Coded,
    pair: tuple[int, int],
    count: int,
    *,
    label: bool = False,
) -> NoReturn:
    """Raise for two rows of one cell, out of `count` rows too many."""
    second = pair[1]
    names = [query.values[query.codes[second]], model.values[model.codes[second]]]
    columns, hint = "query_id, model", "a sample column tells repeated answers apart"
    if label:
        names.append(rows.text("sample")[second].as_py() or "no label")
        columns, hint = f"{columns}, sample", ""
    more = f" ({count} such rows in all)" if count > 1 else ""
    rows.fail(np.array(pair), columns, f"({', '.join(names)}) is there twice{more}", hint)
