"""Finished runs for tests that read run folders: real ones, with their jobs in this process."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import planted

from routebench import config, jobs, plan, run, worker
from routebench.jobs import Job, Result, Setup
from routebench.report.progress import Silent
from routebench.workers import Workers

Board = dict[str, Any]


def finish(folder: Path, **options: Any) -> Path:
    """Run a benchmark into a folder; routers are trained here, which is faster than apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "execute", _here)
        patch.setattr(Workers, "run", _described)
        chosen = config.make({"out": str(folder), "perturb": 8, **options})
        return run.run(chosen, Silent()).folder


def _described(
    workers: Workers, stage: str, place: Path, order: dict[str, Any], deadline: float | None
) -> dict[str, Any]:
    assert stage == "describe"
    return worker._STAGES[stage](order, place, io.StringIO())


def _here(
    entrants: list[plan.Entrant], setup: Setup, workers: Any, folder: Path, chosen: Any, watch: Any
) -> Iterator[tuple[Job, Result]]:
    ready = [entrant for entrant in entrants if entrant.state == "ready"]
    for job in plan.jobs(ready, chosen.seeds, len(setup.split.codes)):
        try:
            yield job, jobs.run_here(job, setup, lambda done, note="": None)
        except ValueError as error:
            yield job, Result("failed", f"fit: {error}")


def edit_board(folder: Path, change: Callable[[Board], None]) -> None:
    """Change the leaderboard as somebody with an editor would."""
    place = folder / "leaderboard.json"
    board = json.loads(place.read_text())
    change(board)
    place.write_text(json.dumps(board, indent=2, sort_keys=True))


def edit_table(
    folder: Path,
    name: str,
    change: Callable[[list[dict[str, Any]]], None],
    rehash: bool = True,
) -> None:
    """Change rows of a Parquet file, and by default the board's hash of it too."""
    table = pq.read_table(folder / name)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / name)
    if rehash:
        edit_hash(folder, name)


def edit_hash(folder: Path, name: str) -> None:
    """State a changed file's hash on the board: whoever tampers well does so."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    edit_board(folder, lambda board: board["files"].update({name: digest}))


SMALL = {"tfidf-svd": {"dimension": 8}}
"""Encoder options that make training a matter of milliseconds."""


def graded(n: int = 120, seed: int = 0) -> pa.Table:
    """Answers of four models for the exact judge to grade, with tokens; some calls failed."""
    table = planted(n, seed=seed)
    rng = np.random.default_rng(seed)
    right, rows = table["score"].to_numpy(), table.num_rows
    cities = np.array(["Paris", "Berlin", "Madrid", "Rome"], dtype=object)
    reference = np.repeat(cities[rng.integers(4, size=n)], 4)
    refuses = rng.random(rows) < 0.3
    response = np.where(right == 1, reference, np.where(refuses, "I don't know.", "Lisbon"))
    response[9::21] = None
    columns = {
        "reference": reference,
        "response": response,
        "input_tokens": rng.integers(5, 40, rows),
        "output_tokens": rng.integers(1, 90, rows),
    }
    table = table.drop_columns(["score"])
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values.tolist()))
    return table


def price_list(folder: Path, factor: float = 1.0) -> str:
    """Prices of models a, b, c, d; each dearer than the one before."""
    place = folder / f"prices-{factor}.toml"
    each = (
        f"[{m}]\ninput_usd_per_mtok = {factor * (1 + i)}\noutput_usd_per_mtok = {3.5 * i}\n"
        for i, m in enumerate("abcd")
    )
    place.write_text("".join(each))
    return str(place)


def put(folder: Path, table: pa.Table) -> str:
    """A suite of that table."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "outcomes.parquet")
    return f"table:{folder / 'outcomes.parquet'}"
