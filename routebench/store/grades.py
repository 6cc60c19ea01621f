"""Answers for judges, without the model, and the grades of judges."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from routebench.records import Grade
from routebench.store import schema
from routebench.store.entries import StoredAnswer
from routebench.store.values import packed, unpacked

_AT_ONCE = 256  # answers read in one go; between two, grades may be written

# Read in the order of the keys' own index. One call may answer questions of several suites.
_ANSWERS = """
SELECT c.key, c.id, q.id, q.query, q.reference, c.answer
FROM calls AS c INDEXED BY sqlite_autoindex_calls_1
CROSS JOIN questions AS q ON q.prompt = c.prompt
JOIN suite_askers AS s ON s.suite = q.suite AND s.asker = c.asker
LEFT JOIN grades AS g ON g.judge = :judge AND g.call = c.id AND g.question = q.id
WHERE c.state = 'answered' AND (:suite IS NULL OR q.suite = :suite)
    AND coalesce(g.state, 'ungraded') = 'ungraded'
    AND c.key >= :key AND NOT (c.key = :key AND q.id <= :question)
ORDER BY c.key, q.id LIMIT :count
"""


def read_answers(
    database: sqlite3.Connection, path: Path, suite: str | None, judge: str | None = None
) -> Iterator[StoredAnswer]:
    """Yield answers in the order of their keys; with a judge only those that it has not graded."""
    place = {"suite": suite, "key": "", "question": 0, "count": _AT_ONCE}
    place["judge"] = None if judge is None else judge_row(database, judge)
    while True:
        with schema.database_errors(path):
            rows = database.execute(_ANSWERS, place).fetchall()
        for key, call, question, *texts in rows:
            with schema.value_errors(path):
                query, reference, response = (None if t is None else unpacked(t) for t in texts)
            assert query is not None
            assert response is not None
            yield StoredAnswer(call, question, query, reference, response)
            place |= {"key": key, "question": question}
        if len(rows) < _AT_ONCE:
            return


def write_grade(
    database: sqlite3.Connection,
    judge: str,
    answer: StoredAnswer,
    score: float | None,
    grade: Grade | None,
    note: str | None,
) -> None:
    """Write one row per judge, call and question; the latest grade stands."""
    row = judge_row(database, judge)
    if row is None:
        row = database.execute("INSERT INTO judges (name) VALUES (?)", (judge,)).lastrowid
    known = score is not None and not math.isnan(score)
    named = grade.name if known and grade is not None and grade != Grade.NONE else None
    database.execute(
        "INSERT OR REPLACE INTO grades VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row,
            answer.call,
            answer.question,
            "ok" if known else "ungraded",
            score if known else None,
            named,
            packed(note),
            time.time(),
        ),
    )


def judge_row(database: sqlite3.Connection, judge: str) -> int | None:
    """Return the id of a judge that has graded here; None for any other."""
    row = database.execute("SELECT id FROM judges WHERE name = ?", (judge,)).fetchone()
    return None if row is None else int(row[0])
