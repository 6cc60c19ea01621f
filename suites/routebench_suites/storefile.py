"""A store of collected answers, read as a suite's outcomes with notes for a board's readers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from routebench.data.long_table import COLUMNS
from routebench.errors import DataError
from routebench.files import store_files
from routebench.store.schema import EmptyFileError, is_store
from routebench.store.store import AnswerStore

__all__ = ["Collected", "has_answers", "is_store", "read_store"]

_SIMULATED = "simulated"  # the provider whose models are invented


@dataclass(frozen=True, slots=True)
class Collected:
    """Collected answers, as `routebench.data.long_table` reads them."""

    table: pa.Table
    source: Literal["live", "simulated"]
    graded: bool
    """Whether a judge's grades are in it; then no other judge's should be mixed in unasked."""
    files: tuple[Path, ...]
    """The store's own; outcomes are in all of them."""
    notes: tuple[str, ...]


def read_store(
    path: Path, suite: str | None = None, graded_by: str | None = None, *, only: bool = False
) -> Collected:
    """Read the present answers of a store, which may be written meanwhile.

    Those to one suite's questions; to all where it knows of no such suite, unless `only` these.

    Raises:
        DataError: for a store that is unsound, or without any answer.
    """
    with AnswerStore(path, write=False) as store:
        known = store.suites()
        chosen = suite if only or suite in known else None
        judge, judges = store.judge(chosen, graded_by), store.judges(chosen)
        answers, left = store.answers_by_provider(chosen)
        table = store.table(chosen, graded_by)
    if not table.num_rows:
        raise DataError(
            f"{path.name}: nothing has been answered yet", "`routebench collect` asks what is left"
        )
    others = [name for name in judges if name != judge]
    return Collected(
        table.select([name for name in table.column_names if name in COLUMNS]),
        "simulated" if _SIMULATED in answers else "live",  # one invented model makes it so
        judge is not None,
        store_files(path),
        (
            *_notes(path.name, judge, others, answers, left),
            *_uncosted(table),
            *_mixed(chosen, known),
        ),
    )


def has_answers(path: Path) -> bool:
    """Return whether there is a store with an answer in it."""
    if not path.is_file():
        return False
    try:
        with AnswerStore(path, write=False) as store:
            return store.counts()["answered"] > 0
    except EmptyFileError:  # whoever was making it was killed, or is at it
        return False


def _uncosted(table: pa.Table) -> tuple[str, ...]:
    import pyarrow.compute as pc

    without = pc.and_(pc.is_valid(table["response"]), pc.is_null(table["cost_usd"]))
    number = pc.sum(without).as_py() or 0
    said = f"{number:,} answers of unknown cost: --prices FILE estimates it from their texts"
    return (said,) if number else ()


def _mixed(chosen: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if chosen is not None or len(known) < 2:
        return ()
    return (f"questions of several suites: {', '.join(known)} (table.of names one)",)


def _notes(
    name: str, judge: str | None, others: list[str], answers: dict[str, int], left: int
) -> list[str]:
    graded = "not graded yet" if judge is None else f"graded by {judge}"
    notes = [f"answers collected in {name}, {graded}"]
    if others:
        notes[0] += f" (there are grades by {', '.join(others)} too)"
    if invented := answers.get(_SIMULATED):
        only = len(answers) == 1
        notes.append(
            "the answers are those of simulated models: no real model was asked"
            if only
            else f"{invented:,} of the {sum(answers.values()):,} answers are simulated models'"
        )
    if left:
        notes.append(f"calls not made yet: {left:,}; their cells are missing")
    return notes
