"""Find run folders: `latest`, an id, a folder with one run, and the list of all."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from routebench.board import run_folder
from routebench.board.run_folder import BOARD, CHECKPOINTS, RESULTS, UNFINISHED
from routebench.errors import DataError, OptionError
from routebench.redact import one_line

LATEST = "latest"
_NAMED = 5  # runs that a hint names


@dataclass(frozen=True)
class RunSummary:
    """A run folder in a line."""

    folder: Path
    state: str
    """`finished`, `interrupted` or `damaged`."""
    when: str
    """In UTC; of an interrupted run, when it was started last."""
    suite: str | None = None
    routers: tuple[str, ...] = ()
    headline: str | None = None
    """The board's, or how an interrupted run goes on, or why a damaged one cannot be read."""


def locate(path: Path) -> Path:
    """Return the run folder or board that a user names.

    `latest` is the newest run below `results`, `FOLDER/latest` below that folder; a folder that
    holds one run stands for it; an id names a run below `results`. Anything else stays as it is.

    Raises:
        OptionError: there is no run, or the folder holds several.
    """
    if _is_run(path) or path.is_file():
        return path
    if path.is_dir():
        runs = find(path)
        if len(runs) > 1:
            names = ", ".join(str(run.relative_to(path)) for run in runs[:_NAMED])
            more = ", …" if len(runs) > _NAMED else ""
            raise OptionError(
                f"{path}: holds {len(runs)} runs: name one of them",
                f"{path / LATEST} is the newest; there are {names}{more}",
            )
        return runs[0] if runs else path
    if path.name == LATEST:
        folder = path.parent if len(path.parts) > 1 else RESULTS
        runs = find(folder)
        if not runs:
            raise OptionError(
                f"{path}: there is no run below {folder}", "routebench run --suite simpleqa"
            )
        return runs[0]
    if len(path.parts) == 1 and not path.suffix:
        same = [run for run in find(RESULTS) if run.name == path.name]
        return same[0] if len(same) == 1 else path
    return path


def find(folder: Path) -> list[Path]:
    """Return the run folders at or below a folder, the newest first."""
    return sorted(_runs(folder), key=lambda run: (-_changed(run), str(run)))


def summary(folder: Path) -> RunSummary:
    """Return a run in a line, finished or not."""
    when = datetime.fromtimestamp(_changed(folder), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not (folder / BOARD).is_file():
        return _interrupted(folder, when)
    try:
        board = run_folder.read(folder)
    except DataError as error:
        return RunSummary(folder, "damaged", when, headline=error.message)
    rows = tuple(row.router for row in board.rows if row.state != "skipped")
    return RunSummary(
        folder,
        "finished",
        str(board.environment.get("finished") or when),
        " ".join([board.suite.name, *(Path(f).name for f in board.environment.get("data", []))]),
        rows,
        board.headline if board.valid else f"INVALID: {board.invalid_reason}",
    )


def _interrupted(folder: Path, when: str) -> RunSummary:
    try:
        run_folder.check_finished(folder)
    except DataError as error:
        words = error.message.rpartition(": ")[2]
        said = f"{words}; to go on: {error.hint}"
    else:
        said = "the run has not begun its jobs"
    try:
        values = tomllib.loads((folder / UNFINISHED).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        values = {}
    suite, routers = str(values.get("suite", "")), values.get("router", ())
    name, colon, file = suite.partition(":")
    shown = " ".join([name, Path(file).name]) if colon else name
    named = tuple(map(str, routers)) if isinstance(routers, list | tuple) else ()
    return RunSummary(folder, "interrupted", when, one_line(shown, 100) or None, named, said)


def _is_run(path: Path) -> bool:
    return (path / BOARD).is_file() or (path / UNFINISHED).is_file()


def _changed(run: Path) -> float:
    """Return when the board was written, or an unfinished run was begun last."""
    for name in (UNFINISHED, BOARD):
        try:
            return (run / name).stat().st_mtime
        except OSError:
            continue
    return 0.0


def _runs(folder: Path) -> Iterator[Path]:
    for place, names, files in os.walk(folder):
        if BOARD in files or UNFINISHED in files:
            yield Path(place)
            names.clear()
        names[:] = sorted(n for n in names if not n.startswith(".") and n != CHECKPOINTS)
