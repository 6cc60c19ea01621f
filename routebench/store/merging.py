"""Merge stores of answers: of shards of a collection, or of machines that collected apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from routebench.errors import DataError
from routebench.store import schema
from routebench.store.transactions import Transactions
from routebench.store.values import readable

_VALUES = (
    "attempts, asked, settled, latency, input_tokens, output_tokens, cached_tokens,"
    " thinking_tokens, cost, price, finish, version, error, final, message, answer"
)
# What is in flight in a store that is merged is asked again, and may have been paid already.
_STATE = "CASE s.state WHEN 'in_flight' THEN 'pending' ELSE s.state END"
_LOST = "s.interrupted + (s.state = 'in_flight')"
_SAME = "c.state = 'answered' AND s.state = 'answered' AND c.settled IS s.settled"
_STEPS = (
    "INSERT OR IGNORE INTO askers (provider, model, parameters)"
    " SELECT provider, model, parameters FROM source.askers",
    "INSERT OR IGNORE INTO prompts (digest, text) SELECT digest, text FROM source.prompts",
    "INSERT OR IGNORE INTO judges (name) SELECT name FROM source.judges",
    "CREATE TEMP TABLE asker_of AS SELECT s.id AS old, d.id AS new FROM source.askers AS s"
    " JOIN main.askers AS d USING (provider, model, parameters)",
    "CREATE TEMP TABLE prompt_of AS SELECT s.id AS old, d.id AS new FROM source.prompts AS s"
    " JOIN main.prompts AS d USING (digest)",
    "CREATE INDEX temp.by_prompt ON prompt_of (old)",
)
_MORE = (
    """INSERT OR IGNORE INTO questions
    (suite, query_id, query, prompt, reference, task, topic, split)
    SELECT suite, query_id, query, p.new, reference, task, topic, split
    FROM source.questions JOIN prompt_of AS p ON p.old = prompt ORDER BY source.questions.id""",
    """INSERT OR IGNORE INTO suite_askers
    SELECT suite, a.new FROM source.suite_askers JOIN asker_of AS a ON a.old = asker""",
    # Paid in both: the first answer is kept, and what the other cost still counts.
    """INSERT INTO spares (call, cost, price, settled)
    SELECT c.id, s.cost, s.price, s.settled FROM source.calls AS s JOIN main.calls AS c USING (key)
    WHERE c.state = 'answered' AND s.state = 'answered' AND c.settled IS NOT s.settled
    AND NOT EXISTS (SELECT 1 FROM spares AS o WHERE o.call = c.id AND o.settled = s.settled)""",
    f"""UPDATE main.calls AS c SET state = {_STATE}, owner = NULL,
    interrupted = max(c.interrupted, {_LOST}), ({_VALUES}) = (SELECT {_VALUES} FROM source.calls
    WHERE key = c.key) FROM source.calls AS s WHERE s.key = c.key
    AND ((c.state != 'answered' AND s.state = 'answered')
        OR (c.state = 'pending' AND s.state = 'failed'))""",  # noqa: S608
    f"""INSERT INTO calls (key, asker, prompt, sample, state, interrupted, {_VALUES})
    SELECT s.key, a.new, p.new, s.sample, {_STATE}, {_LOST}, {_VALUES} FROM source.calls AS s
    JOIN asker_of AS a ON a.old = s.asker JOIN prompt_of AS p ON p.old = s.prompt
    WHERE NOT EXISTS (SELECT 1 FROM main.calls AS c WHERE c.key = s.key)
    ORDER BY s.id""",  # noqa: S608
    """INSERT INTO spares (call, cost, price, settled)
    SELECT c.id, x.cost, x.price, x.settled FROM source.spares AS x
    JOIN source.calls AS s ON s.id = x.call JOIN main.calls AS c USING (key)
    WHERE c.settled IS NOT x.settled
    AND NOT EXISTS (SELECT 1 FROM spares AS o WHERE o.call = c.id AND o.settled = x.settled)""",
    f"""INSERT OR IGNORE INTO grades
    SELECT k.id, c.id, q.id, g.state, g.score, g.grade, g.note, g.graded FROM source.grades AS g
    JOIN source.judges AS j ON j.id = g.judge JOIN main.judges AS k ON k.name = j.name
    JOIN source.calls AS s ON s.id = g.call JOIN main.calls AS c ON c.key = s.key AND {_SAME}
    JOIN source.questions AS t ON t.id = g.question
    JOIN main.questions AS q ON q.suite = t.suite AND q.query_id = t.query_id""",  # noqa: S608
)
_BESIDE = {"traces": "reasoning, miscounted", "confidences": "confidence"}


def merge_stores(sources: Sequence[Path], out: Path) -> None:
    """Add what the stores hold to the one at `out`, which is made where there is none.

    Whatever is there already stays: a call is kept once. What was paid twice counts twice, but a
    store that is merged again adds nothing.

    Raises:
        DataError: one is no store, or has another question under the same id.
    """
    for source in sources:
        schema.connect(source, create=False, write=False).close()
    with closing(schema.connect(out, create=True, write=True)) as database:
        for source in sources:
            if source.resolve() != out.resolve():
                _add(database, source, out)


def _add(database: sqlite3.Connection, source: Path, out: Path) -> None:
    with schema.database_errors(source):
        database.execute("ATTACH ? AS source", (schema.address(source),))
    try:
        with Transactions(database, out).writing():
            for statement in _STEPS:
                database.execute(statement)
            _check_questions(database, source, out)
            for statement in _MORE:
                database.execute(statement)
            for table, columns in _BESIDE.items():
                _beside(database, table, columns)
            for name in ("asker_of", "prompt_of"):
                database.execute(f"DROP TABLE temp.{name}")
    finally:
        database.execute("DETACH source")


def _check_questions(database: sqlite3.Connection, source: Path, out: Path) -> None:
    other = database.execute(
        """SELECT s.suite, s.query_id FROM source.questions AS s
        JOIN prompt_of AS p ON p.old = s.prompt
        JOIN main.questions AS d ON d.suite = s.suite AND d.query_id = s.query_id
        WHERE d.prompt != p.new LIMIT 1"""
    ).fetchone()
    if other is not None:
        suite, query = map(readable, other)
        raise DataError(
            f"{source.name}: question {query!r} of {suite} has another text than in {out.name}",
            "merge stores of the same questions",
        )


def _beside(database: sqlite3.Connection, table: str, columns: str) -> None:
    """Copy what few answers have, which a store of an earlier version lacks."""
    known = "SELECT 1 FROM source.sqlite_master WHERE type = 'table' AND name = ?"
    if database.execute(known, (table,)).fetchone():
        database.execute(
            f"INSERT OR IGNORE INTO main.{table} (call, {columns})"  # noqa: S608
            f" SELECT c.id, {columns} FROM source.{table} AS x"
            f" JOIN source.calls AS s ON s.id = x.call"
            f" JOIN main.calls AS c ON c.key = s.key AND {_SAME}"
        )
