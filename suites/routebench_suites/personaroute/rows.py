"""The rows of PersonaRoute-Bench's files, gathered block by block and checked on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.errors import DataError
from routebench.records import Floats, Ints, Mask, Vectors
from routebench_suites.personaroute.blocks import (
    BLOCK,
    LONG_BLOCK,
    REQUIRED,
    Block,
    LongRowError,
    blocks,
)
from routebench_suites.personaroute.cells import CellError, parse_cell

REWARD_TOLERANCE = 1e-6
_TOLERANCE = 1e-9
_CELL_TOLERANCE = 1e-6  # of two embeddings that say the same
_Bytes = npt.NDArray[np.uint8]


class _Texts:
    """One text per owner (a query, a task), which all rows of the owner repeat."""

    def __init__(self, column: str, owner: str) -> None:
        self.column, self.owner = column, owner
        self.values: dict[int, str] = {}

    def get(self, owner: int) -> str | None:
        return self.values.get(owner)

    def add(self, block: Block, owners: Ints) -> None:
        for owner, text, row in block.pairs(self.column, owners):
            if text is not None and self.values.setdefault(owner, text) != text:
                raise DataError(
                    f"{block.place(row)}, column {self.column}: differs from that of a row above"
                    f" of the same {self.owner}"
                )


class _Embeddings:
    """One embedding per owner. A cell is parsed when its text is new to the owner."""

    def __init__(self, column: str, owner: str) -> None:
        self.column, self.owner = column, owner
        self._values: dict[int, Vectors] = {}
        self._cells: dict[int, int] = {}
        self._empty: str | None = None
        self._first = ""

    def add(self, block: Block, owners: Ints) -> None:
        for owner, text, row in block.pairs(self.column, owners):
            if text is None:
                self._empty = self._empty or block.place(row)
            elif self._cells.get(owner) != (cell := hash(text)):
                self._parse(owner, text, block.place(row))
                self._cells[owner] = cell

    def _parse(self, owner: int, text: str, place: str) -> None:
        where = f"{place}, column {self.column}"
        try:
            vectors = parse_cell(text)
        except CellError as error:
            raise DataError(f"{where}: {error}", error.hint) from None
        if len(vectors) != 1:
            raise DataError(f"{where}: holds {len(vectors)} vectors, not one")
        vector = vectors[0]
        if not self._values:
            self._first = place
        else:
            width = len(next(iter(self._values.values())))
            if len(vector) != width:
                raise DataError(
                    f"{where}: holds {len(vector)} numbers, {self._first} {width}",
                    "all embeddings of a column are equally long",
                )
        known = self._values.setdefault(owner, vector)
        if not np.allclose(known, vector, rtol=_CELL_TOLERANCE, atol=_CELL_TOLERANCE):
            raise DataError(f"{where}: differs from that of a row above of the same {self.owner}")

    def stacked(self, owners: Iterable[int]) -> Vectors | None:
        """Return the vectors of these owners; None where the column is absent or empty."""
        if not self._values:
            return None
        if self._empty:
            raise DataError(
                f"{self._empty}, column {self.column}: is empty, though other rows have an"
                " embedding",
                "fill the column throughout, or leave it out",
            )
        return np.stack([self._values[owner] for owner in owners])


@dataclass
class Gathered:
    """Values of the rows, indexed by users, queries, models and tasks in order of appearance."""

    users: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    queries: dict[tuple[str, str], int] = field(default_factory=dict)
    """By task and text."""
    preference: Floats = field(default_factory=lambda: np.full(0, np.nan))
    effect: Floats = field(default_factory=lambda: np.full((0, 0), np.nan))
    cost: Floats = field(default_factory=lambda: np.full((0, 0), np.nan))
    first: Ints = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    """[n, m] the row that a cell of effect and cost is from."""
    seen: _Bytes = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.uint8))
    """[u, n, m / 8] one bit per row, to find those that are there twice."""
    query_in: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    """[n, files]"""
    user_in: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    """[u, files]"""
    reference: _Texts = field(default_factory=lambda: _Texts("ground_truth", "query"))
    description: _Texts = field(default_factory=lambda: _Texts("task_description", "task"))
    embedding: _Embeddings = field(default_factory=lambda: _Embeddings("query_embedding", "query"))
    task_embedding: _Embeddings = field(
        default_factory=lambda: _Embeddings("task_description_embedding", "task")
    )
    cost_normalised: bool = True
    has_reward: bool = False
    reward_mismatch: tuple[str, float, float] | None = None
    """Place, value and what it should be, of the first reward that is not the formula's."""

    @property
    def asked(self) -> Mask:
        """Return [u, n] whether the user asked the query."""
        asked: Mask = np.bitwise_or.reduce(self.seen, axis=2) != 0
        return asked

    def room(self, files: int) -> None:
        """Extend the arrays to hold everything that has a number."""
        u, n, m = len(self.users), len(self.queries), len(self.models)
        self.preference = _grown(self.preference, (u,), np.nan)
        self.effect = _grown(self.effect, (n, m), np.nan)
        self.cost = _grown(self.cost, (n, m), np.nan)
        self.first = _grown(self.first, (n, m), -1)
        self.seen = _grown(self.seen, (u, n, -(-m // 8)), 0)
        self.query_in = _grown(self.query_in, (n, files), False)
        self.user_in = _grown(self.user_in, (u, files), False)

    def cut(self) -> None:
        """Trim the arrays to the rows and columns in use."""
        u, n, m = len(self.users), len(self.queries), len(self.models)
        self.preference = self.preference[:u]
        self.effect, self.cost = self.effect[:n, :m], self.cost[:n, :m]
        self.seen = self.seen[:u, :n]
        self.query_in, self.user_in = self.query_in[:n], self.user_in[:u]


def gather(paths: Sequence[Path]) -> Gathered:
    """Gather all rows of these files; users, queries and models are the same throughout."""
    try:
        return _gather(paths, BLOCK)
    except LongRowError:
        return _gather(paths, LONG_BLOCK)


def _gather(paths: Sequence[Path], size: int) -> Gathered:
    gathered = Gathered()
    for block in blocks(paths, size):
        _add(gathered, block, len(paths))
    gathered.cut()
    return gathered


def _grown(array: Any, shape: tuple[int, ...], fill: Any) -> Any:
    """Return the array, or a copy of at least this shape with room to grow by half."""
    if all(have >= need for have, need in zip(array.shape, shape, strict=True)):
        return array
    larger = [
        have if have >= need else need + need // 2
        for have, need in zip(array.shape, shape, strict=True)
    ]
    grown = np.full(larger, fill, dtype=array.dtype)
    grown[tuple(slice(0, have) for have in array.shape)] = array
    return grown


def _add(gathered: Gathered, block: Block, files: int) -> None:
    for column in REQUIRED:
        block.check_filled(column)
    user = block.codes("user_id", gathered.users)
    model = block.codes("llm", gathered.models)
    task = block.codes("task_id", gathered.tasks)
    query = _queries(gathered, block, task)
    preference = block.numbers("performance_preference")
    effect, cost = block.numbers("effect"), block.numbers("cost")
    gathered.room(files)
    gathered.query_in[query, block.file] = True
    gathered.user_in[user, block.file] = True
    block.check(
        (preference >= 0) & (preference <= 1), preference, "performance_preference", "in [0, 1]"
    )
    block.check((effect >= 0) & (effect <= 1), effect, "effect", "in [0, 1]")
    block.check(cost >= 0, cost, "cost", "0 or more")
    gathered.cost_normalised &= bool((cost <= 1 + _TOLERANCE).all())
    _keep_preference(gathered, block, user, preference)
    _keep_row(gathered, block, user, query, model)
    _keep_outcome(gathered, block, query, model, effect, cost)
    for texts, owners in ((gathered.reference, query), (gathered.description, task)):
        texts.add(block, owners)
    for vectors, owners in ((gathered.embedding, query), (gathered.task_embedding, task)):
        vectors.add(block, owners)
    if block.has("reward") and gathered.reward_mismatch is None:
        _check_reward(gathered, block, preference * effect - (1 - preference) * cost)


def _queries(gathered: Gathered, block: Block, task: Ints) -> Ints:
    """Return [rows] the queries' numbers; new ones get theirs in the order of the rows."""
    texts, local = block.entries("query")
    pairs, first, back = np.unique(
        task * len(texts) + local, return_index=True, return_inverse=True
    )
    tasks = list(gathered.tasks)
    numbers = np.empty(len(pairs), dtype=np.int64)
    for each in np.argsort(first):
        code, text = divmod(int(pairs[each]), len(texts))
        numbers[each] = gathered.queries.setdefault(
            (tasks[code], texts[text]), len(gathered.queries)
        )
    rows: Ints = numbers[back.reshape(-1)]
    return rows


def _keep_preference(gathered: Gathered, block: Block, user: Ints, preference: Floats) -> None:
    who, first = np.unique(user, return_index=True)
    new = first[np.isnan(gathered.preference[who])]
    gathered.preference[user[new]] = preference[new]
    known = gathered.preference[user]
    wrong = np.abs(preference - known) > _TOLERANCE
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{block.place(row)}, column performance_preference: is {preference[row]:g} for user"
            f" {list(gathered.users)[user[row]]!r}, who has {known[row]:g} above",
            "a user has one preference throughout",
        )


def _keep_row(gathered: Gathered, block: Block, user: Ints, query: Ints, model: Ints) -> None:
    plane, bit = model >> 3, np.left_shift(1, model & 7).astype(np.uint8)
    again = (gathered.seen[user, query, plane] & bit) != 0
    key = (user * len(gathered.queries) + query) * len(gathered.models) + model
    _, first = np.unique(key, return_index=True)
    if len(first) < len(key) or again.any():
        again |= ~np.isin(np.arange(len(key)), first)
        row = int(again.argmax())
        raise DataError(
            f"{block.place(row)}: user {block.text('user_id', row)!r} has model"
            f" {block.text('llm', row)!r} for this query already in {block.earlier(row)}",
            "a user, query and model have one row",
        )
    np.bitwise_or.at(gathered.seen, (user, query, plane), bit)


def _keep_outcome(
    gathered: Gathered, block: Block, query: Ints, model: Ints, effect: Floats, cost: Floats
) -> None:
    _, first = np.unique(query * len(gathered.models) + model, return_index=True)
    new = first[gathered.first[query[first], model[first]] < 0]
    gathered.effect[query[new], model[new]] = effect[new]
    gathered.cost[query[new], model[new]] = cost[new]
    gathered.first[query[new], model[new]] = block.start + new
    for column, values, kept in (
        ("effect", effect, gathered.effect),
        ("cost", cost, gathered.cost),
    ):
        wrong = np.abs(values - kept[query, model]) > _TOLERANCE
        if wrong.any():
            row = int(wrong.argmax())
            q, m = query[row], model[row]
            raise DataError(
                f"{block.place(row)}, column {column}: is {values[row]:g}, but"
                f" {block.place_of(int(gathered.first[q, m]))} has {kept[q, m]:g} for the same"
                f" query and model {block.text('llm', row)!r}",
                "effect and cost depend on query and model, not on the user",
            )


def _check_reward(gathered: Gathered, block: Block, expected: Floats) -> None:
    reward = block.numbers("reward", empty=True)
    gathered.has_reward |= bool(np.isfinite(reward).any())
    wrong = np.abs(reward - expected) > REWARD_TOLERANCE
    if wrong.any():
        row = int(wrong.argmax())
        gathered.reward_mismatch = block.place(row), float(reward[row]), float(expected[row])
