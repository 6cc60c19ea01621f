"""Does every number of a board follow from the files beside it? Checked offline.

Three ways: the code that made the board makes it again from the stored tables; plain loops make
the main numbers a second time; and costs are made again from tokens and prices.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board import run_folder
from routebench.board.read_run import Stored, read_run
from routebench.errors import DataError, RoutebenchError
from routebench.files import file_sha256
from routebench.schema import Leaderboard
from routebench.verify.independent import by_hand
from routebench.verify.recompute import leaves, rebuilt
from routebench.verify.regrade import regraded

RELATIVE, ABSOLUTE = 1e-9, 1e-12
MISSING = "is not there"
TOLD = (
    re.compile(r"schema_version|priced|encoder|resamples|objective\..*|files\..*"),
    re.compile(r"(environment|timing)[.\[].*"),
    re.compile(r"suite\.(name|source|measure|protocol|split|shown.*|notes.*)"),
    re.compile(r"fingerprints\.(suite|outcomes|judge)"),
    re.compile(r"diagnostics\.(leaked|removed|cost_basis\.(estimated|assumed))"),
    re.compile(r"rows\[.*\]\.(plugin|distribution|version|options.*|fingerprint|router|facts.*)"),
)
"""Paths of what no stored table can tell."""
TEXTS = "fingerprints of suite, outcomes and judge, and leaks: texts are not stored (--regrade)"
GRADES = "grades: answers are not stored, only their hashes (--regrade)"
UNTOLD = (
    "timing and environment: measured, not made",
    TEXTS,
    GRADES,
    "messages and warnings of jobs, facts, options and versions of plugins",
)
_KINDS = (
    ("metrics", r"rows\[.*?\]\.metrics\."),
    ("differences", r"rows\[.*?\]\.against[.\[]"),
    ("usage", r"rows\[.*?\]\.usage"),
    ("tasks, topics, users", r"rows\[.*?\]\.by_"),
    ("curves and operating points", r"rows\[.*?\]\.(curve|operating_points)"),
    ("ranks and seeds", r"rows"),
    ("references", r"references\."),
    ("diagnostics", r""),
)


@dataclass(frozen=True)
class Difference:
    """One value that does not follow from the files."""

    path: str
    board: Any
    found: Any
    how: str = "made again"


@dataclass
class Verdict:
    """What was checked, and what differs."""

    checked: Counter[str] = field(default_factory=Counter)
    """Values by kind."""
    differences: list[tuple[str, Difference]] = field(default_factory=list)
    """With their kind."""
    untold: list[str] = field(default_factory=lambda: list(UNTOLD))
    """What cannot be made again from the run folder."""

    def note(self, kind: str, path: str, board: Any, found: Any, how: str = "made again") -> None:
        """Count a value, and keep it where it differs."""
        self.checked[kind] += 1
        if not alike(board, found):
            self.differences.append((kind, Difference(path, board, found, how)))


def verify(path: Path, regrade: bool = False) -> Verdict:
    """Check a run folder; with `regrade` also against its suite, loaded and graded again.

    Raises `DataError` where there is no run, or tables are missing.
    """
    board = run_folder.read(path)
    folder = path if path.is_dir() else path.parent
    verdict = Verdict()
    _hashes(verdict, folder, board)
    try:
        run = read_run(path)
        _numbers(verdict, board, rebuilt(run))
        _by_hand(verdict, run)
        _costs(verdict, run)
        if regrade:
            _regrade(verdict, run)
    except Exception as error:
        # Whoever changed a file may have left it unreadable: that is a finding, not bad input.
        if not verdict.differences:
            raise
        reason = error.message if isinstance(error, RoutebenchError) else repr(error)
        what = Difference("board", "can be made again", f"it cannot: {reason}")
        verdict.differences.append(("diagnostics", what))
    return verdict


def alike(one: Any, other: Any) -> bool:
    """Equal; floats up to the rounding of another machine."""
    numbers = [isinstance(x, int | float) and not isinstance(x, bool) for x in (one, other)]
    if all(numbers):
        close = RELATIVE * max(abs(one), abs(other)) + ABSOLUTE
        return bool(abs(one - other) <= close)
    return type(one) is type(other) and bool(one == other)


def kind_of(path: str) -> str:
    """Which part of the board a path is of."""
    return next(kind for kind, pattern in _KINDS if re.match(pattern, path))


def _hashes(verdict: Verdict, folder: Path, board: Leaderboard) -> None:
    listed = dict(board.files)
    if run_file := board.environment.get("run_toml"):
        listed[run_folder.RUN_FILE] = run_file
    for name, digest in sorted(listed.items()):
        if not (folder / name).is_file():
            raise DataError(f"{folder}: {name} is not there", "verify needs the whole run folder")
        found = file_sha256(folder / name)
        verdict.note("files, by sha256", f"files[{name}]", digest, found, "sha256 of the file")


def _numbers(verdict: Verdict, board: Leaderboard, again: Leaderboard) -> None:
    stands, made = leaves(board), leaves(again)
    for path in [*stands, *(path for path in made if path not in stands)]:
        if any(told.fullmatch(path) for told in TOLD):
            continue
        old, new = stands.get(path, MISSING), made.get(path, MISSING)
        verdict.note(kind_of(path), path, old, new)


def _by_hand(verdict: Verdict, run: Stored) -> None:
    stands = leaves(run.board)
    for path, value in by_hand(run.folder, run.board).items():
        verdict.note(
            "again by plain loops", path, stands.get(path, MISSING), value, "by plain loops"
        )


def _regrade(verdict: Verdict, run: Stored) -> None:
    for path, stands, found in regraded(run):
        kind = "cells, loaded again" if path.startswith("cells") else "suite, loaded again"
        verdict.note(kind, path, stands, found, "loaded again")
    verdict.untold = [text for text in verdict.untold if text not in (TEXTS, GRADES)]


def _costs(verdict: Verdict, run: Stored) -> None:
    """Costs of cells, where they were made from prices."""
    data, kind = run.setup.data, "costs of answers"
    stands = data.outcomes.cost
    if run.prices is None or stands is None:
        if stands is not None:
            verdict.untold.append("costs of answers: recorded, not made from prices")
        return
    made = run.cost_at(run.prices)
    known = ~np.isnan(stands)
    if made is None:
        verdict.untold.append("costs of answers: their tokens are not stored")
        return
    verdict.checked[kind] += int(known.sum())
    far = np.abs(made - stands) > RELATIVE * np.abs(stands) + ABSOLUTE * 1e-6
    for row, model in np.argwhere(known & (far | np.isnan(made))):
        path = f"cells[{data.ids[row]}, {run.models[model]}].cost_usd"
        found = float(made[row, model])
        difference = Difference(path, float(stands[row, model]), found, "tokens × price")
        verdict.differences.append((kind, difference))
