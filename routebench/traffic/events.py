"""The table of events: one row per request, whatever system logged it; unknown is null."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from routebench.errors import DataError, PluginError, did_you_mean
from routebench.files import reason, replacing

_TEXT, _NUMBER = pa.string(), pa.float64()
SCHEMA = pa.schema(
    [
        ("event", _TEXT),
        ("time", pa.timestamp("us", "UTC")),
        ("session", _TEXT),
        ("user", _TEXT),
        ("query", pa.large_string()),
        ("query_hash", _TEXT),
        ("task", _TEXT),
        ("policy_version", _TEXT),
        ("routed", pa.bool_()),
        ("chosen", _TEXT),
        ("answered_by", _TEXT),
        ("candidates", pa.list_(_TEXT)),
        ("probabilities", pa.list_(_NUMBER)),
        ("propensity", _NUMBER),
        ("reward", _NUMBER),
        ("reward_source", _TEXT),
        ("reward_time", pa.timestamp("us", "UTC")),
        ("input_tokens", _NUMBER),
        ("output_tokens", _NUMBER),
        ("cached_tokens", _NUMBER),
        ("reasoning_tokens", _NUMBER),
        ("cost_usd", _NUMBER),
        ("latency_s", _NUMBER),
        ("error", _TEXT),
        ("extra", pa.large_string()),
    ]
)
"""`extra` is JSON: what the log says besides. `routed` is false where no router chose."""
COLUMNS = tuple(SCHEMA.names)
BATCH = 20_000  # events held at a time: with long prompts some 200 MB

Event = Mapping[str, Any]
"""Values by column; those that are missing are null."""


@contextmanager
def writer(path: Path) -> Any:
    """Yield a function that writes a batch of placed events; the file is whole or not written."""
    try:
        with (
            replacing(path) as part,
            pq.ParquetWriter(part, SCHEMA, compression="zstd") as into,
        ):
            yield lambda events: into.write_table(to_table(events))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {reason(error)}") from error


def to_table(events: Iterable[tuple[str, Event]]) -> pa.Table:
    """Return placed events as a table of the schema; a wrong value is named by place and column."""
    placed = list(events)
    for place, event in placed:
        if unknown := event.keys() - set(COLUMNS):
            name = min(unknown)
            raise PluginError(f"{place}: no column {name!r}", did_you_mean(name, COLUMNS))
    columns = []
    for field in SCHEMA:
        values = [event.get(field.name) for _, event in placed]
        try:
            columns.append(pa.array(values, field.type))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise _wrong(placed, field) from None
    return pa.table(columns, schema=SCHEMA)


def _wrong(placed: list[tuple[str, Event]], field: Any) -> DataError:
    for place, event in placed:
        try:
            pa.array([event.get(field.name)], field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            value = repr(event[field.name])[:60]
            return DataError(f"{place}: {field.name} is {value}, not {field.type}")
    return DataError(f"{field.name}: values of different kinds")


def read(path: Path, columns: Iterable[str]) -> pa.Table:
    """Return some columns of a table of events; a `DataError` where it is none."""
    try:
        names = set(pq.read_schema(path).names)
        if lost := [name for name in COLUMNS if name not in names]:
            raise DataError(
                f"{path}: no table of events: the column {lost[0]} is missing",
                "routebench logs import FILE --out events.parquet makes one",
            )
        return pq.read_table(path, columns=list(columns))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from error
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: no Parquet file of events: {error}",
            "routebench logs import FILE --out events.parquet makes one",
        ) from error


Note = Callable[[str], None]
