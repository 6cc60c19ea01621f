"""Logs of no known form: a mapping says which field of a record is which column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from routebench.errors import OptionError, did_you_mean
from routebench.hookspecs import FileHead
from routebench.traffic.events import COLUMNS, SCHEMA
from routebench.traffic.logs.records import records
from routebench.traffic.logs.values import count, inner, moment, parsed, query, text


def parse_mapping(given: Sequence[str]) -> dict[str, str]:
    """Parse `["chosen=model", "reward=feedback.score"]`; the fields of records by column."""
    mapping = {}
    for each in given:
        column, equals, field = each.partition("=")
        if not equals or not field:
            raise OptionError(f"--map {each}: expected COLUMN=FIELD", "--map chosen=model")
        if column not in COLUMNS:
            raise OptionError(f"--map {each}: no column {column}", did_you_mean(column, COLUMNS))
        mapping[column] = field
    return mapping


class MappedLog:
    """Any records of JSON lines, JSON, CSV or Parquet; a field may be a path such as a.b.c."""

    suffixes: tuple[str, ...] = (".jsonl", ".json", ".csv", ".parquet")

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._fields = dict(mapping)

    def recognises(self, head: FileHead) -> bool:
        """Return false: it is asked for, never guessed."""
        return False

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the mapped columns of every record."""
        for path in paths:
            for place, record in records(path):
                yield (
                    place,
                    {
                        column: _value(column, _field(record, name), place)
                        for column, name in self._fields.items()
                    },
                )


def _field(record: dict[str, Any], name: str) -> Any:
    return record[name] if name in record else inner(record, *name.split("."))


def _value(column: str, value: Any, place: str) -> Any:
    kind = SCHEMA.field(column).type
    if column == "query":
        return query(value)
    if column == "extra":
        return None if value is None else json.dumps(value, default=str)
    if pa.types.is_timestamp(kind):
        return moment(value, place)
    if pa.types.is_floating(kind):
        return count(_WORDS.get(value.strip().lower(), value) if isinstance(value, str) else value)
    if pa.types.is_boolean(kind):
        return {"true": True, "false": False, "1": True, "0": False}.get(str(value).strip().lower())
    if pa.types.is_list(kind):
        held = parsed(value)
        return held if isinstance(held, list) else None
    return text(value)


_WORDS = {"true": "1", "false": "0", "yes": "1", "no": "0"}
