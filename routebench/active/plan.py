"""A plan of queries to buy for training: out of logged requests, beside outcomes that are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.active.ensemble import features
from routebench.active.picks import expected_usd, pick
from routebench.data.fingerprints import outcomes_fingerprint
from routebench.data.texts import normalise
from routebench.errors import DataError, OptionError
from routebench.plugin import discovery
from routebench.records import Floats, Ints, SuiteData
from routebench.traffic import events

KIND = "training"
FEWEST = 20
"""Queries with outcomes of all models, below which there is nothing to learn doubts from."""
_DIMENSION = 64
_MOST = 20_000
"""Queries of the log that are considered, in the order of their hashes."""


@dataclass(frozen=True)
class PickedQueries:
    """Queries to buy, the first pick first."""

    query_id: list[str]
    query: list[str]
    task: list[str | None]
    count: list[int]
    """Requests of that text."""
    usd: Floats
    """[n, m] about what each model's answer costs."""
    models: tuple[str, ...]
    considered: int
    known: int

    def to_table(self) -> pa.Table:
        """Return a row per cell, as `routebench collect --plan` buys them."""
        m, n = len(self.models), len(self.query_id)

        def repeated(values: list[Any]) -> list[Any]:
            return [value for value in values for _ in range(m)]

        return pa.table(
            {
                "query_id": repeated(self.query_id),
                "query": repeated(self.query),
                "reference": pa.nulls(n * m, pa.large_string()),
                "task": pa.array(repeated(self.task), pa.string()),
                "model": list(self.models) * n,
                "role": [KIND] * (n * m),
                "stratum": pa.nulls(n * m, pa.int32()),
                "probability": pa.nulls(n * m, pa.float64()),
                "weight": [float(value) for value in repeated(self.count)],
                "wave": [1] * (n * m),
                "usd": self.usd.ravel(),
            }
        )


def picked_queries(data: SuiteData, log: Path, budget: float) -> PickedQueries:
    """Return the logged queries whose outcomes would tell most, within a budget in USD.

    `data` has the outcomes that are known, priced.

    Raises:
        DataError: too few outcomes or costs are known, or no query of the log is new.
        OptionError: where the budget buys nothing.
    """
    whole = np.flatnonzero(data.outcomes.ok.all(axis=1))
    if len(whole) < FEWEST:
        raise DataError(
            f"--outcomes {data.name}: {len(whole)} queries have an outcome of every model;"
            f" at least {FEWEST} are needed"
        )
    known = data.outcomes.take(whole)
    if known.cost is None or np.isnan(known.cost).any():
        raise DataError(f"--outcomes {data.name}: not every outcome has a cost", "--prices FILE")
    texts = [str(text) for text in data.queries.text[whole]]
    fresh = _fresh(log, {normalise(str(text)) for text in data.queries.text})
    length = np.array([float(len(text)) for text in texts])
    wanted = np.array([float(len(text)) for text in fresh["query"].to_pylist()])
    usd = np.stack([expected_usd(length, cost, wanted) for cost in known.cost.T], axis=1)
    made = features(_vectors([*texts, *fresh["query"].to_pylist()]))
    rng = np.random.default_rng(0)
    at = pick(made[: len(texts)], known.score, made[len(texts) :], usd.sum(axis=1), budget, rng)
    if not len(at):
        raise OptionError(f"--budget {budget:g}: no query costs so little", "a larger --budget")
    return _of(fresh, at, usd, data, len(texts))


def _of(fresh: pa.Table, at: Ints, usd: Floats, data: SuiteData, known: int) -> PickedQueries:
    taken = fresh.take(pa.array(at)).to_pydict()
    return PickedQueries(
        taken["query_hash"],
        taken["query"],
        taken["task"],
        taken["count"],
        usd[at],
        tuple(data.pool.models),
        len(fresh),
        known,
    )


def about(made: PickedQueries, data: SuiteData) -> dict[str, Any]:
    """Return what a plan of these queries keeps of itself."""
    return {
        "kind": KIND,
        "queries": len(made.query_id),
        "considered": made.considered,
        "usd": float(made.usd.sum()),
        "outcomes": outcomes_fingerprint(data),
    }


def _fresh(log: Path, known: set[str]) -> pa.Table:
    """Return the distinct queries of a log that have a text, of which no outcome is known."""
    rows = events.read(log, ["query", "query_hash", "task"]).to_pylist()
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["query"] is None or (text := normalise(row["query"])) in known:
            continue
        one = found.setdefault(text, {**row, "count": 0})
        one["count"] += 1
    if not found:
        raise DataError(
            f"{log}: no query with a text whose outcome is not known yet",
            "routebench logs import keeps texts unless told otherwise",
        )
    kept = sorted(found.values(), key=lambda one: str(one["query_hash"]))[:_MOST]
    return pa.Table.from_pylist(kept, pa.schema(_COLUMNS))


_COLUMNS = [
    ("query", pa.large_string()),
    ("query_hash", pa.string()),
    ("task", pa.string()),
    ("count", pa.int64()),
]


def _vectors(texts: list[str]) -> Floats:
    plugin = discovery.load(discovery.find("encoder", "tfidf-svd"))
    encoder = plugin(plugin.Options(dimension=_DIMENSION))
    encoder.fit(texts)
    made: Floats = np.asarray(encoder.encode(texts), dtype=np.float64)
    return made
