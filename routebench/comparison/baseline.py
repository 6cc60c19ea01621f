"""Updating the baseline to a candidate: only on request, and never from an invalid gate."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from routebench.board import run_folder
from routebench.board.write_tables import NAMES
from routebench.comparison.schema import GateResult
from routebench.errors import DataError, OptionError


def update(baseline: Path, candidate: Path, result: GateResult) -> list[str]:
    """Copy the candidate's files over the baseline's; returns their names.

    All are copied beside the baseline first, so that a full disk changes nothing there; then
    each takes its place whole, the board last. Checkpoints are not copied.

    Raises:
        OptionError: where the two could not be compared, or are the same folder.
        DataError: where a file of the candidate is not the one its board was written with.
    """
    if result.verdict == "invalid":
        raise OptionError("--update-baseline: refused, the two runs cannot be compared")
    old, new = (path if path.is_dir() else path.parent for path in (baseline, candidate))
    if old.resolve() == new.resolve():
        raise OptionError("--update-baseline: the candidate is the baseline")
    names = [
        *run_folder.read(new).files,
        *([run_folder.RUN_FILE] if (new / run_folder.RUN_FILE).exists() else []),
    ]
    with tempfile.TemporaryDirectory(dir=old.parent, prefix=f".{old.name}-") as place:
        staged = Path(place)
        try:
            for name in (*names, run_folder.BOARD):
                shutil.copyfile(new / name, staged / name)
        except OSError as error:
            raise DataError(f"{new}: cannot be copied: {error}") from error
        for name in names:
            (staged / name).replace(old / name)
        for name in set(NAMES) - set(names):
            (old / name).unlink(missing_ok=True)
        (staged / run_folder.BOARD).replace(old / run_folder.BOARD)
    return [*names, run_folder.BOARD]
