"""Adds questions and calls to a store, each once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from routebench.data.texts import encode
from routebench.errors import PluginError
from routebench.files import sha256
from routebench.hookspecs import StoredQuestion
from routebench.redact import secrets
from routebench.store.entries import Call
from routebench.store.values import packed


class Adding:
    """Adds to one suite, inside the caller's transactions; remembers what it has seen."""

    def __init__(self, database: sqlite3.Connection, suite: str) -> None:
        self._database = database
        self._suite = suite
        self._askers: dict[tuple[str, str, str], int] = {}
        self._prompts: dict[str, int] = {}
        self._secrets = secrets()
        self._given: set[str] = set()
        self.changed = 0
        """Questions that were there with another prompt."""

    @property
    def others(self) -> int:
        """Return the number of the suite's stored questions that were not given now."""
        count = "SELECT count(*) FROM questions WHERE suite = ?"
        return (self._find(count, self._suite) or 0) - len(self._given)

    def question(self, question: StoredQuestion) -> None:
        """Add a question, or update its texts where its id is known."""
        prompt = self._prompt(question.prompt)
        self._given.add(question.query_id)
        self.changed += (
            self._find(
                "SELECT 1 FROM questions WHERE (suite, query_id) = (?, ?) AND prompt != ?",
                self._suite,
                packed(question.query_id),
                prompt,
            )
            is not None
        )
        texts = (
            question.query_id,
            question.query,
            question.reference,
            question.task,
            question.topic,
            question.split,
        )
        self._database.execute(
            """INSERT INTO questions (suite, prompt, query_id, query, reference, task, topic, split)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (suite, query_id) DO UPDATE SET
            prompt = excluded.prompt, query = excluded.query, reference = excluded.reference,
            task = excluded.task, topic = excluded.topic, split = excluded.split""",
            (self._suite, prompt, *map(packed, texts)),
        )

    def calls(self, calls: Sequence[Call]) -> int:
        """Add calls as wanted, and as pending where they are new; return the number of new ones."""
        new, wanted = 0, []
        for call in calls:
            asker = self._asker(call)  # also for a known call: this suite has it asked too
            row = self._find("SELECT id FROM calls WHERE key = ?", call.key)
            if row is None:
                new += 1
                row = self._insert(
                    "INSERT INTO calls (key, asker, prompt, sample) VALUES (?, ?, ?, ?)",
                    (call.key, asker, self._prompt(call.prompt), call.sample),
                )
            wanted.append((row,))
        self._database.executemany("INSERT OR IGNORE INTO temp.wanted VALUES (?)", wanted)
        return new

    def _asker(self, call: Call) -> int:
        named = (call.provider, call.model, call.parameters)
        if (row := self._askers.get(named)) is not None:
            return row
        if any(value in call.parameters for value in self._secrets):
            raise PluginError(
                f"provider {call.provider!r}: its parameters hold a key",
                "parameters() is stored: it names what an answer depends on, never a key",
            )
        row = self._find(
            "SELECT id FROM askers WHERE (provider, model, parameters) = (?, ?, ?)", *named
        ) or self._insert(
            "INSERT INTO askers (provider, model, parameters) VALUES (?, ?, ?)", named
        )
        self._database.execute(
            "INSERT OR IGNORE INTO suite_askers VALUES (?, ?)", (self._suite, row)
        )
        self._askers[named] = row
        return row

    def _prompt(self, text: str) -> int:
        if (row := self._prompts.get(text)) is None:
            digest = sha256(encode(text))[:32]
            row = self._find("SELECT id FROM prompts WHERE digest = ?", digest) or self._insert(
                "INSERT INTO prompts (digest, text) VALUES (?, ?)", (digest, packed(text))
            )
            self._prompts[text] = row
        return row

    def _find(self, query: str, *values: Any) -> int | None:
        row = self._database.execute(query, values).fetchone()
        return None if row is None else int(row[0])

    def _insert(self, statement: str, values: Sequence[Any]) -> int:
        row = self._database.execute(statement, values).lastrowid
        assert row is not None
        return row
