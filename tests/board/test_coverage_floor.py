"""A router that chooses models hardly anybody asked loses its own row, not the others' queries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from conftest import SMALLER, long_table, planted, rows

from routebench.plugin.selection import best_single, by_cost, covered

TROUBLE = Path(__file__).parents[1] / "troublemakers.py"


def sparse() -> pa.Table:
    """Four models on all of 300 queries, and a fifth, always right, on six of them."""
    table = planted(300)
    texts = table["query"].to_pylist()[::4]
    lucky = long_table(np.ones((300, 5)), texts, task=table["task"].to_pylist()[::4])
    few = np.flatnonzero((np.arange(1500) % 5 == 4) & (np.arange(1500) // 5 % 50 == 0))
    return pa.concat_tables([table, lucky.take(few)])


def test_one_lucky_model_takes_nobody_down(
    board: Callable[..., dict[str, Any]], write: Callable[[pa.Table], Path]
) -> None:
    path = write(sparse())
    words = ("--suite", f"table:{path}", "--folds", 3, "--show", "task", *SMALLER, "--router")
    routers = "best-single,knn,linear,prompt-length,task-prior"
    done = board(*words, f"{routers},{TROUBLE}:Constant", "--set", "Constant.choice=4", rc=1)
    by_name = rows(done)
    assert by_name["Constant"]["state"] == "failed"
    assert "2% of the test queries" in by_name["Constant"]["message"]
    for name in ("best-single", "knn", "linear", "prompt-length", "task-prior"):
        assert by_name[name]["usage"]["e"] < 0.05, by_name[name]["message"]
    assert by_name["best-single"]["usage"]["e"] == 0
    assert by_name["knn"]["metrics"]["gap_recovered"]["value"] > 0.7


def test_covered_models() -> None:
    ok = np.array([[True, True, False], [True, False, False]])
    assert covered(ok).tolist() == [True, True, False]
    assert covered(np.zeros((2, 2), dtype=bool)).tolist() == [True, True]


def test_fixed_models_are_covered_ones() -> None:
    from conftest import small_table

    nan = np.nan
    table = small_table(
        [[0.5, 0.4, 1], [0.5, 0.4, nan], [0.5, 0.4, nan]], cost=[[3.0, 2.0, 1.0]] * 3
    )
    cost = table.outcomes.mean_cost()
    assert cost is not None
    assert best_single(table.outcomes, cost) == 0
    assert by_cost(table.outcomes, cost) == 1
    assert by_cost(table.outcomes, np.array([1.0, 2.0, 3.0]), dearest=True) == 1
