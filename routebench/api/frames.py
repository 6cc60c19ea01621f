"""The tables of a run: pandas DataFrames where pandas is installed, else pyarrow Tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.board.read_tables import read_table
from routebench.errors import DataError
from routebench.report.format import BASELINE, in_order
from routebench.report.points import in_reading_order
from routebench.schema import Estimate, Leaderboard, Row

Frame = Any
"""A `pandas.DataFrame`, or a `pyarrow.Table` where pandas is not installed."""
_KEY = "query_key"
"""The hash by which tables of a run name a query; texts are not kept."""


def frame(table: pa.Table) -> Frame:
    """Return a table as a DataFrame where pandas is installed."""
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = table.column(at).cast(field.type.value_type)
            table = table.set_column(at, field.name, plain)
    table = table.replace_schema_metadata(None)
    try:
        import pandas as pd
    except ImportError:
        return table
    made: pd.DataFrame = table.to_pandas()
    return made


def records(rows: Iterable[Mapping[str, Any]]) -> Frame:
    """Return rows of plain values as a table; what a row lacks is missing."""
    each = list(rows)
    names = dict.fromkeys(name for row in each for name in row)
    return frame(pa.table({name: [row.get(name) for row in each] for name in names}))


def leaderboard(board: Leaderboard) -> Frame:
    """Return one row per router, in the order of the printed board; skipped ones last."""
    skipped = [row for row in board.rows if row.state == "skipped"]
    judged, others = in_order(board)
    return records(_board_row(row, board) for row in (*judged, *others, *skipped))


def points(board: Leaderboard) -> Frame:
    """Return one row per router and operating point."""
    return records(
        {"router": row.router, "point": name}
        | _interval(board.suite.measure, point.metrics.get(board.suite.measure))
        | _interval("difference", point.against.get(BASELINE, {}).get(board.suite.measure))
        | _interval("saves", point.metrics.get("savings_vs_best_single"))
        | _interval("cost_per_1k", point.metrics.get("total_cost_per_1k"))
        | {"lambdas": point.lambdas, "fixed": point.fixed}
        for row in board.rows
        for name, point in in_reading_order(row.points)
    )


def cells(folder: Path) -> Frame:
    """Return one row per recorded answer, those of training included."""
    return frame(_renamed(_table(folder, "cells.parquet")))


def decisions(folder: Path, board: Leaderboard) -> Frame:
    """Return one row per router, seed and test query: what was chosen, and what that gave.

    `score` and `cost_usd` are those of the recorded answer (of all that were asked, for the cost
    of a router that sees answers); without them in a suite with users, where they are of a user.
    """
    table, cells = _table(folder, "decisions.parquet"), _table(folder, "cells.parquet")
    ids = _first(cells, "query_id")
    keys = table["query"].to_pylist()
    table = table.add_column(0, "query_id", pa.array([ids.get(key) for key in keys], pa.string()))
    if not board.suite.users:
        choice = table["choice"].to_pylist()
        score, cost = (_means(cells, name) for name in ("score", "cost_usd"))
        asked = table["asked"].to_pylist() if "asked" in table.column_names else [None] * len(table)
        table = table.append_column(
            "score", _floats(map(score.get, zip(keys, choice, strict=True)))
        )
        spent = (
            sum((cost.get((key, model), np.nan) for model in models or [chosen]), 0.0)
            for key, chosen, models in zip(keys, choice, asked, strict=True)
        )
        table = table.append_column("cost_usd", _floats(spent))
    return frame(_renamed(table))


def _board_row(row: Row, board: Leaderboard) -> dict[str, Any]:
    measure, verdict = board.suite.measure, row.verdict
    judged: dict[str, Any] = {"verdict": None}
    if verdict is not None:
        judged = {"verdict": verdict.kind, "verdict_point": verdict.point}
        judged |= _interval("verdict_saves", verdict.savings)
        judged |= {"verdict_difference": verdict.difference, "verdict_worst": verdict.low}
    against = row.against.get(BASELINE, {}).get(measure)
    return (
        {"router": row.router, "state": row.state, "rank": row.rank, "reference": row.reference}
        | judged
        | _interval(measure, row.metrics.get(measure))
        | _interval("difference", against)
        | {"p": None if against is None else against.p}
        | _interval("cost_per_1k", row.metrics.get("total_cost_per_1k"))
        | _interval("saves", row.metrics.get("savings_vs_best_single"))
        | {"message": row.message}
    )


def _interval(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """Return a value and the ends of its 95% interval."""
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _table(folder: Path, name: str) -> pa.Table:
    if not (folder / name).is_file():
        why = "no router ended well" if name == "decisions.parquet" else "it belongs to the board"
        raise DataError(f"{folder}: {name} is not there: {why}", "the whole run folder is needed")
    return read_table(folder / name, ())


def _renamed(table: pa.Table) -> pa.Table:
    return table.rename_columns([_KEY if n == "query" else n for n in table.column_names])


def _first(table: pa.Table, name: str) -> dict[str, Any]:
    """Return the first value of a column by query."""
    pairs = zip(table["query"].to_pylist(), table[name].to_pylist(), strict=True)
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _means(table: pa.Table, name: str) -> dict[tuple[str, str], float]:
    """Return the mean of a column by query and model, over usable answers."""
    if name not in table.column_names:
        return {}
    usable = table.filter(pc.is_valid(table[name])).select(["query", "model", name])
    plain = usable.set_column(1, "model", usable["model"].cast(pa.string()))
    made = plain.group_by(["query", "model"]).aggregate([(name, "mean")])
    columns = (made[each].to_pylist() for each in ("query", "model", f"{name}_mean"))
    return {(key, model): value for key, model, value in zip(*columns, strict=True)}


def _floats(values: Iterable[float | None]) -> pa.Array:
    known = [None if value is None or np.isnan(value) else value for value in values]
    return pa.array(known, pa.float64())
