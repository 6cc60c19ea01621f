"""The records of a file, one by one: JSON lines, JSON, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from routebench.errors import DataError
from routebench.importers.files import head_of, read_csv, read_json, read_jsonl

_BATCH = 10_000


def records(path: Path, *lists: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every record with the place to name it by.

    A JSON file is a list of records, or an object with the list under one of the names in
    `lists`, or one record; it is read whole. Anything else is read piece by piece.
    """
    kind = head_of(path).kind
    if kind == "parquet":
        yield from _parquet(path)
    elif kind == "csv":
        yield from read_csv(path)
    elif kind == "jsonl" or path.suffix == ".jsonl":
        yield from read_jsonl(path)
    elif kind in ("json", "list"):
        yield from _json(path, lists)
    else:
        raise DataError(
            f"{path.name}: neither JSON nor CSV nor Parquet",
            "logs are .jsonl, .json, .csv, .parquet",
        )


def _json(path: Path, lists: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    content = read_json(path)
    if isinstance(content, dict):
        held = next((content[name] for name in lists if isinstance(content.get(name), list)), None)
        content = [content] if held is None else held
    for row, record in enumerate(content, 1):
        if not isinstance(record, dict):
            raise DataError(f"{path.name}: record {row} is no JSON object")
        yield f"{path.name}: record {row}", record


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow.parquet as pq

    row = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(_BATCH):
            for record in batch.to_pylist():
                row += 1
                yield f"{path.name}: row {row}", record
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name}: after row {row}: cannot be read: {error}") from error
