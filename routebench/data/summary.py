"""A summary of an outcomes file without aligning it, also of one that a run would refuse."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from routebench.data.columns import TableColumns
from routebench.data.files import Read, TableFile, read_file
from routebench.data.long_table import NUMBERS
from routebench.errors import DataError

_AMOUNTS = ("input_tokens", "output_tokens", "cost_usd", "latency")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model's rows."""

    rows: int
    states: dict[str, int]
    score: float | None
    """Mean over its scored rows."""
    usd: float | None
    """Of all its rows that say what they cost; None where none does."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """An outcomes file in numbers."""

    rows: int
    queries: int
    models: dict[str, ModelFacts]
    states: dict[str, int]
    grades: dict[str, int]
    tasks: dict[str, int]
    """Queries by task."""
    splits: dict[str, int]
    """Queries by part."""
    recorded: dict[str, int]
    """Rows that have a value, by column of amounts."""
    missing: int
    """Pairs of query and model that have no row: never asked."""
    duplicates: int
    """Rows of a query, model and sample that have one already."""
    notes: tuple[str, ...] = ()


def facts_of(path: Path) -> TableSummary:
    """Summarise a .parquet, .csv or .jsonl file; a `DataError` that names it where it is none."""
    file = read_file(path, Read(checked=False))
    present = file.table.column_names
    missing = [name for name in ("query_id", "model") if name not in present]
    if missing:
        raise DataError(
            f"{path.name}: no outcomes file: there is no column {', '.join(missing)}",
            "its columns are " + ", ".join(file.present[:12]),
        )
    table = _typed(file, path.name)
    table = table.append_column("_state", _states(table))
    keys = [name for name in ("query_id", "model", "sample") if name in present]
    queries = pc.count_distinct(table["query_id"]).as_py()
    pairs = table.group_by(["query_id", "model"]).aggregate([]).num_rows
    models = {str(name): _model(table, name) for name in _sorted(table["model"])}
    return TableSummary(
        rows=len(table),
        queries=queries,
        models=models,
        states=_counts(table["_state"]),
        grades=_counts(table["grade"]) if "grade" in present else {},
        tasks=_by_query(table, "task"),
        splits=_by_query(table, "split"),
        recorded={
            name: len(table) - table[name].null_count for name in _AMOUNTS if name in present
        },
        missing=queries * len(models) - pairs,
        duplicates=len(table) - table.group_by(keys).aggregate([]).num_rows,
        notes=file.notes,
    )


def _typed(file: TableFile, place: str) -> pa.Table:
    rows = TableColumns(file.table, place, file.lines)
    columns = {}
    for name in file.table.column_names:
        if name == "score":  # of any scale: whoever looks at it asks how it is written
            values, null, _ = rows.shares(name, 1.0)
            columns[name] = pa.array(values, mask=null)
        elif name in NUMBERS:
            values, null = rows.number(name)
            columns[name] = pa.array(values, mask=null)
        else:
            columns[name] = rows.text(name)
    return pa.table(columns)


def _states(table: pa.Table) -> Any:
    """Return a state per row, as a run reads it: as the column says, else by score and answer."""
    rows = len(table)
    none = pa.nulls(rows, pa.large_string())
    score = table["score"] if "score" in table.column_names else pa.nulls(rows, pa.float64())
    known = pc.and_(pc.is_valid(score), pc.invert(pc.is_nan(pc.fill_null(score, 0.0))))
    if "grade" in table.column_names:
        known = pc.or_(known, pc.is_valid(table["grade"]))
    answer = table["response"] if "response" in table.column_names else none
    guessed = pc.if_else(known, "ok", pc.if_else(pc.is_valid(answer), "ungraded", "failed"))
    given = table["state"] if "state" in table.column_names else none
    return pc.coalesce(pc.utf8_lower(given), guessed.cast(pa.large_string()))


def _model(table: pa.Table, name: Any) -> ModelFacts:
    rows = table.filter(pc.equal(table["model"], name))
    score = pc.mean(rows["score"]).as_py() if "score" in rows.column_names else None
    usd = pc.sum(rows["cost_usd"]).as_py() if "cost_usd" in rows.column_names else None
    return ModelFacts(len(rows), _counts(rows["_state"]), score, usd)


def _sorted(column: Any) -> list[Any]:
    return sorted((v for v in pc.unique(column).to_pylist() if v is not None), key=str)


def _counts(column: Any) -> dict[str, int]:
    counts = {e["values"]: e["counts"] for e in pc.value_counts(column.drop_null()).to_pylist()}
    return {str(name): counts[name] for name in sorted(counts)}


def _by_query(table: pa.Table, column: str) -> dict[str, int]:
    if column not in table.column_names:
        return {}
    pairs = table.select(["query_id", column]).group_by(["query_id", column]).aggregate([])
    return _counts(pairs[column])


def to_json(facts: Any) -> str:
    """Return a summary, or that of a store, as JSON."""
    return json.dumps(asdict(facts), indent=2, default=str)
