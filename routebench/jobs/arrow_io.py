"""Records as Arrow IPC files: how tables travel to jobs, and decisions back.

Every file is written from fresh arrays. A pickled Arrow slice or a memory map would carry the
whole buffer along, the other splits included.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from routebench.bought import Bought
from routebench.records import Decisions, Outcomes, Pool, Queries, Table, Usage, Users

_T = TypeVar("_T")
_ANSWER = "answer_"
"""Before the names of columns that are of a table's answers."""


def write_table(path: Path, table: Table) -> None:
    """Write a table: one column per field of its queries and outcomes, the pool as metadata."""
    columns = _columns(table.queries) | _columns(table.outcomes)
    metadata = {"pool": json.dumps(pool_to_json(table.pool))}
    if (users := table.users) is not None:
        said = {"name": list(users.name), "preference": list(users.preference)}
        metadata["users"] = json.dumps(said)
        if users.asked is not None:
            columns["asked"] = _to_arrow(users.asked)
    if table.answers is not None:
        columns |= {f"{_ANSWER}{k}": v for k, v in _columns(table.answers).items()}
    _write(path, columns, metadata)


def read_table(path: Path) -> Table:
    columns, metadata = _read(path)
    pool = pool_from_json(json.loads(metadata["pool"]))
    users = None
    if "users" in metadata:
        said = json.loads(metadata["users"])
        name = np.array(said["name"], dtype=object)
        users = Users(name, np.array(said["preference"], dtype=np.float64), columns.get("asked"))
    bought = _prefixed(columns, _ANSWER)
    answers = _record(Bought, bought) if bought else None
    return Table(_record(Queries, columns), _record(Outcomes, columns), pool, users, answers)


def write_record(path: Path, record: Any) -> None:
    """Write a record of aligned arrays, such as the answers that a router has bought."""
    _write(path, _columns(record), {})


def read_record(path: Path, cls: type[_T]) -> _T:
    return _record(cls, _read(path)[0])


def write_queries(path: Path, queries: Queries) -> None:
    """Write bare queries, for the process that routes."""
    _write(path, _columns(queries), {})


def read_queries(path: Path) -> Queries:
    return _record(Queries, _read(path)[0])


def write_decisions(path: Path, decisions: Decisions) -> None:
    """Write decisions in the order of the queries they answer."""
    usage = _columns(decisions.usage) if decisions.usage else {}
    columns = _columns(decisions) | {f"usage_{name}": value for name, value in usage.items()}
    _write(path, columns, {})


def read_decisions(path: Path) -> Decisions:
    columns, _ = _read(path)
    prefix = "usage_"
    own = _prefixed(columns, prefix)
    rest = {name: v for name, v in columns.items() if not name.startswith(prefix)}
    return _record(Decisions, rest | ({"usage": _record(Usage, own)} if own else {}))


def pool_to_json(pool: Pool) -> dict[str, Any]:
    """Return the pool as JSON values; NaN becomes null."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return [None if np.isnan(x) else float(x) for x in value]
        return value

    return {f.name: plain(getattr(pool, f.name)) for f in fields(pool)}


def pool_from_json(values: dict[str, Any]) -> Pool:
    numeric = {"input_price", "output_price", "size"}
    tuples = {"models", "description"}
    read: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None and name in numeric:
            value = np.array(value, dtype=np.float64)
        elif value is not None and name in tuples:
            value = tuple(value)
        read[name] = value
    return Pool(**read)


def _columns(record: Any) -> dict[str, pa.Array]:
    return {
        f.name: _to_arrow(value)
        for f in fields(record)
        if isinstance(value := getattr(record, f.name), np.ndarray)
    }


def _prefixed(columns: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name[len(prefix) :]: v for name, v in columns.items() if name.startswith(prefix)}


def _to_arrow(value: np.ndarray[Any, Any]) -> pa.Array:
    flat = np.ascontiguousarray(value).reshape(-1)
    array = pa.array(flat, type=pa.large_string() if value.dtype == object else None)
    for size in reversed(value.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    array = column.combine_chunks()
    shape = [len(array)]
    while pa.types.is_fixed_size_list(array.type):
        shape.append(array.type.list_size)
        array = array.flatten()
    if pa.types.is_large_string(array.type):
        return np.array(array.to_pylist(), dtype=object).reshape(shape)
    return np.array(array.to_numpy(zero_copy_only=False).reshape(shape))


def _write(path: Path, columns: dict[str, pa.Array], metadata: dict[str, str]) -> None:
    table = pa.table(columns).replace_schema_metadata(metadata)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as reader:
        table = reader.read_all()
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    return {name: _to_numpy(table[name]) for name in table.column_names}, metadata


def _record(cls: type[_T], columns: dict[str, Any]) -> _T:
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in columns.items() if name in names})
