"""One query of a run: its answers, and what each router chose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import planted
from runs import finish
from test_bad_input import check

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a router that predicts quality, and one that does not."""
    folder = tmp_path_factory.mktemp("query")
    pq.write_table(planted(60), folder / "outcomes.parquet")
    names = ["best-single", "linear"]
    return finish(folder / "run", suite=f"table:{folder / 'outcomes.parquet'}", router=names)


def test_a_query(run: Path, main: Main) -> None:
    decisions = pq.read_table(run / "decisions.parquet").to_pylist()
    cells = pq.read_table(run / "cells.parquet").to_pylist()
    scores = pq.read_table(run / "scores.parquet").to_pylist()
    one = next(row for row in decisions if row["router"] == "linear")
    own = {cell["model"]: cell for cell in cells if cell["query"] == one["query"]}
    name = own["a"]["query_id"]
    code, out, err = main("show", run, "--query", name)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"{name} · ")
    best = max(cell["score"] for cell in own.values())
    right = [model for model, cell in own.items() if cell["score"] == best]
    words = f"best answered by {', '.join(right)}" if best else "no model scores on it"
    assert lines[1] == words
    shown = {line.split()[0]: line.split()[1:] for line in lines[3:] if len(line.split()) > 2}
    assert [float(shown[model][0]) for model in own] == [cell["score"] for cell in own.values()]
    chosen = shown["linear"]
    assert chosen[0] == one["choice"]
    assert float(chosen[1]) == own[one["choice"]]["score"]
    (expected,) = [
        row["quality"]
        for row in scores
        if (row["router"], row["part"], row["query"]) == ("linear", "test", one["query"])
        and row["model"] == one["choice"]
    ]
    assert float(chosen[3]) == pytest.approx(expected, rel=0.01)
    code, out, _ = main("show", run, "--query", name, "--point", "most-accurate")
    assert code == 0
    assert "at most-accurate, first seed" in out


def test_what_is_no_test_query(run: Path, main: Main) -> None:
    assert "--query q999: is no test query of this run" in check(
        *main("show", run, "--query", "q999")
    )
    tested = {row["query"] for row in pq.read_table(run / "decisions.parquet").to_pylist()}
    cells = pq.read_table(run / "cells.parquet").to_pylist()
    trained = next(cell["query_id"] for cell in cells if cell["query"] not in tested)
    said = check(*main("show", run, "--query", trained))
    assert "it is in train or validation; --folds 5 tests every query" in said
    assert "of which query?" in check(*main("show", run, "--point", "within-1pp"))
