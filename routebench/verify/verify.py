"""Offline checks that every number of a board follows from the files beside it.

Three ways: the code that made the board makes it again from the stored tables; code that shares
nothing with it makes the main numbers a second time; and costs are made again from tokens and
prices.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board import checkpoint_points, run_folder
from routebench.board.read_run import Stored, read_run
from routebench.errors import DataError, RoutebenchError
from routebench.files import file_sha256
from routebench.schema import Leaderboard
from routebench.verify import signature, stated
from routebench.verify.independent import independent_values
from routebench.verify.recompute import leaves, recompute

RELATIVE, ABSOLUTE = 1e-9, 1e-12
MISSING = "is not there"
INDEPENDENT = "again, independently"
NOT_STORED = re.compile(
    r"schema_version|priced|encoder|resamples|objective\..*|files\..*"
    r"|(environment|timing)[.\[].*"
    r"|suite\.(name|source|measure|protocol|split|shown.*|training_only.*|notes.*)"
    r"|fingerprints\.(suite|outcomes|judge)"
    r"|diagnostics\.(leaked|removed|cost_basis\.(estimated|assumed))"
    r"|rows\[.*\]\.(plugin|distribution|version|options.*|fingerprint|router|facts.*|reference)"
)
"""Paths of what no stored table can tell."""
TEXTS = "fingerprints of suite, outcomes and judge, and leaks: texts are not stored (--regrade)"
GRADES = "grades: answers are not stored, only their hashes (--regrade)"
NOT_REMADE = (
    "timing and environment: measured, not made",
    TEXTS,
    GRADES,
    "messages and warnings of jobs, facts, options and versions of plugins",
)
DECISIONS = "decisions: the checkpoints were not asked again (--reroute)"
SIGNED = "signed files"
_KINDS = (
    ("metrics", r"rows\[.*?\]\.metrics\."),
    ("differences", r"rows\[.*?\]\.against[.\[]"),
    ("usage", r"rows\[.*?\]\.usage"),
    ("tasks, topics, users", r"rows\[.*?\]\.by_"),
    ("regret of the online run", r"rows\[.*?\]\.online\.|online\."),
    ("curves and operating points", r"rows\[.*?\]\.(?:curve|points|verdict)"),
    ("ranks and seeds", r"rows"),
    ("references", r"references\."),
    ("diagnostics", r""),
)
_KIND = re.compile("|".join(f"({pattern})" for _, pattern in _KINDS))


@dataclass(frozen=True)
class Mismatch:
    """One value that does not follow from the files."""

    path: str
    board: Any
    found: Any
    how: str = "made again"


@dataclass
class Verification:
    """The result of a verification: the values checked, and those that differ."""

    checked: Counter[str] = field(default_factory=Counter)
    """Values by kind."""
    mismatches: list[tuple[str, Mismatch]] = field(default_factory=list)
    """With their kind."""
    not_remade: list[str] = field(default_factory=lambda: list(NOT_REMADE))
    """What cannot be made again from the run folder."""

    def note(self, kind: str, path: str, board: Any, found: Any, how: str = "made again") -> None:
        """Count a value, and keep it where it differs."""
        self.checked[kind] += 1
        if not alike(board, found):
            self.mismatches.append((kind, Mismatch(path, board, found, how)))


def verify(
    path: Path,
    regrade: bool = False,
    reroute: bool = False,
    routers: Sequence[str] = (),
    key: Path | None = None,
) -> Verification:
    """Check a run folder; with `regrade` also against its suite, loaded and graded again.

    With `reroute` its checkpoints are asked again; `routers` name the files of those of files.
    With a public `key` the folder must be as it was signed.

    Raises `DataError` where there is no run, or tables are missing.
    """
    board = run_folder.read(path)
    if run_folder.schema_version(path) != board.schema_version:
        raise DataError(
            f"{path}: written by an older version, which chose operating points by other rules",
            "run it again with this version, or verify it with that one",
        )
    folder = path if path.is_dir() else path.parent
    result = Verification()
    if key is not None:
        _signed(result, folder, board, key)
    _hashes(result, folder, board)
    try:
        run = read_run(path, board=board)
        _stated(result, run)  # first: what is wrong there may keep the board from being made
        held = leaves(board)
        _numbers(result, held, leaves(recompute(run)))
        _independent(result, held, run)
        _costs(result, run)
        _checkpoints(result, run)
        if regrade:
            _regrade(result, run)
        if reroute:
            _reroute(result, run, routers)
        else:
            result.not_remade.append(DECISIONS)
    except Exception as error:
        # Whoever changed a file may have left it unreadable: that is a finding, not bad input.
        if not result.mismatches:
            raise
        reason = error.message if isinstance(error, RoutebenchError) else repr(error)
        what = Mismatch("board", "can be made again", f"it cannot: {reason}")
        result.mismatches.append(("diagnostics", what))
    return result


def alike(one: Any, other: Any) -> bool:
    """Return whether two values are equal; floats up to the rounding of another machine."""
    if type(one) is type(other) and one == other:
        return True
    numbers = [isinstance(x, int | float) and not isinstance(x, bool) for x in (one, other)]
    if all(numbers) and not (isinstance(one, int) and isinstance(other, int)):
        close = RELATIVE * max(abs(one), abs(other)) + ABSOLUTE
        return bool(abs(one - other) <= close)
    return False


def kind_of(path: str) -> str:
    """Return the part of the board that a path belongs to."""
    found = _KIND.match(path)
    assert found is not None
    assert found.lastindex is not None
    return _KINDS[found.lastindex - 1][0]


def _hashes(result: Verification, folder: Path, board: Leaderboard) -> None:
    listed = dict(board.files)
    if run_file := board.environment.get("run_toml"):
        listed[run_folder.RUN_FILE] = run_file
    for name, digest in sorted(listed.items()):
        if not (folder / name).is_file():
            raise DataError(f"{folder}: {name} is not there", "verify needs the whole run folder")
        found = file_sha256(folder / name)
        result.note("files, by sha256", f"files[{name}]", digest, found, "sha256 of the file")


def _numbers(result: Verification, stored: dict[str, Any], remade: dict[str, Any]) -> None:
    for path in [*stored, *(path for path in remade if path not in stored)]:
        if NOT_STORED.fullmatch(path):
            continue
        old, new = stored.get(path, MISSING), remade.get(path, MISSING)
        result.note(kind_of(path), path, old, new)


def _independent(result: Verification, stored: dict[str, Any], run: Stored) -> None:
    for path, value in independent_values(run.folder, run.board).items():
        result.note(INDEPENDENT, path, stored.get(path, MISSING), value, INDEPENDENT)


def _checkpoints(result: Verification, run: Stored) -> None:
    """Check the points in checkpoints, where there are any, against those of the board."""
    kind, some = "points in checkpoints", False
    for row, seed, fold, place in checkpoint_points.jobs(run.folder, run.board):
        some = True
        found = checkpoint_points.read(place.parent)
        expected = checkpoint_points.of_board(run.board, row, seed, fold)
        at = f"{row.router}, seed {seed}, fold {fold}"
        result.note(kind, f"points[{at}].models", list(expected.models), list(found.models))
        for name in dict.fromkeys([*expected.points, *found.points]):
            ours, theirs = (one.points.get(name, MISSING) for one in (expected, found))
            result.note(kind, f"points[{at}].{name}", ours, theirs, "in the checkpoint")
        for model, *usd in zip(expected.models, expected.cost, found.cost, strict=False):
            ours, theirs = (None if np.isnan(cost) else float(cost) for cost in usd)
            result.note(kind, f"points[{at}].cost[{model}]", ours, theirs, "in the checkpoint")
    if not some:
        result.not_remade.append("points in checkpoints: there are no checkpoints here")


def _stated(result: Verification, run: Stored) -> None:
    for path, ours, theirs, where in stated.stated_values(run):
        result.note("what else is stated", path, ours, theirs, where)
    if not stated.has_jobs(run.folder):
        result.not_remade.append(stated.NO_JOBS)


def _regrade(result: Verification, run: Stored) -> None:
    from routebench.verify.regrade import regrade_suite

    for path, stored, found in regrade_suite(run):
        kind = "cells, loaded again" if path.startswith("cells") else "suite, loaded again"
        result.note(kind, path, stored, found, "loaded again")
    result.not_remade = [text for text in result.not_remade if text not in (TEXTS, GRADES)]


def _signed(result: Verification, folder: Path, board: Leaderboard, key: Path) -> None:
    found = signature.check(folder, key)
    result.checked[SIGNED] += len(board.files) + 2 - len(found)
    for path, signed, now in found:
        result.note(SIGNED, path, signed, now, "in the folder")


def _reroute(result: Verification, run: Stored, routers: Sequence[str]) -> None:
    from routebench.verify import reroute as again

    for each in again.reroute(run, routers):
        if isinstance(each, str):
            result.not_remade.append(each)
            continue
        result.note("decisions, asked again", *each, "asked again")


def _costs(result: Verification, run: Stored) -> None:
    """Check the costs of cells that were computed from prices."""
    data, kind = run.setup.data, "costs of answers"
    stored = data.outcomes.cost
    if run.prices is None or stored is None:
        if stored is not None:
            result.not_remade.append("costs of answers: recorded, not made from prices")
        return
    remade = run.cost_at(run.prices)
    known = ~np.isnan(stored)
    if remade is None:
        result.not_remade.append("costs of answers: their tokens are not stored")
        return
    result.checked[kind] += int(known.sum())
    far = np.abs(remade - stored) > RELATIVE * np.abs(stored) + ABSOLUTE * 1e-6
    for row, model in np.argwhere(known & (far | np.isnan(remade))):
        path = f"cells[{data.ids[row]}, {run.models[model]}].cost_usd"
        found = float(remade[row, model])
        mismatch = Mismatch(path, float(stored[row, model]), found, "tokens × price")
        result.mismatches.append((kind, mismatch))
