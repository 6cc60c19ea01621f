"""The operating points in a checkpoint: what a trained router needs to decide as the run did."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board.run_folder import CHECKPOINTS
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.files import replace_file
from routebench.metrics.points.point import MOST_ACCURATE, Point
from routebench.metrics.points.sweep import decide
from routebench.records import Floats, Ints
from routebench.schema import Leaderboard, Row

FILE = "points.json"
RULE = "argmax of quality - lambda * cost; ties go to the cheaper model, then to the first by name"
_VERSION = 1
_AGAIN = "run the same command again: finished jobs are not repeated"


@dataclass(frozen=True)
class CheckpointPoints:
    """The points of one seed and fold."""

    models: tuple[str, ...]
    cost: Floats
    """[m] USD per call, mean over the fold's training queries; NaN where unknown."""
    points: dict[str, float | str | None]
    """By name: λ in score per USD, or the model that stands in; None: the router's own choice."""

    def named(self, point: str) -> float | str | None:
        """Return what a point needs; an `OptionError` names those there are for another one."""
        if point not in self.points:
            hint = did_you_mean(point, self.points) if len(self.points) > 4 else ""
            known = ", ".join(self.points)
            raise OptionError(
                f"--point {point}: the router has {known}",
                hint or _how_to_get(point),
            )
        return self.points[point]

    def name_of(self, point: str) -> str:
        """Return a point's name as boards write it, for `within-1pp` in any of its forms.

        An `OptionError` names those there are for one that is not there.
        """
        with contextlib.suppress(OptionError):
            point = Point.parse(point).name
        self.named(point)
        return point

    def fixed(self, point: str, n: int) -> Ints | None:
        """Return [n] the model that stands in at a point; None where the router is asked."""
        setting = self.named(point)
        if not isinstance(setting, str):
            return None
        return np.full(n, self.models.index(setting), dtype=np.int64)

    def choose(self, point: str, quality: Floats) -> Ints | None:
        """Return [n] the choice at a point by expected quality [n, m]; None: the router's own."""
        setting = self.named(point)
        if setting is None:
            return None
        assert not isinstance(setting, str)
        return decide(quality, self.cost, setting)

    def to_json(self) -> str:
        """Return the content of the file."""
        known = np.isfinite(self.cost)
        values = {
            "version": _VERSION,
            "rule": RULE,
            "models": list(self.models),
            "cost_usd": [float(c) if ok else None for c, ok in zip(self.cost, known, strict=True)],
            "points": {name: _setting(value) for name, value in self.points.items()},
        }
        return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _how_to_get(point: str) -> str:
    """Return how a run gets a point; what is none is no point of any run."""
    try:
        Point.parse(point)
    except OptionError:
        return "name one of these"
    return f"run it again with --point {point}; finished jobs are not repeated"


def _setting(value: float | str | None) -> dict[str, float | str]:
    if value is None:
        return {"choice": "own"}
    return {"model": value} if isinstance(value, str) else {"lambda": value}


def of_board(board: Leaderboard, row: Row, seed: int, fold: int) -> CheckpointPoints:
    """Return the points of one seed and fold of a row."""
    facts = board.diagnostics.folds[fold]
    at = row.seeds.index(seed) * board.suite.folds + fold
    cost = facts.mean_cost or {}
    points: dict[str, float | str | None] = {MOST_ACCURATE.name: None}
    for name, one in row.points.items():
        if one.lambdas:
            slope = one.lambdas[at]
            points[name] = facts.best_single if slope is None else slope
    models = tuple(board.suite.models)
    known = [cost.get(model) for model in models]
    return CheckpointPoints(
        models, np.array([np.nan if c is None else c for c in known], dtype=np.float64), points
    )


def jobs(folder: Path, board: Leaderboard) -> Iterator[tuple[Row, int, int, Path]]:
    """Yield the rows that ended well with seed, fold and file, as far as checkpoints are there."""
    for row in board.rows:
        # One that decides alike for all seeds was trained for the first.
        for seed in row.seeds[:1] if row.deterministic else row.seeds:
            for fold in range(board.suite.folds):
                job = folder / CHECKPOINTS / row.router / f"seed-{seed}" / f"fold-{fold}"
                if row.state == "ok" and (job / "checkpoint").is_dir():
                    yield row, seed, fold, job / "checkpoint" / FILE


def write(folder: Path, board: Leaderboard) -> None:
    """Write the points into every checkpoint of a run."""
    for row, seed, fold, place in jobs(folder, board):
        replace_file(place, of_board(board, row, seed, fold).to_json().encode())


def read(checkpoint: Path) -> CheckpointPoints:
    """Read the points of a checkpoint; a `DataError` where it has none or they are damaged."""
    place = checkpoint / FILE
    try:
        values: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        cost = [np.nan if c is None else float(c) for c in values["cost_usd"]]
        points = {str(name): _read_setting(one) for name, one in values["points"].items()}
        models = tuple(map(str, values["models"]))
    except FileNotFoundError:
        raise DataError(f"{place}: this checkpoint has no points", _AGAIN) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{place}: damaged: {error!r}", _AGAIN) from error
    unknown = [name for name in points.values() if isinstance(name, str) and name not in models]
    if unknown or len(cost) != len(models):
        raise DataError(f"{place}: damaged: models and points do not fit", _AGAIN)
    return CheckpointPoints(models, np.array(cost, dtype=np.float64), points)


def _read_setting(one: dict[str, Any]) -> float | str | None:
    if "model" in one:
        return str(one["model"])
    return float(one["lambda"]) if "lambda" in one else None
