"""Read the quality that routers predicted, by router, seed and fold, in the folds' order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from routebench.board.read_decisions import Key, by_job, named
from routebench.board.read_tables import numbers, read_table, text
from routebench.board.write_tables import HELD_OUT, PARTS
from routebench.data.splits import TEST, VALIDATION
from routebench.errors import DataError
from routebench.jobs.setup import Setup
from routebench.records import Floats
from routebench.schema import Leaderboard

SCORES = "scores.parquet"
_PART_CODES = {name: code for code, name in PARTS.items() if code != HELD_OUT}
Expected = dict[tuple[Key, int], Floats]
"""By job and part: expected quality [n, m]."""


def read_scores(folder: Path, board: Leaderboard, setup: Setup) -> Expected:
    """Return the routers' predicted quality of every model, on validation and test queries.

    Of cross-fitted routers, `validation` is what their points are chosen on: train too.
    """
    if SCORES not in board.files:
        return {}
    table = read_table(folder / SCORES, ("router", "part", "query", "model"))
    data = setup.data
    row = text(table, "query", SCORES).into(data.keys, SCORES)
    model = text(table, "model", SCORES).into(data.pool.models, SCORES)
    part = text(table, "part", SCORES)
    code = np.array([_PART_CODES[name] for name in part.values], dtype=np.int64)[part.codes]
    value = numbers(table, "quality", SCORES)
    inner_folds = {row.router: row.learning.inner_folds for row in board.rows if row.learning}
    matrices = {}
    for key, all_rows in by_job(table, SCORES):
        for wanted in (VALIDATION, TEST):
            chosen = all_rows[code[all_rows] == wanted]
            expected = setup.rows(key[2], wanted)
            if wanted == VALIDATION:
                expected = setup.deciding_rows(key[2], inner_folds.get(key[0], 0))
            place = np.searchsorted(expected, row[chosen])
            inside = place < len(expected)
            if not inside.all() or not np.array_equal(expected[place], row[chosen]):
                raise DataError(f"{SCORES}: {named(key)} scores queries of another part")
            if len(chosen):
                matrix = np.full((len(expected), len(data.pool)), np.nan)
                matrix[place, model[chosen]] = value[chosen]
                matrices[key, wanted] = matrix
    return matrices
