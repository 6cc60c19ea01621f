"""A run's files as arrays, one row for every test query of a fold and user who asks it.

No code but the reading of a file is shared with what made the board.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from routebench.board.read_tables import filled, read_table, with_numbers
from routebench.errors import DataError
from routebench.records import Floats, Ints, Mask, Strings
from routebench.schema import Leaderboard

Job = tuple[str, int]
"""Router and seed."""
CELLS, DECISIONS = "cells.parquet", "decisions.parquet"
_CELL_TEXTS = ("query", "model", "state", "task", "parts", "text_sha256")
_DECISION_TEXTS = ("router", "query", "user", "choice", "policy")


@dataclass(frozen=True)
class Sheet:
    """All that the files say of n asked queries and m models."""

    value: Floats
    """[n, m] score, or reward, of a usable answer; NaN for any other cell."""
    cost: Floats
    """[n, m] USD, NaN where unknown."""
    task: Strings
    """[n]."""
    text: Ints
    """[n] equal where the texts are equal."""
    fold: Ints
    """[n]."""
    choice: dict[Job, Ints] = field(default_factory=dict)
    """[n] index of the chosen model."""
    spent: dict[Job, Floats] = field(default_factory=dict)
    """[n] USD of the routing itself, NaN where unknown."""
    policy: dict[Job, Strings] = field(default_factory=dict)
    """[n]."""
    asked: dict[Job, Mask] = field(default_factory=dict)
    """[n, m] the models that a router that sees answers asked."""

    def jobs(self, router: str) -> list[Job]:
        """Return the jobs of a router, one per seed."""
        return [job for job in self.choice if job[0] == router]

    def scores(self, choice: Ints) -> Floats:
        """Return the scores, or rewards, of chosen models [n]."""
        return self.value[np.arange(len(choice)), choice]

    def costs(self, choice: Ints) -> Floats:
        """Return the costs of chosen models [n]."""
        return self.cost[np.arange(len(choice)), choice]

    def paid(self, job: Job) -> Floats:
        """Return the costs of all answers that a job asked for [n]."""
        if job not in self.asked:
            return self.costs(self.choice[job])
        paid: Floats = np.where(self.asked[job], self.cost, 0.0).sum(axis=1)
        return paid

    def take(self, rows: Mask) -> Sheet:
        """Return the given rows."""
        return Sheet(
            self.value[rows],
            self.cost[rows],
            self.task[rows],
            self.text[rows],
            self.fold[rows],
            {job: values[rows] for job, values in self.choice.items()},
            {job: values[rows] for job, values in self.spent.items()},
            {job: values[rows] for job, values in self.policy.items()},
            {job: values[rows] for job, values in self.asked.items()},
        )


@dataclass(frozen=True)
class _Asks:
    """n rows: fold, query and user, each a number; sorted by them."""

    fold: Ints
    query: Ints
    user: Ints
    """All 0 in a run without users."""

    def codes(self, users: bool) -> Ints:
        """Return one ascending number per row; without `users` the same for all of a query."""
        return _code(self.fold, self.query, self.user if users else np.zeros_like(self.user))


def _code(fold: Ints, query: Ints, user: Ints) -> Ints:
    return (fold << 48) | (query << 20) | user


def read_sheet(folder: Path, board: Leaderboard) -> Sheet:
    """Read cells, users and decisions.

    Raises:
        DataError: a router decides other queries than were tested.
    """
    cells = read_table(folder / CELLS, _CELL_TEXTS)
    query, queries = _coded(cells["query"])
    model = _into(*_coded(cells["model"]), board.suite.models)
    users = read_table(folder / "users.parquet") if board.suite.users is not None else None
    tested = _tested(cells, query, len(queries))
    asks = _asks(tested, _asked(users, tested, queries, board.suite.protocol))

    def matrix(name: str) -> Floats:
        values = np.full((len(queries), len(board.suite.models)), np.nan)
        values[query, model] = _numbers(cells, name)
        return values

    def per_query(name: str) -> tuple[Ints, list[str]]:
        of_cell, names = _coded(cells[name]) if name in cells.column_names else (query * 0 - 1, [])
        codes = np.full(len(queries), -1, dtype=np.int64)
        codes[query] = of_cell
        return codes[asks.query], names

    state, states = _coded(cells["state"])
    usable = np.zeros((len(queries), len(board.suite.models)), dtype=np.bool_)
    usable[query, model] = np.array([name == "ok" for name in states], dtype=np.bool_)[state]
    value = np.where(usable, matrix("score"), np.nan)[asks.query]
    if users is not None:
        weight = _numbers(users, "preference")[asks.user][:, None]
        value = weight * value - (1 - weight) * matrix("relative_cost")[asks.query]
    task, tasks = per_query("task")
    text, _ = per_query("text_sha256")
    sheet = Sheet(value, matrix("cost_usd")[asks.query], _named(task, tasks), text, asks.fold)
    names = [] if users is None else users["user"].to_pylist()
    _decisions(sheet, folder / DECISIONS, asks, (queries, names, board.suite.models))
    return sheet


def _tested(cells: pa.Table, query: Ints, queries: int) -> Mask:
    """Return [folds, queries] whether a fold tests a query."""
    part, parts = _coded(cells["parts"])
    is_test = np.array([[word == "test" for word in each.split()] for each in parts])
    tested = np.zeros((is_test.shape[1], queries), dtype=np.bool_)
    for fold, mask in enumerate(is_test.T):
        tested[fold, query[mask[part]]] = True
    return tested


def _asked(users: pa.Table | None, tested: Mask, queries: list[str], protocol: str) -> Mask:
    """Return [folds, queries, users] whether a user's asking is tested; one user without any."""
    if users is None:
        return tested[:, :, None]
    asked = np.repeat(tested[:, :, None], len(users), axis=2)
    at = {name: place for place, name in enumerate(queries)}
    for user, who in enumerate(users.to_pylist()):
        if who.get("asked") is not None:
            own = np.zeros(len(queries), dtype=np.bool_)
            own[[at[name] for name in who["asked"]]] = True
            asked[:, ~own, user] = False
        if protocol == "user":
            known_in = [fold for fold in range(len(tested)) if fold not in who["held_out_in"]]
            asked[known_in, :, user] = False
    return asked


def _asks(tested: Mask, asked: Mask) -> _Asks:
    fold, query = np.nonzero(tested)
    row, user = np.nonzero(asked[fold, query])
    return _Asks(fold[row], query[row], user)


def _decisions(
    sheet: Sheet, path: Path, asks: _Asks, names: tuple[list[str], list[str], list[str]]
) -> None:
    """Fill in every job's choices, costs and policies."""
    if not path.exists():
        return
    queries, users, models = names
    table = read_table(path, _DECISION_TEXTS)
    router, routers = _coded(table["router"])
    seed, fold = (_numbers(table, name).astype(np.int64) for name in ("seed", "fold"))
    query = _into(*_coded(table["query"]), queries)
    user = _into(*_coded(table["user"]), users)
    choice = _into(*_coded(table["choice"]), models)
    cost = _numbers(table, "router_cost_usd")
    policy, policies = _coded(table["policy"])
    billed = set(router[~np.isnan(cost)].tolist())
    order = np.lexsort((seed, router))
    ends = np.flatnonzero(np.diff(router[order]) | np.diff(seed[order])) + 1
    for rows in np.split(order, ends) if len(order) else ():
        personal = bool(users) and bool((user[rows] >= 0).any())
        code = _code(fold[rows], query[rows], user[rows] if personal else np.zeros_like(rows))
        rows = rows[_places(code, asks.codes(personal), routers[router[rows[0]]])]
        job = routers[router[rows[0]]], int(seed[rows[0]])
        sheet.choice[job] = choice[rows]
        sheet.spent[job] = cost[rows] if router[rows[0]] in billed else np.zeros(len(rows))
        if (policy[rows] >= 0).any():
            sheet.policy[job] = _named(policy[rows], policies)
        if "asked" in table.column_names:
            lists = table["asked"].take(rows).to_pylist()
            if all(each is not None for each in lists):
                sheet.asked[job] = np.array([[m in each for m in models] for each in lists])


def _places(code: Ints, wanted: Ints, router: str) -> Ints:
    """Return where each of the wanted codes stands, among codes in any order."""
    order = np.argsort(code, kind="stable")
    place = np.searchsorted(code[order], wanted, side="right") - 1
    found: Ints = order[place]
    once = len(np.unique(code)) == len(code) == len(np.unique(wanted))
    if not once or not np.array_equal(code[found], wanted):
        raise DataError(f"{DECISIONS}: {router} decides other queries than were tested")
    return found


def _coded(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Return repeated texts as numbers, and the texts; -1 for null."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    chunks = column.unify_dictionaries().chunks
    codes = [filled(chunk.indices, -1) for chunk in chunks]
    values = chunks[0].dictionary.to_pylist() if chunks else []
    return np.concatenate([np.empty(0, np.int64), *codes]).astype(np.int64), values


def _into(codes: Ints, values: Iterable[str], known: Sequence[str]) -> Ints:
    """Return places in a list of known texts; -1 for null, and for any other."""
    at = {name: place for place, name in enumerate(known)}
    table = np.array([*(at.get(value, -1) for value in values), -1], dtype=np.int64)
    return table[codes]


def _named(codes: Ints, values: list[str]) -> Strings:
    names: Strings = np.array([*values, None], dtype=object)[codes]
    return names


def _numbers(table: pa.Table, name: str) -> Floats:
    """Return a column as floats, NaN for null; all NaN for a column that is not there."""
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    chunks = [filled(chunk, np.nan) for chunk in with_numbers(table[name]).chunks]
    return np.concatenate([np.empty(0), *chunks])
