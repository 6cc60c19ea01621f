"""A router that learns online, in its process: it chooses, is told what came, and learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from routebench.errors import PluginError
from routebench.isolation.messages import OutcomesGiven, OutcomesNeeded
from routebench.jobs.harness import CHUNK, Harness
from routebench.records import Decisions, Queries, Table

Choose = Callable[[OutcomesNeeded], OutcomesGiven]


def play(harness: Harness, queries: Queries, models: int, batch: int, choose: Choose) -> None:
    """Choose for queries in their order, `batch` at a time, and learn what is revealed.

    Raises:
        PluginError: for choices that break the contract.
    """
    for start in range(0, len(queries), batch):
        chunk = queries.take(np.arange(start, min(start + batch, len(queries))))
        made = harness.route(chunk, models)
        chance = None if made.probability is None else made.probability.tolist()
        given = choose(OutcomesNeeded(start, made.choice.tolist(), chance))
        if given.problem:
            raise PluginError(given.problem)
        if given.rows:
            harness.update(
                queries.take(np.array(given.rows)),
                np.array(given.choice, dtype=np.int64),
                np.array(given.score, dtype=np.float64),
                np.array(given.cost, dtype=np.float64),
            )


def timing(harness: Harness, queries: int) -> dict[str, Any]:
    """Return the seconds that a stream took, and the latency of one choice with its update."""
    routing, learning = harness.metering.route_seconds, harness.metering.update_seconds
    total = sum(routing) + sum(learning)
    made: dict[str, Any] = {
        "route_seconds": sum(routing),
        "update_seconds": sum(learning),
        "queries_per_second": queries / max(total, 1e-9),
    }
    if len(routing) == queries:
        made |= {
            f"latency_ms_p{q}": float(1000 * np.quantile(routing, q / 100)) for q in (50, 95, 99)
        }
    return made


def in_hindsight(harness: Harness, table: Table) -> Decisions:
    """Return what a router chooses when it has been told every cell of a table.

    It chooses by its predicted quality where it gives one, since what is known needs no exploring.
    """
    n, m = table.outcomes.score.shape
    rows, models = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    scores = table.outcomes.score.reshape(-1)
    cost = table.outcomes.cost
    costs = np.full(n * m, np.nan) if cost is None else cost.reshape(-1)
    for start in range(0, n * m, CHUNK):
        at = np.arange(start, min(start + CHUNK, n * m))
        harness.update(table.queries.take(rows[at]), models[at], scores[at], costs[at])
    made = harness.route(table.queries, m)
    choice = made.choice if made.quality is None else np.nanargmax(made.quality, axis=1)
    return Decisions(choice.astype(np.int64))
