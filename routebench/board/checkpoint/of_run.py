"""Find the checkpoint of a router in a run folder, and describe it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import routebench
from routebench import config, limits
from routebench.board import provenance, run_folder
from routebench.board.checkpoint import description
from routebench.board.checkpoint.description import CheckpointDescription, CheckpointResults
from routebench.board.read_tables import numbers, read_table, text
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.judge.finals import reader_of
from routebench.names import below
from routebench.plugin.renamed import current_name
from routebench.schema import Leaderboard, Row


@dataclass(frozen=True)
class RunCheckpoint:
    """A checkpoint in a run folder."""

    folder: Path
    board: Leaderboard
    row: Row
    seed: int
    fold: int
    place: Path
    """The job's folder: the checkpoint is in it."""
    header: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        return self.place / "checkpoint"

    @property
    def models(self) -> tuple[str, ...]:
        """Return the models that its router knows."""
        return tuple(read_json(self.checkpoint / description.HEADER)["models"])


def find(run: Path, label: str, seed: int = 0, fold: int = 0) -> RunCheckpoint:
    """Find the checkpoint that a run folder keeps of a router.

    Raises:
        DataError: no run, or no whole checkpoint of that router, seed and fold.
        OptionError: no router of that name ended well.
    """
    folder = run if run.is_dir() else run.parent
    return of_board(folder, run_folder.read(run), current_name(label), seed, fold)


def of_board(
    folder: Path, board: Leaderboard, label: str, seed: int = 0, fold: int = 0
) -> RunCheckpoint:
    """Find a router's checkpoint in the folder of a board that was read; raises as `find` does."""
    place = _place(folder, board, label, seed, fold)
    header = read_json(place / provenance.JOB)
    row = next(row for row in board.rows if row.router == label)
    # One job stands for all seeds of a deterministic router.
    seed = 0 if row.deterministic else seed
    provenance.check(place, header, row, seed, fold)
    return RunCheckpoint(folder, board, row, seed, fold, place, header)


def describe(found: RunCheckpoint) -> CheckpointDescription:
    """Return the description of a run's checkpoint; its files are not listed."""
    board, row, header = found.board, found.row, found.header
    suite, folds = board.suite, board.diagnostics.folds
    judge = reader_of(suite.notes)
    return CheckpointDescription(
        routebench=routebench.__version__,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        router=row.router,
        plugin=header["plugin"],
        code=header.get("code"),
        options=header["options"],
        extensions=header.get("extensions", {}),
        fingerprint=header.get("fingerprint"),
        seed=found.seed,
        fold=found.fold,
        steps=row.steps is not None,
        models=list(found.models),
        suite=suite.name,
        source=suite.source,
        measure=suite.measure,
        queries=suite.queries,
        inner_folds=0 if row.learning is None else row.learning.inner_folds,
        split=suite.split,
        shown=suite.shown,
        training_only=suite.training_only,
        fingerprints=board.fingerprints,
        encoder=board.encoder,
        priced=board.priced,
        facts=folds[found.fold] if folds else None,
        prices=_prices(found.folder),
        users=_users(found.folder, found.fold) if suite.users else {},
        tasks=sorted(row.by_task),
        answers_as=judge,
        answers_options=judge_options(found.folder, judge),
        points=sorted({"most-accurate", *row.points}),
        results=_results(found),
        notes=suite.notes,
    )


def judge_options(folder: Path, judge: str | None) -> dict[str, Any]:
    """Return the options that a judge had in a run."""
    place = folder / run_folder.RUN_FILE
    if judge is None or not place.is_file():
        return {}
    values: dict[str, Any] = config.read(place).get("set", {}).get(judge, {})
    return values


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that a job wrote."""
    try:
        header: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a finished job: {error}") from error
    if not isinstance(header, dict):
        raise DataError(f"{path}: not a finished job: it is no JSON object")
    return header


def _place(folder: Path, board: Leaderboard, label: str, seed: int, fold: int) -> Path:
    root = folder / run_folder.CHECKPOINTS
    known = {row.router: row for row in board.rows if row.state == "ok"}
    if label not in known:
        raise OptionError(f"{folder}: no router {label!r} ended well", did_you_mean(label, known))
    if known[label].deterministic and seed in known[label].seeds:
        seed = 0  # the one it was trained for
    own = below(root, label, "router")
    place = own / f"seed-{seed}" / f"fold-{fold}"
    if (place / "checkpoint" / description.HEADER).is_file():
        return place
    there = sorted(path.parent.relative_to(own) for path in own.glob("*/*/checkpoint"))
    listing = ", ".join(str(path).replace("/", " ").replace("-", " ") for path in there[:6])
    hint = f"there is {listing}" if there else "run it again: checkpoints are in its folder routers"
    raise DataError(f"{folder}: no checkpoint of {label}, seed {seed}, fold {fold}", hint)


def _prices(folder: Path) -> dict[str, dict[str, Any]]:
    place = folder / "prices.toml"
    if not place.is_file():
        return {}
    try:
        return limits.parse_toml(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{place}: cannot be read: {error}") from error


def _users(folder: Path, fold: int) -> dict[str, float]:
    """Return the weights of the users that a fold's training knows."""
    place = folder / "users.parquet"
    if not place.is_file():
        return {}
    table = read_table(place)
    names = text(table, "user", str(place)).texts()
    weights = numbers(table, "preference", str(place))
    held: list[list[int]] = [[]] * len(names)
    if "held_out_in" in table.column_names:
        held = table["held_out_in"].to_pylist()
    return {
        str(name): float(weight)
        for name, weight, folds in zip(names, weights, held, strict=True)
        if fold not in folds
    }


def _results(found: RunCheckpoint) -> CheckpointResults:
    board, row = found.board, found.row
    return CheckpointResults(
        of="this checkpoint",
        run=found.folder.resolve().name,
        n=board.suite.queries.get("test", 0),
        seeds=1 if row.deterministic else len(row.seeds),
        folds=board.suite.folds,
        metrics=row.metrics,
        point_metrics={name: one.metrics for name, one in row.points.items()},
        best_single=board.references.get("best_single", {}),
        verdict=row.verdict,
    )
