"""The table of an online run: who was asked when, with which probability, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.data.splits import TEST
from routebench.errors import DataError
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup

FILE = "online.parquet"
ABOUT = "routebench.online"
"""Metadata: what the stream is, as far as no column tells."""


def online_table(setup: Setup, results: Mapping[Job, Result]) -> pa.Table:
    """Return a row per router, seed and query, in the order of arrival."""
    stream, data = setup.stream, setup.data
    assert stream is not None
    rows = setup.rows(0, TEST)
    parts = []
    jobs = sorted(results, key=lambda job: (job.label, job.seed))
    for job in jobs:
        decisions = results[job].decisions
        if decisions is None:
            continue
        order = stream.order(job.seed)
        at, choice = rows[order], decisions.choice[order]
        n = len(at)
        cost = data.outcomes.cost
        chance = None if decisions.probability is None else decisions.probability[order]
        taken = np.ones(n) if chance is None else chance[np.arange(n), choice]
        hindsight = None if decisions.hindsight is None else decisions.hindsight[order]
        models = np.array(data.pool.models, dtype=object)
        parts.append(
            pa.table(
                {
                    "router": pa.repeat(pa.scalar(job.label, pa.string()), n),
                    "seed": pa.array(np.full(n, job.seed, dtype=np.int32)),
                    "position": pa.array(np.arange(n, dtype=np.int32)),
                    "query": pa.array(data.keys[at], pa.string()),
                    "task": pa.nulls(n, pa.string())
                    if data.queries.task is None
                    else pa.array(data.queries.task[at], pa.string()),
                    "choice": pa.array(models[choice], pa.string()),
                    "propensity": pa.array(taken),
                    "probabilities": _lists(chance, n),
                    "score": pa.array(data.outcomes.score[at, choice]),
                    "cost_usd": pa.nulls(n, pa.float64())
                    if cost is None
                    else pa.array(cost[at, choice], from_pandas=True),
                    "in_hindsight": pa.nulls(n, pa.string())
                    if hindsight is None
                    else pa.array(models[hindsight], pa.string()),
                    "learns": pa.array(np.full(n, job.updates)),
                    "after_drift": pa.array(
                        np.zeros(n, dtype=np.bool_) if stream.later is None else stream.later[order]
                    ),
                }
            )
        )
    about = {
        "models": list(data.pool.models), "order": stream.by,
        "settings": stream.settings.model_dump(mode="json"),
    }  # fmt: skip
    table = pa.concat_tables(parts) if parts else pa.table({})
    return table.replace_schema_metadata({ABOUT: json.dumps(about, sort_keys=True)})


def models_of(schema: pa.Schema) -> list[str]:
    """Return the models of the pool, which the header names; a `DataError` where it does not."""
    try:
        models = json.loads((schema.metadata or {})[ABOUT.encode()])["models"]
        return [str(model) for model in models]
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{FILE}: its header is damaged: {error}") from error


def _lists(chance: Any, n: int) -> pa.Array:
    kind = pa.list_(pa.float64())
    return pa.nulls(n, kind) if chance is None else pa.array(list(chance), kind)
