"""Content of a store, from its tally, so that nothing here reads all calls."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

from routebench.files import store_files
from routebench.store.entries import STATES, ModelCalls, StoreInfo
from routebench.store.schema import USD


def spent(database: sqlite3.Connection) -> float:
    """Return USD of all answers, kept or not."""
    (total,) = database.execute(
        """SELECT (SELECT coalesce(sum(cost), 0) FROM tally)
        + (SELECT coalesce(sum(cost), 0) FROM spares)"""
    ).fetchone()
    return float(total / USD)


def counts(database: sqlite3.Connection) -> dict[str, int]:
    """Return the calls by state, all four."""
    calls = _pairs(database, "SELECT state, sum(calls) FROM tally GROUP BY state")
    return {state: calls.get(state, 0) for state in STATES}


def answers_by_provider(
    database: sqlite3.Connection, suite: str | None
) -> tuple[dict[str, int], int]:
    """Return answers by provider to a suite's questions, and the number of open calls."""
    answers = database.execute(
        """SELECT provider, sum(calls) FROM askers JOIN tally ON tally.asker = id
        WHERE state = 'answered' AND (? IS NULL OR id IN
            (SELECT asker FROM suite_askers WHERE suite = ?))
        GROUP BY provider HAVING sum(calls) > 0 ORDER BY provider""",
        (suite, suite),
    ).fetchall()
    still = 0
    kinds = {"calls_pending": "state = 'pending'", "calls_in_flight": "owner IS NOT NULL"}
    for index, condition in kinds.items():
        still += database.execute(
            f"""SELECT count(*) FROM calls AS c INDEXED BY {index} WHERE {condition} AND EXISTS (
                SELECT 1 FROM questions AS q JOIN suite_askers AS s ON s.suite = q.suite
                WHERE q.prompt = c.prompt AND s.asker = c.asker AND (? IS NULL OR q.suite = ?))""",  # noqa: S608
            (suite, suite),
        ).fetchone()[0]
    return dict(answers), still


def info(database: sqlite3.Connection, path: Path) -> StoreInfo:
    """Return all facts of a store at once; call it inside a snapshot."""
    answered, priced, interrupted = database.execute(
        """SELECT coalesce(sum(calls) FILTER (WHERE state = 'answered'), 0),
        coalesce(sum(priced), 0), coalesce(sum(interrupted), 0) FROM tally"""
    ).fetchone()
    judges: dict[str, dict[str, int]] = defaultdict(dict)
    for judge, state, number in database.execute(
        """SELECT name, grades.state, count(*) FROM judges JOIN grades ON judge = judges.id
        GROUP BY judges.id, grades.state ORDER BY judges.id, grades.state"""
    ):
        judges[judge][state] = number
    return StoreInfo(
        path=path,
        size=sum(file.stat().st_size for file in store_files(path)[:2] if file.exists()),
        suites=_pairs(
            database, "SELECT suite, count(*) FROM questions GROUP BY suite ORDER BY suite"
        ),
        models=tuple(_models(database)),
        states=counts(database),
        usd=spent(database),
        unpriced=answered - priced,
        errors=_pairs(
            database,
            """SELECT error, count(*) FROM calls INDEXED BY calls_failed
            WHERE state = 'failed' GROUP BY error ORDER BY error""",
        ),
        interrupted=interrupted,
        twice=database.execute("SELECT count(*) FROM spares").fetchone()[0],
        prices=_pairs(
            database,
            """SELECT price, sum(calls) FROM tally WHERE state = 'answered' AND price != ''
            GROUP BY price HAVING sum(calls) > 0 ORDER BY price""",
        ),
        judges=dict(judges),
    )


def _models(database: sqlite3.Connection) -> list[ModelCalls]:
    rows = database.execute(
        """SELECT id, provider, model, parameters, state, sum(calls), sum(cost)
        FROM askers JOIN tally ON asker = id GROUP BY id, state
        ORDER BY provider, model, parameters, state"""
    )
    calls: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    paid: dict[tuple[str, str, str], int] = defaultdict(int)
    for _, provider, model, parameters, state, number, cost in rows:
        named = (provider, model, parameters)
        paid[named] += cost
        if number:
            calls[named][state] = number
    return [ModelCalls(*named, calls=calls[named], usd=cost / USD) for named, cost in paid.items()]


def _pairs(database: sqlite3.Connection, query: str) -> dict[Any, int]:
    return dict(database.execute(query).fetchall())
