"""Grade a table or a store, and measure agreement with the grades it already has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.data.columns import TableColumns
from routebench.data.files import read_table
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.files import replacing
from routebench.judge.compared import Compared, Graded, compared, recorded
from routebench.judge.regrade import grade_texts
from routebench.judge.store import Counts, Judge, Mark, Watch, grade_store
from routebench.records import Grade
from routebench.redact import one_line
from routebench.store.store import AnswerStore


@dataclass(frozen=True, slots=True)
class Judged:
    """The result of the `judge` command."""

    place: str
    counts: Counts
    compared: Compared | None
    nothing: str = ""
    """Why there is nothing to compare with."""


def judge_table(
    path: Path,
    judge: Judge,
    against: Judge | None,
    *,
    limit: int | None = None,
    out: Path | None = None,
    show: int = 5,
    regrade: bool = False,
    watch: Watch | None = None,
) -> Judged:
    """Grade the answers of an outcomes file, and compare with another judge's grades.

    Without `against` that judge is the one who made the grades in the file. `limit` is the size
    of a random sample of the answers, and `show` the number of disagreements to return. `out`
    gets the rows that were judged, with the new grades in place of the old ones.

    Raises:
        DataError: the file has no answers, or the judge got no reply at all.
        OptionError: `out` cannot be written as asked.
    """
    if out is not None:
        check_out(out, path)
    table, _ = read_table(path)
    rows = _answered(table, path.name, limit)
    texts = _texts(rows)
    marks, counts = grade_texts(judge, texts, watch, regrade=regrade)
    _check_replies(judge, counts)
    new = _graded(judge.id, marks)
    if against:
        other, made = grade_texts(against, texts, watch, regrade=regrade)
        _check_replies(against, made)
        old: Graded | None = _graded(against.id, other)
    else:
        old = recorded(rows)
    if out is not None:
        write(regraded(rows.table, new), out)
    if old is None or not old.known.any():
        return Judged(path.name, counts, None, "no answer of the file has a grade")
    return Judged(path.name, counts, *compared(rows, texts, old, new, show))


def judge_store(
    store: AnswerStore,
    judge: Judge,
    against: Judge | None,
    *,
    suite: str | None = None,
    limit: int | None = None,
    out: Path | None = None,
    show: int = 5,
    regrade: bool = False,
    watch: Watch | None = None,
) -> Judged:
    """Grade the answers of a store, and compare with another judge's grades.

    The other judge is `against`, or the first one that has graded these answers. Arguments and
    errors are those of `judge_table`; `suite` limits grading to one suite.
    """
    place = store.path.name
    if out is not None:
        check_out(out, store.path)
    if suite is not None and suite not in (known := store.suites()):
        raise OptionError(f"--suite {suite}: not in {place}", did_you_mean(suite, known))
    if not store.counts()["answered"]:
        raise DataError(f"{place}: nothing has been answered yet")
    counts = grade_store(store, judge, None, watch, regrade, suite=suite, limit=limit)
    _check_replies(judge, counts)
    if against:
        made = grade_store(store, against, None, watch, regrade, suite=suite, limit=limit)
        _check_replies(against, made)
    if out is not None:
        store.export(out, suite, judge.id)
    others = [name for name in store.judges(suite) if name != judge.id]
    name = against.id if against else next(iter(others), None)
    if name is None:
        return Judged(place, counts, None, "no other judge has graded these answers")
    rows = TableColumns(store.table(suite, judge.id), place)
    old = recorded(TableColumns(store.table(suite, name), place))
    new = recorded(rows)
    if old is None or new is None:
        return Judged(place, counts, None, "nothing is graded")
    old, new = replace(old, name=name), replace(new, name=judge.id)
    return Judged(place, counts, *compared(rows, _texts(rows), old, new, show))


def _check_replies(judge: Judge, counts: Counts) -> None:
    """Raise a `DataError` where a judge that asks a model got no reply at all."""
    usage = counts.usage
    if usage is not None and usage.failed and not usage.calls and not counts.graded:
        raise DataError(f"{judge.name}: {one_line(counts.reasons[0][0])}")


def check_out(out: Path, source: Path) -> None:
    """Raise an `OptionError` for an output that would fail at the end, or replace the source."""
    if out.suffix.lower() != ".parquet":
        raise OptionError(f"--out {out}: the table is written as .parquet")
    if out.resolve() == source.resolve():
        raise OptionError(f"--out {out}: would replace the file that is judged", "name another")
    if not out.parent.is_dir():
        raise OptionError(f"--out {out}: there is no folder {out.parent}")


def regraded(table: pa.Table, new: Graded) -> pa.Table:
    """Return the table with a judge's grades; without `grade` where it gives scores only."""
    known = new.known
    states = np.where(known, "ok", "ungraded").tolist()
    names = [Grade(code).name if code >= 0 else None for code in new.grade.tolist()]
    made = {
        "grade": pa.array(names, pa.large_string()),
        "score": pa.array(new.score, pa.float64(), mask=~known),
        "state": pa.array(states, pa.large_string()),
    }
    if not (new.grade >= 0).any():
        del made["grade"]
    kept = table.drop_columns([c for c in ("grade", "score", "state") if c in table.column_names])
    for name, column in made.items():
        kept = kept.append_column(name, column)
    return kept


def write(table: pa.Table, out: Path) -> None:
    """Write a Parquet file that is whole or not there."""
    import pyarrow.parquet as pq

    try:
        with replacing(out) as part:
            pq.write_table(table, part, compression="zstd")
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error


def _answered(table: pa.Table, place: str, limit: int | None) -> TableColumns:
    """Return the rows with an answer, or a random sample of `limit`, in the file's order."""
    for name in ("response", "reference"):
        if name not in table.column_names:
            raise DataError(f"{place}: no column {name}", did_you_mean(name, table.column_names))
    answered = np.flatnonzero(table["response"].is_valid().to_numpy())
    if not len(answered):
        raise DataError(f"{place}: no row has an answer, column response")
    if limit is not None and limit < len(answered):
        answered = np.sort(np.random.default_rng(0).permutation(answered)[:limit])
    return TableColumns(table.take(pa.array(answered)).combine_chunks(), place)


def _texts(rows: TableColumns) -> list[list[Any]]:
    n = rows.table.num_rows
    return [
        rows.text(name).to_pylist() if name in rows else [None] * n
        for name in ("query", "reference", "response")
    ]


def _graded(name: str, marks: Sequence[Mark]) -> Graded:
    score = [np.nan if mark.score is None else mark.score for mark in marks]
    grade = [Grade.NONE if mark.grade is None else mark.grade for mark in marks]
    return Graded(
        name,
        np.array(score, dtype=np.float64),
        np.array(grade, dtype=np.int8),
        [mark.note for mark in marks],
    )
