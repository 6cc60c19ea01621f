"""Write and read who was asked for answers: a list of models, and of the round of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.data.splits import TEST, VALIDATION
from routebench.errors import DataError
from routebench.jobs.finished import SteppedPart, TradeOffs
from routebench.jobs.setup import Setup
from routebench.records import Codes

STEPS = "steps.parquet"
"""The decisions of routers that see answers at every trade-off."""
PARTS = {"validation": VALIDATION, "test": TEST}
ASKED, ROUND = "asked", "asked_in"
_LISTS = {ASKED: pa.list_(pa.string()), ROUND: pa.list_(pa.int8())}


def asked_columns(asked: Codes | None, n: int, models: Sequence[str]) -> dict[str, pa.Array]:
    """Return columns of n lists in the order of asking, null for who asks nobody but its choice.

    `asked` [n, m] is the round of each model, from 1; 0 where it was not asked.
    """
    if asked is None:
        return {name: pa.nulls(n, kind) for name, kind in _LISTS.items()}
    row, model = np.nonzero(asked)
    order = np.lexsort((model, asked[row, model], row))
    row, model = row[order], model[order]
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int32)
    names = pa.array(np.array(models, dtype=object)[model], pa.string())
    rounds = pa.array(asked[row, model], pa.int8())
    return {
        name: pa.ListArray.from_arrays(pa.array(ends), values)
        for name, values in ((ASKED, names), (ROUND, rounds))
    }


def read_asked(table: pa.Table, models: Sequence[str], place: str) -> tuple[Codes, Any] | None:
    """Return the rounds [n, m], and which rows have lists; None for a table without them.

    Raises:
        DataError: for a model that is not of the pool, or lists that do not fit.
    """
    if ASKED not in table.column_names or ROUND not in table.column_names:
        return None
    names, rounds = (table[name].combine_chunks() for name in (ASKED, ROUND))
    if isinstance(names, pa.ChunkedArray):  # of no row at all
        return np.zeros((0, len(models)), dtype=np.int8), np.zeros(0, dtype=np.bool_)
    asked = np.zeros((len(table), len(models)), dtype=np.int8)
    at = {name: place for place, name in enumerate(models)}
    listed = names.is_valid().to_numpy(zero_copy_only=False)
    length = np.diff(names.offsets.to_numpy())
    row = np.repeat(np.arange(len(table)), length)
    flat, when = names.flatten().to_pylist(), rounds.flatten().to_numpy()
    if len(flat) != len(when) or len(flat) != len(row):
        raise DataError(f"{place}: {ASKED} and {ROUND} do not fit")
    if unknown := [name for name in flat if name not in at]:
        raise DataError(f"{place}: {ASKED}: unknown: {unknown[0]!r}")
    asked[row, np.array([at[name] for name in flat], dtype=np.int64)] = when
    return asked, listed


def step_table(setup: Setup, key: tuple[str, int, int], trade_offs: TradeOffs) -> pa.Table:
    """Return one row per trade-off and query that was stepped, on validation and test."""
    label, seed, fold = key
    models = setup.data.pool.models
    tables = []
    for part, code in PARTS.items():
        decided: SteppedPart = getattr(trade_offs, part)
        whole = np.flatnonzero(setup.complete(fold, code))
        queries = setup.data.keys[setup.rows(fold, code)][whole]
        for at, lam in enumerate(trade_offs.lambdas):
            n = len(whole)
            choice = pa.array(decided.choice[whole, at].astype(np.int32))
            columns = {
                "router": pa.repeat(pa.scalar(label, pa.string()), n),
                "seed": pa.array(np.full(n, seed, dtype=np.int32)),
                "fold": pa.array(np.full(n, fold, dtype=np.int32)),
                "part": pa.repeat(pa.scalar(part, pa.string()), n),
                "lambda": pa.array(np.full(n, lam)),
                "query": pa.array(queries, pa.string()),
                "choice": pa.DictionaryArray.from_arrays(choice, pa.array(models, pa.string())),
                **asked_columns(decided.asked[whole, at], n, models),
            }
            tables.append(pa.table(columns))
    return pa.concat_tables(tables)
