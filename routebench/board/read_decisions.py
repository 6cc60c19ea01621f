"""Read the decisions of a run folder, by router, seed and fold, in the folds' order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from routebench.board.asked_lists import read_asked
from routebench.board.read_tables import numbers, read_table, text, whole
from routebench.data.splits import TEST
from routebench.errors import DataError
from routebench.jobs.setup import Setup
from routebench.plugin.renamed import current_name
from routebench.records import Decisions, Ints, Usage

Key = tuple[str, int, int]
"""Router, seed, fold."""
FILE = "decisions.parquet"
_USAGE = ("router_input_tokens", "router_output_tokens", "router_cost_usd")


@dataclass(frozen=True)
class JobDecisions:
    """The decisions of one job on the test queries of its fold."""

    decisions: Decisions
    personal: bool
    """Whether it was asked for every user; its rows are then pairs of query and user."""


def read_decisions(folder: Path, setup: Setup) -> dict[Key, JobDecisions]:
    """Read the decisions of all jobs.

    Raises:
        DataError: a job decides other queries than its fold tests.
    """
    if not (folder / FILE).exists():
        return {}  # no router ended well
    table = read_table(folder / FILE, ("router", "query", "user", "choice", "policy"))
    data = setup.data
    row = text(table, "query", FILE).into(data.keys, FILE)
    choice = text(table, "choice", FILE).into(data.pool.models, FILE)
    user, usage = text(table, "user", FILE), [numbers(table, name, FILE) for name in _USAGE]
    confidence = numbers(table, "confidence", FILE)
    lists = read_asked(table, data.pool.models, FILE)
    policy = text(table, "policy", FILE)
    decisions = {}
    for key, rows in by_job(table, FILE):
        personal = data.users is not None and bool((user.codes[rows] >= 0).any())
        # Files may hold rows in any order; sorted, they must be what the fold tests.
        if personal:
            assert data.users is not None
            asks = setup.asks(key[2])
            who = user.take(rows).into(data.users.name, FILE)
            sort = np.lexsort((who, row[rows]))
            order, expected = rows[sort], asks.row
            fits = np.array_equal(who[sort], asks.user)
        else:
            order, expected = rows[np.argsort(row[rows], kind="stable")], setup.rows(key[2], TEST)
            fits = True
        if not fits or not np.array_equal(row[order], expected):
            raise DataError(f"{FILE}: {named(key)} decides other queries than its fold tests")
        each = [values[order] for values in usage]
        known = not all(np.isnan(values).all() for values in each)
        sure = confidence[order]
        policies = policy.take(order)
        decisions[key] = JobDecisions(
            Decisions(
                choice=choice[order],
                confidence=None if np.isnan(sure).all() else sure,
                policy=policies.texts() if (policies.codes >= 0).any() else None,
                usage=Usage(*each) if known else None,
                asked=lists[0][order] if lists and lists[1][order].all() else None,
            ),
            personal,
        )
    return decisions


def by_job(table: pa.Table, place: str) -> Iterator[tuple[Key, Ints]]:
    """Yield router, seed and fold of each job in a table, with its rows in order."""
    router = text(table, "router", place)
    columns = [router.codes, *(whole(table, name, place) for name in ("seed", "fold"))]
    if not len(table):
        return
    order = np.lexsort(columns[::-1])
    changes = np.logical_or.reduce([np.diff(column[order]) != 0 for column in columns])
    for rows in np.split(order, np.flatnonzero(changes) + 1):
        label, seed, fold = (int(column[rows[0]]) for column in columns)
        yield (current_name(router.values[label]), seed, fold), rows


def named(key: Key) -> str:
    """Return the words for a job in a message."""
    return f"{key[0]} (seed {key[1]}, fold {key[2]})"


def by_seed(
    decisions: dict[Key, JobDecisions], router: str, value: Callable[[int, JobDecisions], Ints]
) -> list[list[Ints]]:
    """Return a value of each of a router's jobs, by seed, then fold."""
    keys = sorted(key for key in decisions if key[0] == router)
    seeds = sorted({seed for _, seed, _ in keys})
    return [[value(k[2], decisions[k]) for k in keys if k[1] == seed] for seed in seeds]
