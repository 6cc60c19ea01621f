"""Worlds of recorded answers in which it is known what looking at them is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from routebench.bought import Bought
from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.records import Floats, Outcomes, Pool, Queries, Strings, Table
from routebench.steps.replay import RecordedAnswers, step_through

WORDS = ("red", "green", "blue", "small", "large", "old", "new", "north", "south", "east")
PRICES = np.array([1.0, 1.5, 2.0, 20.0])


def table_of(final: Strings, score: Floats, price: Floats, rng: Any, **fields: Any) -> Table:
    """Return a table of answers that say no more than their final one."""
    n, m = score.shape
    texts = [" ".join(rng.choice(WORDS, 5)) + f" {i}" for i in range(n)]
    cost = np.broadcast_to(price * 1e-3, (n, m)).copy()
    nan = np.full((n, m), np.nan)
    there = np.ones((n, m), dtype=np.bool_)
    values = {
        "asked": there, "answered": there, "response": final, "final": final,
        "input_tokens": nan, "output_tokens": nan, "cost": cost, "latency": nan,
        "confidence": nan,
    } | fields  # fmt: skip
    outcomes = Outcomes(score.astype(np.float64), np.zeros((n, m), np.int8), cost)
    names = tuple("abcdefgh"[:m])
    queries = Queries(np.array(texts, dtype=object))
    return Table(queries, outcomes, Pool(names), answers=Bought(**values))


def agreement_tells(n: int, rng: Any, right: Any = (0.6, 0.6, 0.4, 0.8)) -> Table:
    """Return a world in which no two models ever make the same mistake."""
    score = rng.random((n, len(right))) < right
    wrong = np.array([f"wrong {model}" for model in range(len(right))], dtype=object)
    return table_of(np.where(score, "right", wrong[None, :]), score, PRICES, rng)


def nothing_tells(n: int, rng: Any) -> Table:
    """Return a world of four letters drawn at random, of which one is right."""
    letters = rng.integers(4, size=(n, 4))
    final = np.array(["A", "B", "C", "D"], dtype=object)[letters]
    return table_of(final, letters == rng.integers(4, size=(n, 1)), PRICES, rng)


def part(table: Table, rows: Any) -> Table:
    assert table.answers is not None
    queries, outcomes = table.queries.take(rows), table.outcomes.take(rows)
    return Table(queries, outcomes, table.pool, answers=table.answers.take(rows))


def thirds(table: Table) -> tuple[Table, Table, Table]:
    n = len(table)
    rows = np.split(np.arange(n), [n // 2, 2 * n // 3])
    return part(table, rows[0]), part(table, rows[1]), part(table, rows[2])


def fitted(router: Any, train: Table, validation: Table, trade_offs: Any = (0.0,)) -> Any:
    encoder = FittedOnUse("tfidf-svd", {"dimension": 4}, list(train.queries.text))
    context = Context(0, encoder, Path(), trade_offs=tuple(trade_offs))
    hooks = {"train": train, "validation": validation, "context": context}
    code = router.fit.__code__
    router.fit(**{name: hooks[name] for name in code.co_varnames[1 : code.co_argcount]})
    return router


def outcome(router: Any, table: Table, trade_off: float = 0.0) -> tuple[Floats, Floats, Any]:
    """Return [n] the scores of a table's final answers, the costs of all calls, and the steps."""
    assert table.answers is not None
    assert table.outcomes.cost is not None

    def step(queries: Queries, bought: Bought) -> Any:
        given = {"queries": queries, "bought": bought, "trade_off": trade_off}
        code = router.step.__code__
        return router.step(**{k: given[k] for k in code.co_varnames[1 : code.co_argcount]})

    models = table.pool.models
    ended = step_through(step, table.queries, models, RecordedAnswers(table.answers, models))
    score = table.outcomes.score[np.arange(len(table)), ended.answer]
    return score, (table.outcomes.cost * (ended.asked > 0)).sum(axis=1), ended


def best_single(train: Table) -> int:
    return int(train.outcomes.score.mean(axis=0).argmax())
