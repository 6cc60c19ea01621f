"""Read back the decisions of routers that see answers at every trade-off."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from routebench.board.asked_lists import PARTS, read_asked
from routebench.board.asked_lists import STEPS as FILE
from routebench.board.read_decisions import Key, by_job, named
from routebench.board.read_tables import numbers, read_table, text
from routebench.errors import DataError
from routebench.jobs.finished import SteppedPart, TradeOffs
from routebench.jobs.setup import Setup


def read_step_table(folder: Path, setup: Setup) -> dict[Key, TradeOffs]:
    """Read the trade-offs of all jobs that have some; none where there is no such file.

    Raises:
        DataError: where a job was stepped on other queries than were to be.
    """
    if not (folder / FILE).exists():
        return {}
    table = read_table(folder / FILE, ("router", "part", "query", "choice"))
    data = setup.data
    row = text(table, "query", FILE).into(data.keys, FILE)
    choice = text(table, "choice", FILE).into(data.pool.models, FILE)
    part = text(table, "part", FILE).into(PARTS, FILE)
    lam = numbers(table, "lambda", FILE)
    lists = read_asked(table, data.pool.models, FILE)
    if lists is None:
        raise DataError(f"{FILE}: it does not say who was asked")
    made = {}
    for key, rows in by_job(table, FILE):
        lambdas = np.unique(lam[rows])
        parts = []
        for number, code in enumerate(PARTS.values()):
            own = rows[part[rows] == number]
            order = own[np.lexsort((row[own], lam[own]))]
            whole = setup.complete(key[2], code)
            expected = np.tile(setup.rows(key[2], code)[whole], len(lambdas))
            if not np.array_equal(row[order], expected):
                raise DataError(
                    f"{FILE}: {named(key)} was stepped on other queries than were to be"
                )
            shape = (len(lambdas), int(whole.sum()))
            filled = SteppedPart(
                np.zeros((len(whole), len(lambdas)), dtype=np.int64),
                np.zeros((len(whole), len(lambdas), len(data.pool)), dtype=np.int8),
            )
            filled.choice[whole] = choice[order].reshape(shape).T
            filled.asked[whole] = lists[0][order].reshape(*shape, -1).transpose(1, 0, 2)
            parts.append(filled)
        made[key] = TradeOffs(tuple(map(float, lambdas)), *parts)
    return made
