"""Columns under other names: `query=prompt,response=choices.0.message.content`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from routebench.data.long_table import COLUMNS
from routebench.errors import OptionError, did_you_mean

_MISSING = object()
_MEANT = {
    "cost_usd": ("cost", "costs", "price", "usd", "total_cost", "cost_in_usd", "cost (usd)"),
    "input_tokens": ("prompt_tokens", "tokens_in", "in_tokens"),
    "output_tokens": ("completion_tokens", "tokens_out", "out_tokens"),
    "latency": ("latency_s", "seconds", "duration", "response_time"),
    "reference": ("ground_truth", "gold", "expected", "expected_answer", "target"),
    "task": ("task_name", "category", "dataset", "benchmark"),
    "response": ("answer", "output", "completion", "model_response"),
}
"""Names that others give to the columns that a table may have."""


def parse(text: str) -> dict[str, str]:
    """Return the source of each column out of `query=prompt,score=rating`.

    Raises:
        OptionError: naming what is no pair, or a column that is not known.
    """
    mapping: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        column, equals, source = (part.strip() for part in pair.partition("="))
        if not (equals and column and source):
            raise OptionError(
                f"--map {pair!r}: expected COLUMN=NAME", "--map query=prompt,score=rating"
            )
        if column not in COLUMNS:
            hint = did_you_mean(column, COLUMNS)
            if source in COLUMNS:
                hint = f"the other way round: --map {source}={column}"
            raise OptionError(f"--map {pair}: there is no column {column!r} to fill", hint)
        if column in mapping:
            raise OptionError(f"--map {column} is there twice", "name one source for a column")
        mapping[column] = source
    return mapping


def lookup(record: Any, path: str) -> Any:
    """Return the value at a dotted path, None where there is none; a key with dots comes first.

    >>> lookup({"choices": [{"message": {"content": "So."}}]}, "choices.0.message.content")
    'So.'
    """
    found = _found(record, path)
    return None if found is _MISSING else found


def has(record: Any, path: str) -> bool:
    """Return whether there is anything at a dotted path."""
    return _found(record, path) is not _MISSING


def _found(record: Any, path: str) -> Any:
    if isinstance(record, dict) and path in record:
        return record[path]
    head, dot, rest = path.partition(".")
    if isinstance(record, dict) and head in record:
        inner = record[head]
    elif isinstance(record, list) and head.isdecimal() and int(head) < len(record):
        inner = record[int(head)]
    else:
        return _MISSING
    return _found(inner, rest) if dot else inner


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a file that are read, and as what."""

    sources: dict[str, str]
    """The file's column by the name that it is read as."""
    unused: tuple[str, ...]

    @classmethod
    def of(cls, present: Iterable[str], mapping: Mapping[str, str]) -> Columns:
        """Choose among the columns that are present; what is mapped wins over a column's name."""
        names = list(present)
        own = {name: name for name in names if name in COLUMNS and name not in mapping}
        used = {
            *own.values(),
            *mapping.values(),
            *(path.partition(".")[0] for path in mapping.values()),
        }
        unused = tuple(sorted(name for name in set(names) if name not in used))
        return cls(own | dict(mapping), unused)

    def notes(self) -> tuple[str, ...]:
        """Return notes on the columns that are not read, and on what they may be meant as."""
        if not self.unused:
            return ()
        notes = [f"columns not used: {', '.join(self.unused)}"]
        for name in self.unused:
            for column, others in _MEANT.items():
                if name.strip().lower() in others and column not in self.sources:
                    notes.append(f"{name}: did you mean {column}? --map {column}={name}")
        return tuple(notes)
