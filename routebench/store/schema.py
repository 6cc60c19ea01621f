"""The file behind a store: an SQLite database, its tables and how it is opened."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from routebench.errors import DataError
from routebench.redact import one_line

VERSION = 1
APPLICATION = 0x52424348  # "RBCH", in the file's header: no other program's database
BUSY = 60.0  # seconds to wait for another process's transaction; they take milliseconds
USD = 10**12  # a dollar in picodollars: whole numbers, for any price of a token is one

# Money is whole picodollars: sums are exact in any order, and can be kept up to date by adding
# and taking away. `tally` has them per model and state, so that no question about the whole store
# reads a million rows; the triggers keep it true whoever writes.
_TABLES = """
CREATE TABLE askers (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    parameters TEXT NOT NULL,
    UNIQUE (provider, model, parameters)
);
CREATE TABLE prompts (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, text NOT NULL);
CREATE TABLE questions (
    id INTEGER PRIMARY KEY,
    suite TEXT NOT NULL,
    query_id NOT NULL,
    query NOT NULL,
    prompt INTEGER NOT NULL REFERENCES prompts,
    reference, task, topic, split,
    UNIQUE (suite, query_id)
);
CREATE INDEX questions_of_prompt ON questions (prompt);
CREATE TABLE suite_askers (
    suite TEXT NOT NULL,
    asker INTEGER NOT NULL REFERENCES askers,
    PRIMARY KEY (suite, asker)
) WITHOUT ROWID;
CREATE TABLE owners (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born TEXT NOT NULL,
    beat REAL NOT NULL
);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    asker INTEGER NOT NULL REFERENCES askers,
    prompt INTEGER NOT NULL REFERENCES prompts,
    sample INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'in_flight', 'answered', 'failed')),
    owner INTEGER CHECK ((owner IS NULL) = (state != 'in_flight')),
    interrupted INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    asked REAL,
    settled REAL,
    latency REAL,
    input_tokens REAL,
    output_tokens REAL,
    cached_tokens REAL,
    thinking_tokens REAL,
    cost INTEGER,
    price TEXT NOT NULL DEFAULT '',
    finish TEXT,
    version,
    error TEXT,
    final INTEGER NOT NULL DEFAULT 0,
    message,
    answer CHECK ((answer IS NULL) = (state != 'answered'))
);
CREATE INDEX calls_pending ON calls (id) WHERE state = 'pending';
CREATE INDEX calls_in_flight ON calls (owner) WHERE owner IS NOT NULL;
CREATE INDEX calls_failed ON calls (error) WHERE state = 'failed';
CREATE TABLE spares (
    id INTEGER PRIMARY KEY,
    call INTEGER NOT NULL REFERENCES calls,
    cost INTEGER,
    price TEXT NOT NULL,
    settled REAL NOT NULL
);
CREATE TABLE judges (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE grades (
    judge INTEGER NOT NULL REFERENCES judges,
    call INTEGER NOT NULL REFERENCES calls,
    question INTEGER NOT NULL REFERENCES questions,
    state TEXT NOT NULL CHECK (state IN ('ok', 'ungraded')),
    score REAL CHECK ((score IS NULL) = (state = 'ungraded')),
    grade TEXT,
    note,
    graded REAL NOT NULL,
    PRIMARY KEY (judge, call, question)
) WITHOUT ROWID;
CREATE TABLE tally (
    asker INTEGER NOT NULL,
    state TEXT NOT NULL,
    price TEXT NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    priced INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (asker, state, price)
) WITHOUT ROWID;
"""
# What few answers have, in a table of its own: an older RouteBench reads and writes the file as
# before, and one that was made by it gets the table when it is opened for writing.
_TRACES = """
CREATE TABLE IF NOT EXISTS traces (
    call INTEGER PRIMARY KEY REFERENCES calls,
    reasoning,
    miscounted TEXT
);
"""
_CONFIDENCES = """
CREATE TABLE IF NOT EXISTS confidences (
    call INTEGER PRIMARY KEY REFERENCES calls,
    confidence REAL NOT NULL
);
"""
_ENTER = """
    INSERT INTO tally (asker, state, price) SELECT new.asker, new.state, new.price WHERE NOT EXISTS
        (SELECT 1 FROM tally
         WHERE asker = new.asker AND state = new.state AND price = new.price);
    UPDATE tally SET calls = calls + 1, priced = priced + (new.cost IS NOT NULL),
        cost = cost + coalesce(new.cost, 0), interrupted = interrupted + new.interrupted
    WHERE asker = new.asker AND state = new.state AND price = new.price;
"""
_LEAVE = """
    UPDATE tally SET calls = calls - 1, priced = priced - (old.cost IS NOT NULL),
        cost = cost - coalesce(old.cost, 0), interrupted = interrupted - old.interrupted
    WHERE asker = old.asker AND state = old.state AND price = old.price;
"""
_TRIGGERS = f"""
CREATE TRIGGER calls_added AFTER INSERT ON calls BEGIN {_ENTER} END;
CREATE TRIGGER calls_changed AFTER UPDATE ON calls BEGIN {_LEAVE} {_ENTER} END;
CREATE TRIGGER calls_removed AFTER DELETE ON calls BEGIN {_LEAVE} END;
"""


class EmptyFileError(DataError):
    """A file that may become a store: another process is about to make the tables in it."""


def connect(path: Path, *, create: bool, write: bool) -> sqlite3.Connection:
    """Open a store. Without `write` it is only read, and may lie where nothing can be written.

    Raises:
        EmptyFileError: for a file without tables, unless they are to be made.
        DataError: for a file that is no store, or one of a newer version.
    """
    if not create and not path.is_file():
        what = "is a folder, not a store of answers" if path.is_dir() else "there is no such file"
        raise DataError(f"{path}: {what}", "`routebench collect` makes one")
    if create:
        _make_folder(path)
    with database_errors(path):
        database = sqlite3.connect(
            _address(path, create, write), uri=True, timeout=BUSY, isolation_level=None
        )
    try:
        with database_errors(path):
            _check(database, path, create and write)
            if write:
                _complete(database)
            _tune(database, path, write)
    except BaseException:
        database.close()
        raise
    return database


def is_store(path: Path) -> bool:
    """Return whether a file is an SQLite database, by its first bytes; not whether it is sound."""
    try:
        with path.open("rb") as stream:
            return stream.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as one clear line. What was committed before stays as it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest are finer kinds of it
        if code not in _PROBLEMS:
            if not code or isinstance(error, sqlite3.IntegrityError):
                raise  # a mistake of this program
            raise DataError(f"{path.name}: {error}") from error
        problem, hint = _PROBLEMS[code]
        raise DataError(f"{path.name}: {problem}", hint) from error


@contextmanager
def value_errors(path: Path) -> Iterator[None]:
    """Raise one clear line for values that no collection writes, such as a text for a score."""
    try:
        yield
    except (OverflowError, TypeError, ValueError) as error:  # Arrow's and JSON's are among them
        problem = one_line(str(error), 200)
        raise DataError(f"{path.name}: holds what no collection has written: {problem}") from error


_PROBLEMS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full: what was stored before is safe, the last answer is not stored",
        "make room, then start again: only what is missing is asked",
    ),
    sqlite3.SQLITE_BUSY: (
        f"another process has been writing to it for {BUSY:.0f} seconds",
        "wait for it to end, or end it",
    ),
    sqlite3.SQLITE_NOTADB: ("is not a store of answers", "`routebench collect` makes one"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "restore a copy, or collect into another file"),
    sqlite3.SQLITE_READONLY: ("may not be written", ""),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "see the rights of its folder"),
    sqlite3.SQLITE_IOERR: ("the disk does not take or give data", "see the system's log"),
}


@contextmanager
def snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """Read inside the store as it is at the first read, whatever others write."""
    if database.in_transaction:
        yield
        return
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.rollback()  # there is nothing to keep


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path.parent}: cannot be made: {error.strerror}") from error


def _address(path: Path, create: bool, write: bool) -> str:
    """Return the file as a URI. A reader, too, opens it for writing, to clear SQLite's log away."""
    place = f"file:{quote(str(path.absolute()))}"
    if create and write:
        return f"{place}?mode=rwc"
    if write or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return f"{place}?mode=rw"
    # Nobody can write there, so nobody is writing; SQLite would need a file beside it to be sure.
    alone = not path.with_name(path.name + "-wal").exists()
    return f"{place}?mode=ro" + ("&immutable=1" if alone else "")


def address(path: Path) -> str:
    """Return the URI that a store is read by."""
    return _address(path, create=False, write=False)


def _check(database: sqlite3.Connection, path: Path, make: bool) -> None:
    with snapshot(database):  # else another process may make the tables between two of these reads
        application = _pragma(database, "application_id")
        version = _pragma(database, "user_version")
        empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application == APPLICATION:
        if version > VERSION:
            raise DataError(
                f"{path.name}: was written by a newer RouteBench (format {version}, not {VERSION})",
                "update RouteBench",
            )
        return
    if not empty:
        raise DataError(f"{path.name}: is not a store of answers", "`routebench collect` makes one")
    if not make:
        problem = f"{path.name}: is empty, no store of answers"
        raise EmptyFileError(problem, "`routebench collect` makes one")
    _make(database)


def _make(database: sqlite3.Connection) -> None:
    """Make the tables of a new file, unless another process has made them meanwhile."""
    _turn_on_log(database)
    database.execute("BEGIN IMMEDIATE")
    try:
        if _pragma(database, "application_id") != APPLICATION:
            for statement in _statements(_TABLES + _TRACES + _CONFIDENCES + _TRIGGERS):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise


def _complete(database: sqlite3.Connection) -> None:
    """Add the tables that a store of an earlier version lacks."""
    for name, statement in (("traces", _TRACES), ("confidences", _CONFIDENCES)):
        if not has_table(database, name):
            database.execute(statement)


def has_table(database: sqlite3.Connection, name: str) -> bool:
    """Return whether a store has a table: one that is only read may be older."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return database.execute(query, (name,)).fetchone() is not None


def _turn_on_log(database: sqlite3.Connection) -> None:
    """Turn on write-ahead logging, for good. SQLite does not wait for its lock here."""
    until = time.monotonic() + BUSY
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _tune(database: sqlite3.Connection, path: Path, write: bool) -> None:
    if write:
        if _pragma(database, "journal_mode") != "wal":
            raise DataError(
                f"{path.name}: this file system cannot hold a store that is read while it is"
                " written",
                "name a file on a local disk with --store",
            )
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA temp_store = MEMORY")
        database.execute("CREATE TEMP TABLE wanted (call INTEGER PRIMARY KEY)")  # see `add`
    else:
        database.execute("PRAGMA query_only = ON")
    database.execute("PRAGMA cache_size = -65536")  # KiB: the index of a million keys


def _pragma(database: sqlite3.Connection, name: str) -> Any:
    return database.execute(f"PRAGMA {name}").fetchone()[0]


def _statements(script: str) -> Iterator[str]:
    """Yield one statement at a time, for `executescript` would commit between them."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if statement.strip() and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
