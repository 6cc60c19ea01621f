"""A finished run, and candidates made from it by deciding some queries otherwise."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from conftest import long_table
from runs import command

TEST = 1500
MODELS = 4
PRICES = (1.0, 2.0, 4.0, 8.0)
Strings = Any


def table(seed: int = 0) -> pa.Table:
    """Coin flips of four models, the dearer the better; each costs the same on every query."""
    rng = np.random.default_rng(seed)
    n = TEST + 300
    texts = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]
    score = rng.random((n, MODELS)) < [0.3, 0.4, 0.5, 0.6]
    split = np.where(np.arange(n) < TEST, "test", "train")
    made = long_table(score, texts, split=list(split))
    cost = np.tile(np.array(PRICES) / 1000, n)
    return made.append_column("cost_usd", pa.array(cost))


@cache
def baseline() -> Path:
    """The run folder, made once; copy it, never change it."""
    place = Path(mkdtemp(prefix="gate-"))
    pq.write_table(table(), place / "outcomes.parquet")
    run(place / "outcomes.parquet", place / "run", "best-single,random,random@other")
    return place / "run"


def run(outcomes: Path, out: Path, routers: str, *words: Any) -> Path:
    """Run the command on a table."""
    return run_suite(f"table:{outcomes}", out, routers, *words)


def run_suite(suite: str, out: Path, routers: str, *words: Any) -> Path:
    """Run the command on a suite."""
    command("run", "--quiet", "--perturb", 0, "--suite", suite, "--router", routers,
            "--out", out, *words)  # fmt: skip
    return out


def copied(target: Path, source: Path | None = None) -> Path:
    """The baseline in a folder of its own."""
    return Path(shutil.copytree(source or baseline(), target))


def decide(
    folder: Path, router: str, choose: Callable[[Strings, Strings, Strings], Strings]
) -> Path:
    """Replace a router's choices by what a function makes of choices and scores [n, m].

    The function gets the model names chosen [n], scores [n, m] and the models [m].
    """
    path = folder / "decisions.parquet"
    found = pq.read_table(path)
    choice = np.array(found["choice"].to_pylist(), dtype=object)
    own = np.array(found["router"].to_pylist(), dtype=object) == router
    queries = np.array(found["query"].to_pylist(), dtype=object)[own]
    scores, models = matrix(folder, queries)
    choice[own] = choose(choice[own], scores, models)
    at = found.column_names.index("choice")
    rewrite(path, found.set_column(at, "choice", pa.array(choice, pa.string())))
    return folder


def choices(folder: Path, router: str) -> Strings:
    """[n] model names in the order of the file, in which routers of a run agree."""
    found = pq.read_table(folder / "decisions.parquet").to_pydict()
    pairs = zip(found["router"], found["choice"], strict=True)
    return np.array([choice for name, choice in pairs if name == router], dtype=object)


def matrix(folder: Path, queries: Strings) -> tuple[Strings, Strings]:
    """Scores [n, m] of queries, and the models."""
    cells = pq.read_table(folder / "cells.parquet").to_pydict()
    models = np.array(sorted(set(cells["model"])), dtype=object)
    rows = {query: i for i, query in enumerate(queries)}
    scores = np.full((len(queries), len(models)), np.nan)
    column = {model: j for j, model in enumerate(models)}
    for query, model, score in zip(cells["query"], cells["model"], cells["score"], strict=True):
        if query in rows:
            scores[rows[query], column[model]] = score
    return scores, models


def flip(losses: int, gains: int) -> Callable[..., Strings]:
    """Move so many right decisions to a wrong model and so many wrong ones to a right model."""

    def choose(choice: Strings, scores: Strings, models: Strings) -> Strings:
        column = np.searchsorted(models.astype(str), choice.astype(str))
        rows = np.arange(len(choice))
        right = scores[rows, column] == 1
        changed = choice.copy()
        for wanted, count, of in ((0, losses, right), (1, gains, ~right)):
            can = np.flatnonzero(of & (scores == wanted).any(axis=1))[:count]
            assert len(can) == count
            changed[can] = models[(scores[can] == wanted).argmax(axis=1)]
        return changed

    return choose


def rewrite(path: Path, content: pa.Table) -> None:
    """Write a table of a run, and its sha256 into the board."""
    pq.write_table(content, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(path.parent, lambda board: board["files"].update({path.name: sha256}))


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change the board's JSON in place."""
    path = folder / "leaderboard.json"
    board = json.loads(path.read_text())
    change(board)
    path.write_text(json.dumps(board))
    return folder


def lose_cells(folder: Path, model: str, share: int) -> Path:
    """Every so manieth answer of a model failed."""
    path = folder / "cells.parquet"
    cells = pq.read_table(path)
    rows = np.arange(len(cells))
    lost = pa.array((rows // MODELS) % share == 0)
    lost = pc.and_(lost, pc.equal(cells["model"].cast(pa.string()).combine_chunks(), model))
    state = pc.if_else(lost, "failed", cells["state"].cast(pa.string()).combine_chunks())
    score = pc.if_else(lost, pa.scalar(None, pa.float64()), cells["score"].combine_chunks())
    for name, values in (("state", state), ("score", score)):
        cells = cells.set_column(cells.column_names.index(name), name, values)
    rewrite(path, cells)
    return folder


def rules(tmp_path: Path, text: str) -> Path:
    """A rules file."""
    path = tmp_path / "gate.toml"
    path.write_text(text)
    return path


def verdicts(out: str) -> dict[tuple[str, str], str]:
    """By router and metric, as the table says it."""
    rows = [line.split() for line in out.splitlines()]
    known = ("PASS", "REGRESSION", "INCONCLUSIVE", "MISSING")
    return {(row[0], row[1]): row[-1] for row in rows if row and row[-1] in known}
