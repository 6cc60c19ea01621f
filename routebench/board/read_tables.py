"""A run folder's tables, read back as what they were written from: suite, split, decisions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench import limits
from routebench.board.write_tables import ASSUMED, HELD_OUT, PARTS, POOL, PRICED
from routebench.data.splits import REMOVED, TRAIN, Split
from routebench.errors import DataError
from routebench.files import damage
from routebench.records import (
    Codes,
    Floats,
    Grade,
    Ints,
    Mask,
    Outcomes,
    Pool,
    Queries,
    State,
    Strings,
    SuiteData,
    Users,
)
from routebench.schema import Leaderboard

AGAIN = "run again with this version; finished jobs are not repeated"
_CODES = {name: code for code, name in PARTS.items()}
_STATES = {state.name.lower(): int(state) for state in State}
_GRADES = {grade.name: int(grade) for grade in Grade if grade != Grade.NONE}


@dataclass(frozen=True)
class Column:
    """Repeated texts as codes into their distinct values; -1 for null."""

    codes: Ints
    values: list[str]

    def into(self, known: Iterable[str], place: str) -> Ints:
        """Return positions in a list of known names; a `DataError` for another one."""
        at = {name: i for i, name in enumerate(known)}
        table = np.array([at.get(value, -1) for value in self.values] + [-1], dtype=np.int64)
        positions: Ints = table[self.codes]
        if len(lost := np.flatnonzero(positions < 0)):
            code = self.codes[lost[0]]
            raise DataError(f"{place}: unknown: {self.values[code] if code >= 0 else None!r}")
        return positions

    def take(self, rows: Ints) -> Column:
        """Return the given rows."""
        return Column(self.codes[rows], self.values)

    def texts(self) -> Strings:
        """Return [n] the texts themselves, None for null."""
        texts: Strings = np.array([*self.values, None], dtype=object)[self.codes]
        return texts


def read_table(path: Path, texts: Iterable[str] = ()) -> pa.Table:
    """Read a Parquet file with some of its text columns as codes; a `DataError` if it is none."""
    try:
        # pq.read_table would import pyarrow.dataset, and pandas where it is installed.
        known = pq.read_schema(path).names
        coded = [name for name in texts if name in known]
        with (
            limits.within_memory(path),
            pq.ParquetFile(path, read_dictionary=coded) as file,
        ):
            limits.check(path.name, "rows", file.metadata.num_rows, limits.ROWS)
            return file.read()
    except FileNotFoundError:
        hint = "compare, gate and verify need the whole run folder"
        raise DataError(f"{path}: there is no such file", hint) from None
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {damage(error)}") from error


def text(table: pa.Table, name: str, place: str) -> Column:
    """Return a text column as codes."""
    column = _column(table, name, place).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = filled(column.indices, -1).astype(np.int64)
    return Column(codes, column.dictionary.to_pylist())


def numbers(table: pa.Table, name: str, place: str) -> Floats:
    """Return a column of numbers; NaN for null."""
    try:
        column = with_numbers(_column(table, name, place))
    except pa.ArrowException as error:
        raise DataError(f"{place}: column {name} holds no numbers") from error
    chunks = [filled(chunk, np.nan) for chunk in column.chunks]
    return np.concatenate([np.empty(0), *chunks])


def with_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column that NumPy can take as float64: whole numbers of 32 bits as they are.

    What casts imports all that Arrow computes, which takes longer than reading a run.
    """
    fits = (pa.float64(), pa.float32(), pa.int8(), pa.int16(), pa.int32(), pa.uint8())
    return column if column.type in fits else column.cast(pa.float64())


def filled(array: pa.Array, null: float) -> Any:
    """Return an Arrow array of numbers as NumPy's, with a value for null.

    Its own `to_numpy` imports pandas where that is installed, which takes longer than reading.
    """
    valid, values = array.buffers()
    place = slice(array.offset, array.offset + len(array))
    numbers = np.frombuffer(values or b"", array.type.to_pandas_dtype())[place]
    if not array.null_count:
        return numbers
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
    return np.where(bits[place], numbers, null)


def whole(table: pa.Table, name: str, place: str) -> Ints:
    """Return a column of whole numbers without a gap."""
    values = numbers(table, name, place)
    if not np.isfinite(values).all():
        raise DataError(f"{place}: column {name} has gaps")
    return values.astype(np.int64)


def _column(table: pa.Table, name: str, place: str) -> Any:
    if name not in table.column_names:
        raise DataError(f"{place}: no column {name}", AGAIN)
    return table[name]


@dataclass(frozen=True)
class StoredSuite:
    """The part of a suite that a run folder holds: all but texts, references and answers."""

    data: SuiteData
    split: Split
    tokens: tuple[Floats, Floats] | None
    """[n, m] prompt and answer tokens that costs can be made from, guesses included."""
    assumed: Mask | None = None
    """[n, m] answers whose length is assumed; None for none such."""


def read_suite(folder: Path, board: Leaderboard) -> StoredSuite:
    """Read the suite and its split from cells and users."""
    place = "cells.parquet"
    words = ("query", "query_id", "text_sha256", "task", "topic", "model", "state", "grade")
    table = read_table(folder / place, (*words, "parts"))
    query = text(table, "query", place)
    model = text(table, "model", place).into(board.suite.models, place)
    # Values come in order of first appearance, which is the canonical one; -1 has no place here.
    row = query.into(query.values, place)
    n, m = len(query.values), len(board.suite.models)
    if len(np.unique(row * m + model)) != len(row):
        raise DataError(f"{place}: a cell of a query and a model is there twice")
    first = np.zeros(n, dtype=np.int64)
    first[row[::-1]] = np.arange(len(row))[::-1]

    def per_query(name: str) -> Strings:
        column = text(table, name, place)
        return column.take(first).texts()

    optional: dict[str, Any] = {
        name: per_query(name) for name in ("task", "topic") if name in table.column_names
    }
    declared = json.loads((table.schema.metadata or {}).get(POOL.encode(), b"{}"))
    keys = np.array(query.values, dtype=object)
    codes, hidden, few = _parts(text(table, "parts", place), row, model, (n, m))
    data = SuiteData(
        name=board.suite.name,
        source=board.suite.source,
        queries=Queries(text=np.full(n, "", dtype=object), **optional),
        ids=per_query("query_id"),
        keys=keys,
        text_hash=per_query("text_sha256"),
        outcomes=_outcomes(table, place, (row, model), (n, m)),
        pool=Pool(tuple(board.suite.models), small=declared.get("small"),
                  large=declared.get("large")),
        visible=frozenset(board.suite.shown),
        training_only=frozenset(board.suite.training_only),
        notes=tuple(board.suite.notes),
    )  # fmt: skip
    if board.suite.protocol != "llm":
        hidden = few = None
    users = None
    if board.suite.users is not None:
        users, held_out = _users(folder, keys, len(codes))
        hidden = held_out if board.suite.protocol == "user" else hidden
    data = replace(data, users=users)
    facts = board.diagnostics
    kind, protocol = board.suite.split, board.suite.protocol
    split = Split(codes, facts.leaked, facts.removed, "", kind, protocol, hidden, few)
    assumed = None
    if ASSUMED in table.column_names:
        assumed = np.zeros((n, m), dtype=np.bool_)
        assumed[row, model] = numbers(table, ASSUMED, place) > 0
    return StoredSuite(data, split, _tokens(table, (row, model), data.outcomes), assumed)


def _tokens(
    table: pa.Table, at: tuple[Ints, Ints], outcomes: Outcomes
) -> tuple[Floats, Floats] | None:
    if set(PRICED) <= set(table.column_names):
        matrices = []
        for name in PRICED:
            values = np.full(outcomes.score.shape, np.nan)
            values[at] = numbers(table, name, "cells.parquet")
            matrices.append(values)
        return matrices[0], matrices[1]
    if outcomes.input_tokens is None or outcomes.output_tokens is None:
        return None
    return outcomes.input_tokens, outcomes.output_tokens


def _outcomes(
    table: pa.Table, place: str, at: tuple[Ints, Ints], shape: tuple[int, int]
) -> Outcomes:
    state = np.full(shape, State.ABSENT, dtype=np.int8)
    column = text(table, "state", place)
    state[at] = _coded(column, _STATES, place)
    grade = None
    if "grade" in table.column_names:
        grade = np.full(shape, Grade.NONE, dtype=np.int8)
        column = text(table, "grade", place)
        known = column.codes >= 0
        graded = column.take(np.flatnonzero(known))
        grade[at[0][known], at[1][known]] = _coded(graded, _GRADES, place)

    def matrix(name: str) -> Floats | None:
        if name not in table.column_names:
            return None
        values = np.full(shape, np.nan)
        values[at] = numbers(table, name, place)
        return values

    score = matrix("score")
    if score is None:
        raise DataError(f"{place}: no column score", AGAIN)
    return Outcomes(
        score=score,
        state=state,
        cost=matrix("cost_usd"),
        grade=grade,
        input_tokens=matrix("input_tokens"),
        output_tokens=matrix("output_tokens"),
        latency=matrix("latency"),
        relative_cost=matrix("relative_cost"),
        cached_tokens=matrix("cached_tokens"),
        thinking_tokens=matrix("thinking_tokens"),
    )


def _coded(column: Column, names: Mapping[str, int], place: str) -> Codes:
    values = np.array(list(names.values()), dtype=np.int8)
    codes: Codes = values[column.into(names, place)]
    return codes


def _parts(
    parts: Column, row: Ints, model: Ints, shape: tuple[int, int]
) -> tuple[Codes, Mask | None, Mask | None]:
    """Return the [folds, n] split codes, and [folds, m] models that a fold keeps from training.

    Then [folds, n] the training queries on which it knows these models; None where there are none.
    """
    try:
        table = np.array([[_CODES[w] for w in value.split()] for value in parts.values])
    except (KeyError, ValueError) as error:
        raise DataError(f"cells.parquet: parts cannot be read: {error}") from error
    of_cell = table[parts.codes].T
    codes = np.full((len(of_cell), shape[0]), REMOVED, dtype=np.int8)
    hidden = np.zeros((len(of_cell), shape[1]), dtype=np.bool_)
    for fold, part in enumerate(of_cell):
        known = part != HELD_OUT
        codes[fold, row[known]] = part[known]
        hidden[fold, model[~known]] = True
    few = np.zeros(codes.shape, dtype=np.bool_)
    for fold, part in enumerate(of_cell):
        few[fold, row[(part == TRAIN) & hidden[fold, model]]] = True
    return codes, hidden, few if few.any() else None


def _users(folder: Path, keys: Strings, folds: int) -> tuple[Users, Mask | None]:
    place = "users.parquet"
    table = read_table(folder / place)
    names = text(table, "user", place).texts()
    asked = held_out = None
    if "asked" in table.column_names:
        at = {key: i for i, key in enumerate(keys)}
        asked = np.zeros((len(keys), len(names)), dtype=np.bool_)
        for user, queries in enumerate(table["asked"].to_pylist()):
            asked[[at[key] for key in queries], user] = True
    if "held_out_in" in table.column_names:
        held_out = np.zeros((folds, len(names)), dtype=np.bool_)
        for user, away in enumerate(table["held_out_in"].to_pylist()):
            held_out[away, user] = True
    return Users(names, numbers(table, "preference", place), asked), held_out
