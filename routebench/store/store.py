"""The store of paid calls: one SQLite file, one row per call, written the moment a call returns.

A call goes from `pending` to `in_flight` (claimed, and that is committed before it is made) to
`answered` or `failed`. Whatever a method writes is committed when it returns: a process may be
killed at any moment, and any number of processes may work on one file. A power cut may cost the
answers of the last second.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from routebench.errors import DataError
from routebench.hookspecs import StoredQuestion
from routebench.records import Grade, Reply
from routebench.redact import redacted, secrets, telling
from routebench.store import schema, summary, tables
from routebench.store.adding import Adding
from routebench.store.entries import (
    Added,
    Call,
    ModelCalls,
    StoredAnswer,
    StoreInfo,
    call_key,
    canonical,
)
from routebench.store.grades import read_answers, write_grade
from routebench.store.owners import Owner
from routebench.store.transactions import Transactions
from routebench.store.values import packed, unpacked

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Added",
    "AnswerStore",
    "Call",
    "ModelCalls",
    "StoreInfo",
    "StoredAnswer",
    "StoredQuestion",
    "call_key",
    "canonical",
]

_AT_ONCE = 5_000  # calls added in one transaction: others wait for it some 50 ms at most


class AnswerStore:
    """An open store; use it from one thread, and close it.

    Each object is one owner of calls: what it has claimed is its own until it settles, fails or
    releases it, or until its process ends and another one calls `recover`.

    Args:
        path: the file. With `create` it is made where there is none, and its folder too.
        write: without it the file is only read; that works while others write, and on a file
            that may not be written.

    Raises:
        DataError: from here and from every method, for a file that is not (or no longer) a sound
            store, for a full disk, for a file that others keep locked. What was committed stays.
    """

    def __init__(self, path: Path, *, create: bool = True, write: bool = True) -> None:
        self.path = path
        self._database = schema.connect(path, create=create and write, write=write)
        self._secrets = secrets()
        self._telling = telling(self._secrets)
        self._transactions = Transactions(self._database, path)
        self._owner = Owner(self._database)
        self._confined = False  # to the calls that were added through this object
        self._after = 0  # the last call that was claimed; the next ones lie behind it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Calls of this object that are in flight count as interrupted."""
        if self._owner.id is not None:
            # Not on a full disk, say; the next `recover` finds them then.
            with contextlib.suppress(DataError), self._transactions.writing():
                self._owner.leave()
        self._database.close()

    def add(self, suite: str, questions: Iterable[StoredQuestion], calls: Iterable[Call]) -> Added:
        """Add a suite's questions and the calls for them; known calls stay as they are.

        From now on this object claims, retries and counts as its own these calls only; another
        `add` joins them. A question that is there with another text takes the new one: calls with
        its earlier prompt stay in the store, and are no longer its answers.

        Raises:
            PluginError: for parameters that hold a key.
        """
        adding = Adding(self._database, suite)
        with self._transactions.writing():
            for question in questions:
                adding.question(question)
            others = adding.others
        self._confined = True
        new = known = 0
        remaining = iter(calls)
        while batch := list(islice(remaining, _AT_ONCE)):
            with self._transactions.writing():
                added = adding.calls(batch)
            new, known = new + added, known + len(batch) - added
        return Added(new, known, adding.changed, others)

    def claim(self, n: int) -> list[Call]:
        """Claim up to n pending calls: they are in flight, and this object makes them.

        They come in the order in which they were added, out of what this object has added, or of
        the whole store where it has added nothing. No other process gets the same ones. An empty
        list means that none is pending; others may still be in flight elsewhere. Claim what is
        about to be sent: whatever is in flight when a process is killed counts as interrupted.
        """
        with self._transactions.writing():
            rows = self._pending(n, self._after, None)
            if len(rows) < n and self._after:
                rows += self._pending(n - len(rows), 0, self._after)  # released ones, for example
            if not rows:
                return []
            now = time.time()
            owner = self._owner.present(now)
            self._database.executemany(
                "UPDATE calls SET state = 'in_flight', owner = ?, asked = ? WHERE id = ?",
                [(owner, now, row[0]) for row in rows],
            )
        self._after = rows[-1][0]
        return [
            Call(k, p, m, given, unpacked(text), sample) for _, k, p, m, given, text, sample in rows
        ]

    def settle(
        self,
        key: str,
        reply: Reply,
        *,
        cost: float | None,
        price_id: str = "",
        latency: float = math.nan,
        attempts: int = 1,
    ) -> bool:
        """Store an answer, refusals too, and what it cost in USD (None or NaN: unknown).

        Keys of the environment in its texts are hidden, as a server may echo them.
        It is kept whoever owns the call by now, for it has been paid. False where another process
        has stored an answer already: then only the cost is noted.

        Raises:
            ValueError: for a cost that is negative or infinite.
            KeyError: for a call that was never added.
        """
        paid, now = _picodollars(cost), time.time()
        version = packed(redacted(reply.version, self._secrets))
        answer = packed(redacted(reply.text, self._telling))
        with self._transactions.writing():
            done = self._database.execute(
                """UPDATE calls SET state = 'answered', owner = NULL, settled = ?, latency = ?,
                attempts = attempts + ?, answer = ?, finish = ?, version = ?, input_tokens = ?,
                output_tokens = ?, cached_tokens = ?, thinking_tokens = ?, cost = ?, price = ?,
                error = NULL, message = NULL, final = 0 WHERE key = ? AND state != 'answered'""",
                (now, latency, attempts, answer, reply.finish, version,
                 reply.input_tokens, reply.output_tokens, reply.cached_tokens,
                 reply.thinking_tokens, paid, price_id, key),
            )  # fmt: skip
            if not done.rowcount:
                self._database.execute(
                    "INSERT INTO spares (call, cost, price, settled) VALUES (?, ?, ?, ?)",
                    (self._id(key), paid, price_id, now),
                )
            elif reply.reasoning or reply.miscounted:
                self._database.execute(
                    "INSERT OR REPLACE INTO traces (call, reasoning, miscounted) VALUES (?, ?, ?)",
                    (
                        self._id(key),
                        packed(redacted(reply.reasoning, self._telling) or None),
                        reply.miscounted or None,
                    ),
                )
            if done.rowcount and math.isfinite(reply.confidence):
                self._database.execute(
                    "INSERT OR REPLACE INTO confidences (call, confidence) VALUES (?, ?)",
                    (self._id(key), reply.confidence),
                )
            self._owner.renew(now)
        return bool(done.rowcount)

    def fail(
        self, key: str, kind: str, message: str, *, attempts: int = 1, final: bool = False
    ) -> bool:
        """Record that a call failed, with the error; keys in the message are hidden.

        Such a call is not claimed again before `retry`; a `final` one only by `retry(final=True)`.
        False where the call is not this object's any more: nothing is noted.
        """
        now = time.time()
        with self._transactions.writing():
            done = self._database.execute(
                """UPDATE calls SET state = 'failed', owner = NULL, settled = ?, error = ?,
                message = ?, attempts = attempts + ?, final = ? WHERE key = ? AND owner = ?""",
                (
                    now,
                    kind,
                    packed(redacted(message, self._secrets)),
                    attempts,
                    final,
                    key,
                    self._owner.id,
                ),
            )
            self._owner.renew(now)
        return bool(done.rowcount)

    def retry(self, *, final: bool = False) -> int:
        """Retry this object's failed calls: make them pending; return their number."""
        with self._transactions.writing():
            done = self._database.execute(
                """UPDATE calls INDEXED BY calls_failed
                SET state = 'pending', error = NULL, message = NULL, final = 0
                WHERE state = 'failed' AND (final = 0 OR ?)
                AND (? OR id IN (SELECT call FROM temp.wanted))""",
                (final, not self._confined),
            )
        return done.rowcount

    def release(self, keys: Iterable[str] | None = None, *, sent: bool = False) -> int:
        """Release calls in flight of this object, all or those named; return their number.

        `sent`: they may have reached the server and been paid, so they count as interrupted.
        """
        with self._transactions.writing():
            return self._owner.give_back(keys, sent)

    def recover(self) -> int:
        """Recover, as pending, the calls of owners that ended without settling them.

        Each counts as interrupted: it may have been paid, and its answer is lost. Returns how many
        there were. Calls of processes that live, here or elsewhere, are left alone.
        """
        with self._transactions.writing():
            return self._owner.recover(time.time())

    def beat(self) -> None:
        """Renew the lease: at least once a minute while calls are in flight and none settles."""
        with self._transactions.writing():
            self._owner.renew(time.time(), soon=False)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit whatever is written inside at the end, at once or not at all.

        For answers that came in one batch; a commit of each costs an fsync.
        """
        with self._transactions.writing():
            yield

    def spent(self) -> float:
        """Return USD paid for all answers of the store, those that came twice too."""
        return summary.spent(self._database)

    def counts(self) -> dict[str, int]:
        """Return the calls by state, all four, in the whole store; instant."""
        return summary.counts(self._database)

    def info(self) -> StoreInfo:
        """Return the content of the store, in numbers."""
        with self._reading():
            return summary.info(self._database, self.path)

    def ungraded(self, judge: str, suite: str | None = None) -> Iterator[StoredAnswer]:
        """Yield answers that a judge has not graded, those it could not grade included.

        In the order of the calls' keys, which are hashes: it tells nothing of the models, and is
        the same for everybody. Grades may be written meanwhile.
        """
        return read_answers(self._database, self.path, suite, judge)

    def answers(self, suite: str | None = None) -> Iterator[StoredAnswer]:
        """Yield all answers, for a judge to grade anew; in the same order."""
        return read_answers(self._database, self.path, suite)

    def grade(
        self,
        judge: str,
        answer: StoredAnswer,
        score: float | None,
        grade: Grade | None = None,
        note: str | None = None,
    ) -> None:
        """Store a judge's grade of an answer, in place of its earlier one.

        `judge` names it with its options. A score that is None or NaN is `ungraded`: the judge
        could not decide. Many in one `transaction` are a hundred times as fast.
        """
        with self._transactions.writing():
            write_grade(self._database, judge, answer, score, grade, note)

    def suites(self) -> tuple[str, ...]:
        """Return the suites that have questions here, by name."""
        with schema.database_errors(self.path):
            rows = self._database.execute("SELECT DISTINCT suite FROM questions ORDER BY suite")
            return tuple(suite for (suite,) in rows)

    def judges(self, suite: str | None = None) -> tuple[str, ...]:
        """Return the judges that have graded a suite's answers, the first one first."""
        with schema.database_errors(self.path):
            return tuple(tables.judges(self._database, suite))

    def judge(self, suite: str | None = None, judge: str | None = None) -> str | None:
        """Return the id of the judge whose grades a table has; None where nobody has graded."""
        with schema.database_errors(self.path):
            return tables.chosen_judge(self._database, suite, judge)

    def answers_by_provider(self, suite: str | None = None) -> tuple[dict[str, int], int]:
        """Return answers by provider to a suite's questions, and the number of open calls."""
        with self._reading():
            return summary.answers_by_provider(self._database, suite)

    def table(self, suite: str | None = None, judge: str | None = None) -> pa.Table:
        """Return all answers and failed calls in long form, see `tables.SCHEMA`.

        `judge`: whose grades it has, by id or name; by default the first that could grade any. A
        failed call is `failed`, an answer without a grade `ungraded`, and a call that was not made
        is not there.
        """
        return tables.table(self._database, self.path, suite, judge)

    def export(self, path: Path, suite: str | None = None, judge: str | None = None) -> int:
        """Write the table to a .parquet, .jsonl, .ndjson or .csv file; returns its rows.

        In batches, so that memory stays bounded; the file is there when it is whole.
        """
        return tables.export(self._database, self.path, path, suite, judge)

    def check(self) -> list[str]:
        """Return the errors that SQLite finds in the file, all of which it reads."""
        try:
            rows = self._database.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]  # too damaged to be looked through
        return [text for (text,) in rows if text != "ok"]

    # Helpers of the methods above.

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with schema.database_errors(self.path), schema.snapshot(self._database):
            yield

    def _id(self, key: str) -> int:
        row = self._database.execute("SELECT id FROM calls WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return int(row[0])

    def _pending(self, n: int, after: int, until: int | None) -> list[Any]:
        """Return pending calls after one, up to another, read from a small index."""
        return self._database.execute(
            """SELECT open.id, key, provider, model, parameters, text, sample FROM (
                SELECT id FROM calls INDEXED BY calls_pending
                WHERE state = 'pending' AND id > ? AND id <= ?
                AND (? OR id IN (SELECT call FROM temp.wanted)) ORDER BY id LIMIT ?
            ) AS open JOIN calls ON calls.id = open.id JOIN askers ON askers.id = asker
            JOIN prompts ON prompts.id = prompt ORDER BY open.id""",
            (after, 2**62 if until is None else until, not self._confined, n),
        ).fetchall()


def _picodollars(cost: float | None) -> int | None:
    """Return whole picodollars, exact for any price list; None for what nobody knows."""
    if cost is None or math.isnan(cost):
        return None
    if not 0 <= cost < math.inf:
        raise ValueError(f"a call cannot cost {cost} USD")
    return round(cost * schema.USD)
