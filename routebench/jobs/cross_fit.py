"""The inner folds of a cross-fitted job: who learns from which queries, and who decides on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.jobs.harness import concatenate
from routebench.jobs.query_batch import QueryBatch, take
from routebench.jobs.setup import Job, Setup
from routebench.records import Decisions, Ints, Table


@dataclass(frozen=True)
class LearningTables:
    """The tables of one fit: it learns and chooses on two, and is refitted on both."""

    train: Table
    validation: Table
    both: Table | None = None
    """In the suite's order; None for a router that is not refitted."""

    @property
    def texts(self) -> list[str]:
        """Return the texts that the encoder is fitted on."""
        return list((self.train if self.both is None else self.both).queries.text)


def refitted_tables(setup: Setup, fold: int) -> LearningTables:
    """Return what the deployed router of a fold learns from: train, validation, and both."""
    train, validation = setup.tables(fold)
    return LearningTables(train, validation, setup.known_table(fold, setup.deciding_rows(fold, 1)))


def decided_rows(setup: Setup, job: Job, part: int) -> Ints:
    """Return the rows that an inner fit decides on, and never learns from."""
    rows = setup.deciding_rows(job.fold, job.inner_folds)
    decided: Ints = rows[_part(setup, rows) == part]
    return decided


def inner_tables(setup: Setup, job: Job, part: int) -> LearningTables:
    """Return what an inner fit learns from: the rest, of which the next part is its validation."""
    rows = setup.deciding_rows(job.fold, job.inner_folds)
    parts = _part(setup, rows)
    rest, held_out = parts != part, parts == (part + 1) % job.inner_folds
    return LearningTables(
        *(setup.known_table(job.fold, rows[some]) for some in (rest & ~held_out, held_out, rest))
    )


def inner_batch(setup: Setup, job: Job, part: int) -> QueryBatch:
    """Return the queries that an inner fit decides on, shuffled."""
    none, rows = np.zeros(0, dtype=np.int64), decided_rows(setup, job, part)
    everything = setup.data.queries.show(setup.data.visible)
    return QueryBatch.of(everything, rows, none, none, [job.seed, job.fold, part])


def joined(setup: Setup, job: Job, decided: Sequence[Decisions]) -> Decisions:
    """Return the decisions of all inner fits, in the order of the rows that points are chosen on.

    A model that only some of them consider has no expected quality elsewhere.
    """
    rows = np.concatenate([decided_rows(setup, job, part) for part in range(job.inner_folds)])
    return take(concatenate(list(decided), alike=False), np.argsort(rows))


def spent(timings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the processes of the inner fits took together; of memory the highest peak."""
    made: dict[str, Any] = {
        "inner_seconds": sum(t.get("fit_seconds", 0) + t.get("route_seconds", 0) for t in timings)
    }
    if all("cpu_seconds" in timing for timing in timings):
        made["cpu_seconds"] = sum(timing["cpu_seconds"] for timing in timings)
    for name in {name for timing in timings for name in timing if name.startswith("peak")}:
        made[name] = max(timing.get(name, 0) for timing in timings)
    return made


def both_stages(fitted: dict[str, Any], routed: dict[str, Any]) -> dict[str, Any]:
    """Return the timing of both stages combined; of memory the higher peak."""
    both = fitted | routed
    if "cpu_seconds" in fitted and "cpu_seconds" in routed:
        both["cpu_seconds"] = fitted["cpu_seconds"] + routed["cpu_seconds"]
    peaks = {name for name in both if name.startswith("peak")}
    return both | {name: max(fitted.get(name, 0), routed.get(name, 0)) for name in peaks}


def _part(setup: Setup, rows: Ints) -> Any:
    assert setup.inner is not None, "a run with inner folds has assigned them"
    return setup.inner[rows]
