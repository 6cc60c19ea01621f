"""Make the tables of a run folder: enough to recompute every number of the board offline.

Texts are no part of that, and are kept where they are asked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench.board.asked_lists import STEPS, asked_columns, step_table
from routebench.board.online_table import FILE as ONLINE
from routebench.board.online_table import online_table
from routebench.data.perturbations import KINDS
from routebench.data.splits import REMOVED, TEST, TRAIN, VALIDATION
from routebench.files import sha256
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup
from routebench.prices.apply import PriceInfo
from routebench.records import Floats, Grade, Ints, State, Users
from routebench.schema import Leaderboard

NAMES = (
    "cells.parquet",
    "decisions.parquet",
    "perturbed.parquet",
    "scores.parquet",
    "steps.parquet",
    "users.parquet",
    "texts.parquet",
    ONLINE,
    "prices.toml",
)
TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "thinking_tokens")
PRICED = ("priced_input_tokens", "priced_output_tokens")
"""The tokens that costs were made from, where some of them are assumed."""
ASSUMED = "output_assumed"
"""Whether the length of an answer is assumed."""
HELD_OUT = 3
PARTS = {
    TRAIN: "train",
    VALIDATION: "validation",
    TEST: "test",
    REMOVED: "removed",
    HELD_OUT: "held-out",
}
"""The use of a cell in a fold; `held-out`: its model is kept from training there."""
POOL = "routebench.pool"
"""Metadata of the cells: which models the suite declares as the small and the large one."""

TEXTS = "texts.parquet"
TEXTS_KEPT = f"texts of all queries are kept in this run folder: {TEXTS} (--keep-texts)"
"""The note on a board whose run folder keeps texts."""

STATED = "routebench.stated"
"""Metadata of the cells: what the board says that no table could tell."""


def stated(board: Leaderboard) -> dict[str, Any]:
    """Return what a board says that no table could tell, by path; the cells' header holds it."""
    suite, prints, known = board.suite, board.fingerprints, board.diagnostics
    return {
        **{
            f"suite.{name}": getattr(suite, name)
            for name in (
                *("name", "source", "measure", "protocol", "split", "shown", "training_only"),
                "users",
            )
        },
        "suite.notes": suite.notes,
        **{
            f"fingerprints.{name}": getattr(prints, name) for name in ("suite", "outcomes", "judge")
        },
        "diagnostics.leaked": known.leaked,
        "diagnostics.removed": known.removed,
        "diagnostics.cost_basis": known.cost_basis,
    }


OF_PRICES = ("suite.notes", "diagnostics.cost_basis")
"""What of it other prices change."""


def tables(
    setup: Setup,
    prices: PriceInfo,
    results: Mapping[Job, Result],
    stated: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """Return the files by name. The same run always gives the same bytes.

    `stated` is what the header of the cells says of the board.
    """
    failed = {job.label for job, result in results.items() if result.decisions is None}
    finished = sorted(
        ((job, result) for job, result in results.items() if job.label not in failed),
        key=lambda item: (item[0].label, item[0].seed, item[0].fold),
    )
    steps = any(result.decisions and result.decisions.asked is not None for _, result in finished)
    parts: dict[str, list[pa.Table]] = {
        "decisions.parquet": [_decisions(setup, job, result, steps) for job, result in finished],
        STEPS: [
            step_table(setup, (job.label, job.seed, job.fold), result.trade_offs)
            for job, result in finished
            if result.trade_offs is not None and len(result.trade_offs.lambdas) > 1
        ],
        "perturbed.parquet": [_perturbed(setup, job, result) for job, result in finished],
        "scores.parquet": [
            table
            for job, result in finished
            for table in _scores(setup, job, result)
            if table is not None
        ],
    }
    made = {"cells.parquet": _parquet(_cells(setup, prices, steps, stated or {}))}
    if (users := setup.data.users) is not None:
        made["users.parquet"] = _parquet(_users(setup, users))
    for name, each in parts.items():
        if sum(len(table) for table in each):
            made[name] = _parquet(pa.concat_tables(each))
    if setup.stream is not None and finished:
        made[ONLINE] = _parquet(online_table(setup, dict(finished)))
    if prices.snapshot:
        import tomli_w

        made["prices.toml"] = tomli_w.dumps(prices.snapshot).encode()
    return made


def texts(setup: Setup) -> bytes:
    """Return the file of the queries' texts, by key."""
    data = setup.data
    columns = {"query": _strings(data.keys), "text": _strings(list(data.queries.text))}
    return _parquet(pa.table(columns))


def with_costs(cells: pa.Table, cost: Floats) -> bytes:
    """Return the file of cells at other costs [rows], NaN where unknown."""
    names = cells.column_names
    if "cost_usd" in names:
        return _parquet(cells.set_column(names.index("cost_usd"), "cost_usd", _floats(cost)))
    before = max(names.index(name) for name in TOKENS if name in names)
    return _parquet(cells.add_column(before + 1, "cost_usd", _floats(cost)))


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _cells(setup: Setup, prices: PriceInfo, steps: bool, stated: Mapping[str, Any]) -> pa.Table:
    """Return one row per asked cell, those of training included: references need them.

    With `steps` a router's latency is made of the cells'.
    """
    data = setup.data
    rows, models = np.nonzero(data.outcomes.state != State.ABSENT)
    columns: dict[str, Any] = {
        "query": _strings(data.keys[rows]),
        "query_id": _strings(data.ids[rows]),
        "text_sha256": _strings(data.text_hash[rows]),
        **{
            name: _strings(values[rows])
            for name in ("task", "topic")
            if (values := getattr(data.queries, name)) is not None
        },
        "model": _names(data.pool.models, models),
        "score": _floats(data.outcomes.score[rows, models]),
        "state": _names([s.name.lower() for s in State], data.outcomes.state[rows, models]),
    }
    if data.outcomes.samples is not None:
        columns["samples"] = _lists(data.outcomes.samples[rows, models])
    if data.outcomes.grade is not None:
        grades = data.outcomes.grade[rows, models]
        names = [g.name for g in Grade if g != Grade.NONE]
        known = grades != Grade.NONE
        columns["grade"] = _names(names, np.where(known, grades, 0), known)
    for name, column in (
        *((name, name) for name in TOKENS),
        ("cost", "cost_usd"),
        ("relative_cost", "relative_cost"),
        *((("latency", "latency"),) if steps else ()),
    ):
        values = getattr(data.outcomes, name)
        if values is not None:
            columns[column] = _floats(values[rows, models])
    if prices.label == "estimated" and prices.tokens is not None:
        for column, tokens in zip(PRICED, prices.tokens, strict=True):
            columns[column] = _floats(tokens[rows, models])
    if prices.assumed is not None:
        columns[ASSUMED] = pa.array(prices.assumed[rows, models])
    if data.answers is not None:
        texts = data.answers.take(rows * len(data.pool) + models).to_pylist()
        columns["answer_sha256"] = pa.array(
            [None if t is None else sha256(t.encode())[:16] for t in texts]
        )
    declared = json.dumps({"small": data.pool.small, "large": data.pool.large})
    columns["parts"] = _parts(setup, rows, models)
    told = {STATED: json.dumps(stated, sort_keys=True)} if stated else {}
    return pa.table(columns).replace_schema_metadata({POOL: declared, **told})


def _parts(setup: Setup, rows: Ints, models: Ints) -> pa.Array:
    """Return the use of each cell: one word per fold."""
    code = setup.split.codes[:, rows].astype(np.int64)
    if setup.split.protocol == "llm" and setup.split.held_out is not None:
        hidden = setup.split.held_out[:, models] & np.isin(code, (TRAIN, VALIDATION))
        if setup.split.few_shot is not None:
            hidden &= ~setup.split.few_shot[:, rows]
        code = np.where(hidden, HELD_OUT, code)
    distinct, which = np.unique(code, axis=1, return_inverse=True)
    names = [" ".join(PARTS[c] for c in column) for column in distinct.T.tolist()]
    return _names(names, which.reshape(-1))


def _users(setup: Setup, users: Users) -> pa.Table:
    """Return users and their preferences, and where it differs, what each asked."""
    columns = {"user": _strings(users.name), "preference": _floats(users.preference)}
    if users.asked is not None:
        lists = [setup.data.keys[mask].tolist() for mask in users.asked.T]
        columns["asked"] = pa.array(lists, pa.list_(pa.string()))
    if setup.split.protocol == "user" and setup.split.held_out is not None:
        folds = [np.flatnonzero(column).tolist() for column in setup.split.held_out.T]
        columns["held_out_in"] = pa.array(folds, pa.list_(pa.int32()))
    return pa.table(columns)


def _decisions(setup: Setup, job: Job, result: Result, steps: bool) -> pa.Table:
    assert result.decisions is not None
    decisions = result.decisions
    data, rows = setup.data, setup.rows(job.fold, TEST)
    users = None if data.queries.user is None else data.queries.user[rows]
    if job.personal and data.users is not None:
        asks = setup.asks(job.fold)
        rows, users = asks.row, data.users.name[asks.user]
    n = len(rows)
    usage = decisions.usage
    columns = {
        **_job_columns(job, n),
        "query": _strings(data.keys[rows]),
        "user": pa.nulls(n, pa.string()) if users is None else _strings(users),
        "choice": _names(data.pool.models, decisions.choice),
        "confidence": _optional(decisions.confidence, n),
        "policy": pa.array(
            [None] * n if decisions.policy is None else decisions.policy, pa.string()
        ),
        "router_input_tokens": _optional(usage.input_tokens if usage else None, n),
        "router_output_tokens": _optional(usage.output_tokens if usage else None, n),
        "router_cost_usd": _optional(usage.cost if usage else None, n),
        **(asked_columns(decisions.asked, n, data.pool.models) if steps else {}),
    }
    return pa.table(columns)


def _perturbed(setup: Setup, job: Job, result: Result) -> pa.Table:
    """Return the model chosen for every perturbed form of a test query."""
    rows, decisions = setup.perturbed(job.fold), result.perturbed
    if job.personal and setup.data.users is not None:
        asks = setup.asks(job.fold)
        rows = asks.row[asks.one_each(rows)]
    n = 0 if decisions is None else len(decisions.choice)
    choice = np.zeros(0, dtype=np.int64) if decisions is None else decisions.choice
    return pa.table(
        {
            **_job_columns(job, n),
            "query": _strings(np.tile(setup.data.keys[rows], n // max(len(rows), 1))),
            "kind": _strings(np.repeat(np.array(KINDS, dtype=object), len(rows))[:n]),
            "choice": _names(setup.data.pool.models, choice),
        }
    )


def _scores(setup: Setup, job: Job, result: Result) -> Iterator[pa.Table | None]:
    """Yield the expected quality of the models considered, on validation and test queries."""
    if job.personal and setup.data.users is not None:
        return  # by user and query there would be more of them than of all else together
    deciding = setup.deciding_rows(job.fold, job.inner_folds)
    parts = (
        ("validation", deciding, result.validation),
        ("test", setup.rows(job.fold, TEST), result.decisions),
    )
    for part, rows, decisions in parts:
        quality = None if decisions is None else decisions.quality
        yield None if quality is None else _quality(setup, job, part, rows, quality)


def _quality(setup: Setup, job: Job, part: str, rows: Ints, quality: Floats) -> pa.Table:
    queries, models = np.nonzero(~np.isnan(quality))
    n = len(queries)
    return pa.table(
        {
            **_job_columns(job, n),
            "part": _constant(part, n),
            "query": _strings(setup.data.keys[rows][queries]),
            "model": _names(setup.data.pool.models, models),
            "quality": pa.array(quality[queries, models]),
        }
    )


def _job_columns(job: Job, n: int) -> dict[str, pa.Array]:
    """Return the columns that name a job, for a table of n rows."""
    return {
        "router": _constant(job.label, n),
        "seed": pa.array(np.full(n, job.seed, dtype=np.int32)),
        "fold": pa.array(np.full(n, job.fold, dtype=np.int32)),
    }


def _names(names: Any, codes: Ints | Any, known: Any = None) -> pa.Array:
    mask = None if known is None else ~np.asarray(known)
    indices = pa.array(np.asarray(codes, dtype=np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(names), pa.string()))


def _constant(name: str, n: int) -> pa.Array:
    # Plain strings: dictionaries of different tables would have to be merged.
    return pa.repeat(pa.scalar(name, pa.string()), n)


def _strings(values: Any) -> pa.Array:
    return pa.array(values, pa.string())


def _floats(values: Floats) -> pa.Array:
    """Convert numbers to Arrow; NaN becomes null, since unknown is not a number in a file."""
    return pa.array(values, pa.float64(), from_pandas=True)


def _lists(values: Floats) -> pa.Array:
    """Convert rows [n, k] to Arrow lists, without the NaN that pads them."""
    known = ~np.isnan(values)
    ends = np.concatenate([[0], known.sum(axis=1).cumsum()])
    return pa.LargeListArray.from_arrays(ends, values[known])


def _optional(values: Floats | None, n: int) -> pa.Array:
    return pa.nulls(n, pa.float64()) if values is None else _floats(values)
