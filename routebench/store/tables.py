"""A store as a long table, see `routebench.data.long_table`: in batches, however large it is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.files import replacing
from routebench.redact import redacted, secrets, telling
from routebench.store import schema
from routebench.store.values import readable

_TEXTS = ("query_id", "query", "reference", "task", "topic", "split")
_NUMBERS = ("input_tokens", "output_tokens", "cached_tokens", "thinking_tokens")
_OPTIONAL = ("reference", "task", "topic", "split")
SCHEMA = pa.schema(
    [
        *((name, pa.large_string()) for name in _TEXTS),
        ("model", pa.large_string()),
        ("sample", pa.int64()),
        ("response", pa.large_string()),
        ("reasoning", pa.large_string()),
        ("state", pa.large_string()),
        ("grade", pa.large_string()),
        ("score", pa.float64()),
        *((name, pa.float64()) for name in _NUMBERS),
        ("cost_usd", pa.float64()),
        ("latency", pa.float64()),
        ("confidence", pa.float64()),
    ]
)
"""One row per answer or failed call, in the order in which the calls were added. Tokens, USD and
seconds are null where nobody knows them; a column that no question or grade fills is left out.
`reasoning`, what a server sent of it apart from the answer, and `confidence`, the mean
log-probability of its tokens, are in exported files only."""

_Opened = Iterator[Callable[[pa.RecordBatch], None]]
_ROWS = 10_000  # in a batch, at most
_BYTES = 32 << 20  # of answers in a batch, at most, but for one answer that is longer

# Calls in the order of the file, one look at the questions for each: no sorting, no second index.
_SELECTED = (
    *("suite", *_TEXTS, "asker", "sample", "response", "state", "grade", "score"),
    *(*_NUMBERS, "cost", "latency", "confidence", "reasoning"),
)
_SELECT = """
SELECT q.suite, q.query_id, q.query, q.reference, q.task, q.topic, q.split, c.asker, c.sample,
    c.answer, c.state, g.grade, g.score, c.input_tokens, c.output_tokens, c.cached_tokens,
    c.thinking_tokens, c.cost, c.latency, {confidence}, {reasoning}
FROM calls AS c
CROSS JOIN questions AS q INDEXED BY questions_of_prompt ON q.prompt = c.prompt
CROSS JOIN suite_askers AS s ON s.suite = q.suite AND s.asker = c.asker
LEFT JOIN grades AS g ON g.judge = :judge AND g.call = c.id AND g.question = q.id
{traces}
{confidences}
WHERE c.state IN ('answered', 'failed') AND (:suite IS NULL OR q.suite = :suite)
ORDER BY c.id, q.id
"""
_TRACES = {"reasoning": "t.reasoning", "traces": "LEFT JOIN traces AS t ON t.call = c.id"}
_CONFIDENCES = {
    "confidence": "k.confidence",
    "confidences": "LEFT JOIN confidences AS k ON k.call = c.id",
}


def table(
    database: sqlite3.Connection, path: Path, suite: str | None, judge: str | None
) -> pa.Table:
    """Return the whole table in memory."""
    with schema.database_errors(path), schema.value_errors(path), schema.snapshot(database):
        view = _View.of(database, path, suite, judge)
        return pa.Table.from_batches(view.batches(database), view.columns)


def export(
    database: sqlite3.Connection, path: Path, out: Path, suite: str | None, judge: str | None
) -> int:
    """Write the table to a file of its suffix's kind; returns its rows.

    Raises:
        OptionError: for a suffix that is not known.
        DataError: where nothing has been answered, or the file cannot be written.
    """
    if out.suffix.lower() not in _WRITERS:
        raise OptionError(f"{out.name}: unknown kind of file", f"known: {', '.join(_WRITERS)}")
    try:
        with replacing(out) as part:
            with schema.database_errors(path), schema.value_errors(path), schema.snapshot(database):
                view, rows = _View.of(database, path, suite, judge, whole=True), 0
                with _WRITERS[out.suffix.lower()](part, view.columns) as write:
                    for batch in view.batches(database):
                        write(batch)
                        rows += batch.num_rows
            if not rows:
                raise DataError(f"{path.name}: nothing has been answered yet")
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    return rows


@dataclass(frozen=True, slots=True)
class _View:
    """The part of a store that a table shows, and the names of the models in it."""

    suite: str | None
    judge: int | None
    names: dict[int, str]
    several: bool
    columns: pa.Schema
    whole: bool
    """Whether reasoning and confidence are read too, and keys are hidden that an earlier version
    has stored."""

    @classmethod
    def of(
        cls,
        database: sqlite3.Connection,
        path: Path,
        suite: str | None,
        judge: str | None,
        *,
        whole: bool = False,
    ) -> _View:
        known = [row[0] for row in database.execute("SELECT DISTINCT suite FROM questions")]
        if suite is not None and suite not in known:
            raise DataError(
                f"{path.name}: there is no suite {suite!r} in it", did_you_mean(suite, known)
            )
        name = chosen_judge(database, suite, judge)
        row = None if name is None else judges(database, suite)[name]
        empty = _empty(database, suite, row)
        if not (whole and _has_reasoning(database)):
            empty.add("reasoning")
        if not (whole and _has_confidence(database)):
            empty.add("confidence")
        columns = pa.schema([field for field in SCHEMA if field.name not in empty])
        several = suite is None and len(known) > 1
        return cls(suite, row, _names(database, suite), several, columns, whole)

    def batches(self, database: sqlite3.Connection) -> Iterator[pa.RecordBatch]:
        rows: list[tuple[Any, ...]] = []
        size = 0
        traced = "reasoning" in self.columns.names
        parts = dict.fromkeys((*_TRACES, *_CONFIDENCES), "") | {
            "reasoning": "NULL",
            "confidence": "NULL",
        }
        parts |= _TRACES if traced else {}
        parts |= _CONFIDENCES if "confidence" in self.columns.names else {}
        select = _SELECT.format_map(parts)
        for row in database.execute(select, {"suite": self.suite, "judge": self.judge}):
            rows.append(row)
            size += len(row[9] or "") + len(row[-1] or "")
            if len(rows) == _ROWS or size >= _BYTES:
                yield self._batch(rows)
                rows, size = [], 0
        if rows:
            yield self._batch(rows)

    def _batch(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
        values = dict(zip(_SELECTED, zip(*rows, strict=True), strict=True))
        columns: dict[str, Any] = dict(values)
        for name in (*_TEXTS, "response", "reasoning"):
            columns[name] = [readable(value) for value in values[name]]
        if self.whole and (known := telling(secrets())):
            for name in ("response", "reasoning"):
                columns[name] = [text and redacted(text, known) for text in columns[name]]
        if self.several:  # ids of different suites may be the same
            ids = zip(values["suite"], columns["query_id"], strict=True)
            columns["query_id"] = [f"{suite}/{query}" for suite, query in ids]
        columns["model"] = [self.names[asker] for asker in values["asker"]]
        columns["state"] = [
            "failed" if state == "failed" else "ungraded" if score is None else "ok"
            for state, score in zip(values["state"], values["score"], strict=True)
        ]
        columns["cost_usd"] = [None if c is None else c / schema.USD for c in values["cost"]]
        arrays = [pa.array(columns[field.name], field.type) for field in self.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self.columns)


def _has_reasoning(database: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM traces WHERE reasoning IS NOT NULL"
    return schema.has_table(database, "traces") and database.execute(query).fetchone() is not None


def _has_confidence(database: sqlite3.Connection) -> bool:
    known = schema.has_table(database, "confidences")
    return known and database.execute("SELECT 1 FROM confidences").fetchone() is not None


def _empty(database: sqlite3.Connection, suite: str | None, judge: int | None) -> set[str]:
    """Return columns without any value: a table with them would seem to have a split, say."""
    empty = set()
    for name in _OPTIONAL:
        query = f"SELECT 1 FROM questions WHERE {name} IS NOT NULL AND (? IS NULL OR suite = ?)"  # noqa: S608
        if database.execute(query, (suite, suite)).fetchone() is None:
            empty.add(name)
    graded = "SELECT 1 FROM grades WHERE judge = ? AND grade IS NOT NULL"
    if database.execute(graded, (judge,)).fetchone() is None:
        empty.add("grade")
    return empty


def _names(database: sqlite3.Connection, suite: str | None) -> dict[int, str]:
    """Return the names of a suite's models, as short as is unambiguous."""
    rows = database.execute(
        """SELECT DISTINCT id, provider, model, parameters FROM askers JOIN suite_askers
        ON asker = id WHERE ? IS NULL OR suite = ?""",
        (suite, suite),
    ).fetchall()
    longer: list[Callable[[Any], str]] = [
        lambda row: row[2],
        lambda row: f"{row[1]}:{row[2]}",
        lambda row: f"{row[1]}:{row[2]} {_differing(row, rows)}",
    ]
    names: dict[int, str] = {}
    for name in longer:
        candidates = [name(row) for row in rows]
        for row, candidate in zip(rows, candidates, strict=True):
            if (
                row[0] not in names
                and candidates.count(candidate) == 1
                and candidate not in names.values()
            ):
                names[row[0]] = candidate
    return names


def _differing(row: Any, rows: list[Any]) -> str:
    """Return the parameters that differ between entries of one model."""
    parameters, others = json.loads(row[3]), [json.loads(r[3]) for r in rows if r[1:3] == row[1:3]]
    names = sorted({name for other in (parameters, *others) for name in other})
    differ = [n for n in names if any(other.get(n) != parameters.get(n) for other in others)]
    return " ".join(f"{n}={json.dumps(parameters.get(n), ensure_ascii=False)}" for n in differ)


def judges(database: sqlite3.Connection, suite: str | None) -> dict[str, int]:
    """Return the judges that graded answers to a suite's questions, the first one first."""
    rows = database.execute(
        """SELECT name, id FROM judges WHERE EXISTS (SELECT 1 FROM grades
        JOIN questions ON questions.id = question
        WHERE judge = judges.id AND (? IS NULL OR suite = ?)) ORDER BY id""",
        (suite, suite),
    )
    return dict(rows.fetchall())


def chosen_judge(database: sqlite3.Connection, suite: str | None, judge: str | None) -> str | None:
    """Return the judge's id, of an id or a name that one id alone has; None if nobody has graded.

    By default the first one that could grade anything.
    """
    known = judges(database, suite)
    if judge is None:
        query = "SELECT 1 FROM grades WHERE judge = ? AND state = 'ok'"
        able = (name for name, row in known.items() if database.execute(query, (row,)).fetchone())
        return next(able, next(iter(known), None))
    if judge not in known:
        named = [name for name in known if name.partition("@")[0] == judge]
        if len(named) == 1:
            return named[0]
        raise OptionError(f"no judge {judge!r} has graded here", did_you_mean(judge, known))
    return judge


@contextmanager
def _parquet(path: Path, columns: pa.Schema) -> _Opened:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, columns, compression="zstd") as writer:
        yield writer.write_batch


@contextmanager
def _csv(path: Path, columns: pa.Schema) -> _Opened:
    from pyarrow import csv

    with csv.CSVWriter(path, columns) as writer:
        yield writer.write_batch


@contextmanager
def _lines(path: Path, _: pa.Schema) -> _Opened:
    with path.open("w", encoding="utf-8") as file:

        def write(batch: pa.RecordBatch) -> None:
            for row in batch.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

        yield write


_WRITERS: dict[str, Any] = {
    ".parquet": _parquet,
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".csv": _csv,
}
