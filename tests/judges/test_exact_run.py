"""The judge in a whole run: answers without scores become a board with three-state metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import planted


def test_answers_are_graded_and_routed(
    board: Callable[..., dict[str, Any]], write: Callable[..., Path]
) -> None:
    table = planted(300)
    right = np.array(table["score"].to_pylist())
    declined = np.arange(len(right)) % 7 == 0
    answers = np.where(right > 0, "It is about 18.50 metres.", "It is 185 m.")
    answers = np.where(declined, "I don't know.", answers)
    table = table.drop_columns("score").append_column("response", pa.array(answers.tolist()))
    table = table.append_column("reference", pa.array(["18.5 m"] * len(answers)))
    done = board(
        "--suite", f"table:{write(table)}", "--router", "knn,best-single", "--judge", "exact"
    )
    pool = done["diagnostics"]["pool"]
    for column, model in enumerate("abcd"):
        own = (right > 0) & ~declined
        assert pool[model]["all"]["accuracy"] == pytest.approx(own[column::4].mean())
        assert pool[model]["all"]["attempted"] == pytest.approx((~declined)[column::4].mean())
    metrics = done["rows"][0]["metrics"]
    assert metrics["f_score"]["value"] is not None
    assert done["diagnostics"]["states"]["ungraded"] == 0
