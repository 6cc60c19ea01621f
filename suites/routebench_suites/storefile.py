"""A store of collected answers as a suite's outcomes: what it holds, and what a reader of a board
should know of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from routebench.errors import DataError
from routebench.longform import COLUMNS
from routebench.outcomes.places import store_files
from routebench.outcomes.schema import is_store
from routebench.outcomes.store import Store, StoreInfo

__all__ = ["Collected", "has_answers", "is_store", "read_store"]

_SIMULATED = "simulated"  # the provider whose models are invented


@dataclass(frozen=True, slots=True)
class Collected:
    """What was collected, as `routebench.longform` reads it."""

    table: pa.Table
    source: Literal["live", "simulated"]
    graded: bool
    """Whether a judge's grades are in it; then no other judge's should be mixed in unasked."""
    files: tuple[Path, ...]
    """The store's own; outcomes are in all of them."""
    notes: tuple[str, ...]


def read_store(path: Path, suite: str | None = None, graded_by: str | None = None) -> Collected:
    """The answers of a store, as of now, while it may be written.

    Raises:
        DataError: for a store that is unsound, or without any answer.
    """
    with Store(path, write=False) as store:
        info = store.info()
        chosen = suite if suite in info.suites else None
        judges = store.judges(chosen)
        table = store.table(chosen, graded_by)
    if not table.num_rows:
        raise DataError(
            f"{path.name}: nothing has been answered yet", "`routebench collect` asks what is left"
        )
    judge = graded_by or next(iter(judges), None)
    others = [name for name in judges if name != judge]
    live = _is_live(info)
    return Collected(
        table.select([name for name in table.column_names if name in COLUMNS]),
        "live" if live else "simulated",
        judge is not None,
        store_files(path),
        tuple(_notes(info, judge, others, live)),
    )


def has_answers(path: Path) -> bool:
    """Whether there is a store with an answer in it."""
    if not path.is_file():
        return False
    with Store(path, write=False) as store:
        return store.counts()["answered"] > 0


def _is_live(info: StoreInfo) -> bool:
    return any(a.provider != _SIMULATED and a.calls.get("answered") for a in info.models)


def _notes(info: StoreInfo, judge: str | None, others: list[str], live: bool) -> list[str]:
    graded = "not graded yet" if judge is None else f"graded by {judge}"
    notes = [f"answers collected in {info.path.name}, {graded}"]
    if others:
        notes[0] += f" (there are grades by {', '.join(others)} too)"
    if not live:
        notes.append("the answers are those of simulated models: no real model was asked")
    if missing := info.states["pending"] + info.states["in_flight"]:
        notes.append(f"calls not made yet: {missing:,}; their cells are missing")
    return notes
