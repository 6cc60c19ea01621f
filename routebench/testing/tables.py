"""Synthetic tables with a planted signal: what the conformance checks train routers on.

Each query's words tell its task, each task has a specialist among the models, and one model is
fair at everything. A router that reads the text can beat the best single model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from routebench.records import (
    Floats,
    Grade,
    Ints,
    Outcomes,
    Pool,
    Queries,
    Rows,
    State,
    Table,
    Users,
)

MODELS = ("model-a", "model-b", "model-c", "model-d")
WORDS = {
    "arithmetic": ("add", "multiply", "divide", "digits", "fraction", "remainder"),
    "cooking": ("bake", "simmer", "flour", "butter", "oven", "recipe"),
    "geography": ("river", "capital", "border", "island", "mountain", "coast"),
    "poetry": ("rhyme", "stanza", "sonnet", "verse", "metre", "ballad"),
}
EXPECTED = np.array(
    [
        [0.95, 0.10, 0.65, 0.10],
        [0.10, 0.95, 0.65, 0.10],
        [0.10, 0.10, 0.65, 0.95],
        [0.10, 0.10, 0.65, 0.95],
    ]
)
"""[task, model] mean score, tasks in the order of `WORDS`."""
PRICES = np.array([1.0, 2.0, 4.0, 8.0])
"""USD per million tokens, prompt and answer alike."""
UNSEEN = 1
"""The model that `with_holes` leaves without any score: neither the cheapest nor the dearest."""

_OPENINGS = ("Please", "Could you", "I would like to", "Tell me how to", "In short,", "Now")
_USERS = ("ada", "grace", "linus")
_PREFERENCES = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Tables:
    """Three parts of one synthetic table."""

    train: Table
    validation: Table
    test: Table


def synthetic_tables(
    train: int = 160,
    validation: int = 60,
    test: int = 80,
    *,
    scores: Literal["binary", "real"] = "binary",
    seed: int = 0,
) -> Tables:
    """Return tables of the given sizes over four models and four tasks, priced, without a gap."""
    whole = _table(train + validation + test, scores, seed)
    ends = np.cumsum([train, validation, test])
    parts = [
        np.arange(end - n, end) for n, end in zip((train, validation, test), ends, strict=True)
    ]
    return Tables(*(take(whole, rows) for rows in parts))


def take(table: Table, rows: Rows) -> Table:
    """Return the given rows of a table, in that order."""
    return replace(table, queries=table.queries.take(rows), outcomes=table.outcomes.take(rows))


def joined(one: Table, other: Table) -> Table:
    """Return the rows of both tables of one pool, in the order of their texts."""

    def both(first: Any, second: Any) -> Any:
        return replace(
            first,
            **{
                f.name: np.concatenate([value, getattr(second, f.name)])
                for f in fields(first)
                if isinstance(value := getattr(first, f.name), np.ndarray)
            },
        )

    whole = replace(
        one, queries=both(one.queries, other.queries), outcomes=both(one.outcomes, other.outcomes)
    )
    return take(whole, np.argsort(whole.queries.text.astype(str), kind="stable"))


def with_users(table: Table) -> Table:
    """Return the table with users' preferences, and relative costs that follow the prices."""
    outcomes, queries = table.outcomes, table.queries
    weights = dict(zip(_USERS, _PREFERENCES, strict=True))
    relative = np.broadcast_to(0.2 * PRICES / PRICES.max(), outcomes.score.shape)
    assert queries.user is not None
    mine = np.array([weights[name] for name in queries.user])
    return replace(
        table,
        queries=replace(queries, preference=mine),
        outcomes=replace(outcomes, relative_cost=relative.copy()),
        users=Users(np.array(_USERS, dtype=object), np.array(_PREFERENCES)),
    )


def with_scores(table: Table, score: Floats) -> Table:
    """Return the table with other scores [n, m]."""
    return replace(table, outcomes=replace(table.outcomes, score=score, grade=None, samples=None))


def unpriced(table: Table) -> Table:
    """Return the table as a run without any price source has it."""
    pool = replace(table.pool, input_price=None, output_price=None)
    return replace(table, pool=pool, outcomes=replace(table.outcomes, cost=None))


def with_models(table: Table, order: Ints) -> Table:
    """Return the table with the models' columns in another order."""
    outcomes, pool = table.outcomes, table.pool
    moved = {
        f.name: value[:, order].copy()
        for f in fields(outcomes)
        if (value := getattr(outcomes, f.name)) is not None
    }
    facts = {
        name: value[order].copy()
        for name in ("input_price", "output_price", "size")
        if (value := getattr(pool, name)) is not None
    }
    texts = pool.description
    return replace(
        table,
        outcomes=replace(outcomes, **moved),
        pool=replace(
            pool,
            models=tuple(pool.models[i] for i in order),
            description=None if texts is None else tuple(texts[i] for i in order),
            **facts,
        ),
    )


def with_holes(table: Table, share: float = 0.3, seed: int = 0) -> Table:
    """Return the table with missing cells: a random share, one query, all of model `UNSEEN`."""
    outcomes = table.outcomes
    rng = np.random.default_rng([seed, len(table)])
    missing = rng.random(outcomes.score.shape) < share
    missing[0] = True
    missing[:, UNSEEN] = True
    causes = rng.choice([State.ABSENT, State.FAILED, State.UNGRADED], missing.shape)
    blank = {
        name: np.where(missing, np.nan, getattr(outcomes, name))
        for name in ("score", "cost", "input_tokens", "output_tokens", "latency")
        if getattr(outcomes, name) is not None
    }
    state = np.where(missing, causes, outcomes.state).astype(np.int8)
    grade = outcomes.grade
    if grade is not None:
        grade = np.where(missing, Grade.NONE, grade).astype(np.int8)
    if outcomes.samples is not None:
        blank["samples"] = np.where(missing[..., None], np.nan, outcomes.samples)
    return replace(table, outcomes=replace(outcomes, state=state, grade=grade, **blank))


def _table(n: int, scores: Literal["binary", "real"], seed: int) -> Table:
    rng = np.random.default_rng(seed)
    task = rng.integers(len(WORDS), size=n)
    queries = _queries(task, rng)
    expected = EXPECTED[task]
    score: Floats = (
        (rng.random(expected.shape) < expected).astype(np.float64)
        if scores == "binary"
        else np.clip(expected + rng.normal(0, 0.05, expected.shape), 0, 1)
    )
    return Table(queries, _outcomes(score, scores == "binary", rng), _pool())


def _queries(task: Ints, rng: np.random.Generator) -> Queries:
    names = list(WORDS)
    n = len(task)
    texts = []
    for number, t in enumerate(task):
        words = rng.permutation(WORDS[names[t]])[: rng.integers(2, 6)]
        # The number keeps texts apart: duplicates would be removed from a real run.
        texts.append(f"{rng.choice(_OPENINGS)} {' '.join(words)} {number}")
    vectors = rng.normal(0, 0.3, (n, 8))
    vectors[np.arange(n), task] += 1
    return Queries(
        text=np.array(texts, dtype=object),
        task=np.array([names[t] for t in task], dtype=object),
        user=np.array(rng.choice(_USERS, n), dtype=object),
        preference=rng.random(n).round(2),
        embedding=vectors.astype(np.float32),
    )


def _outcomes(score: Floats, graded: bool, rng: np.random.Generator) -> Outcomes:
    right = np.where(score > 0, Grade.CORRECT, Grade.INCORRECT).astype(np.int8)
    prompt = np.repeat(rng.integers(8, 30, (len(score), 1)), score.shape[1], axis=1)
    answer = rng.integers(50, 200, score.shape)
    return Outcomes(
        score=score,
        state=np.full(score.shape, State.OK, dtype=np.int8),
        cost=(prompt + answer) * PRICES / 1e6,
        grade=right if graded else None,
        input_tokens=prompt.astype(np.float64),
        output_tokens=answer.astype(np.float64),
        latency=rng.random(score.shape) + 0.1,
    )


def _pool() -> Pool:
    return Pool(
        MODELS,
        input_price=PRICES.copy(),
        output_price=PRICES.copy(),
        size=np.array([3.0, 8.0, 70.0, 400.0]),
        description=tuple(f"An invented model, number {i + 1}." for i in range(len(MODELS))),
    )
