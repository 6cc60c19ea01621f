"""Counts of given calls by state, read from a store that others may be writing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from routebench.store import schema
from routebench.store.entries import ANSWERED, STATES, Call

_AT_ONCE = 500
ABSENT = "absent"


@dataclass(slots=True)
class CallCounts:
    """Calls to one model, counted."""

    states: Counter[str] = field(default_factory=Counter)
    """By the store's states, and `absent` for those it does not know."""
    errors: Counter[str] = field(default_factory=Counter)
    """Failed ones by kind."""
    usd: float = 0.0
    """Paid for the answers that are kept."""
    unpriced: int = 0
    """Answers of which nobody knows the cost."""
    miscounted: Counter[str] = field(default_factory=Counter)
    """Answers whose counts of tokens cannot be true, by why: `zero`, `contradictory`."""
    output_tokens: float | None = None
    """Mean length of the answers; None where it is not known."""
    open: set[str] = field(default_factory=set)
    """Keys of the calls that are not answered."""

    @property
    def total(self) -> int:
        return self.states.total()


def count_calls(path: Path, calls: Iterable[Call]) -> CallCounts:
    """Count calls by what the store at `path` knows of them; there may be no store yet."""
    if not path.is_file():
        return _none_known(calls)
    try:
        database = schema.connect(path, create=False, write=False)
    except schema.EmptyFileError:  # another process is making it at this moment
        return _none_known(calls)
    counts = CallCounts()
    remaining = iter(calls)
    tokens: list[float] = []
    with closing(database):
        traced = schema.has_table(database, "traces")
        while keys := {call.key for call in islice(remaining, _AT_ONCE)}:
            marks = ", ".join("?" * len(keys))
            with schema.database_errors(path):
                rows = database.execute(
                    "SELECT key, state, error, cost, output_tokens FROM calls"  # noqa: S608
                    f" WHERE key IN ({marks})",
                    tuple(keys),
                ).fetchall()
                if traced:
                    counts.miscounted.update(_miscounted(database, keys))
            _count(counts, keys, rows)
            tokens += [row[4] for row in rows if row[4] is not None]
    if tokens:
        counts.output_tokens = sum(tokens) / len(tokens)
    return counts


def _miscounted(database: sqlite3.Connection, keys: set[str]) -> dict[str, int]:
    marks = ", ".join("?" * len(keys))
    rows = database.execute(
        "SELECT miscounted, count(*) FROM calls JOIN traces ON call = calls.id"  # noqa: S608
        f" WHERE key IN ({marks}) AND miscounted IS NOT NULL GROUP BY miscounted",
        tuple(keys),
    )
    return dict(rows.fetchall())


def _none_known(calls: Iterable[Call]) -> CallCounts:
    counts = CallCounts(open={call.key for call in calls})
    counts.states[ABSENT] = len(counts.open)
    return counts


def _count(
    counts: CallCounts, keys: set[str], rows: list[tuple[str, str, str | None, int | None, float]]
) -> None:
    counts.open |= keys
    for key, state, error, cost, _ in rows:
        assert state in STATES
        counts.states[state] += 1
        counts.errors[error or ""] += error is not None
        if state == ANSWERED:
            counts.open.discard(key)
            counts.usd += (cost or 0) / schema.USD
            counts.unpriced += cost is None
    counts.states[ABSENT] += len(keys) - len(rows)
