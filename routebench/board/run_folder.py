"""The run folder: its place, its lock, and its board."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from routebench.config import RunConfig
from routebench.errors import DataError, OptionError
from routebench.files import lock_file
from routebench.schema import Leaderboard

BOARD, RUN_FILE, CHECKPOINTS, LOCK = "leaderboard.json", "run.toml", "routers", ".lock"
_RESULTS = Path("results")


@contextlib.contextmanager
def run_folder(config: RunConfig, run_hash: str) -> Iterator[Path]:
    """Make the folder of a run, and lock it against a second run of the same.

    Raises:
        OptionError: it cannot be written, is in use, or holds anything but a run.
    """
    folder = Path(config.out) if config.out else _RESULTS / config.suite_name / run_hash
    try:
        content = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if content and not content & {LOCK, BOARD}:
            raise OptionError(f"--out {folder}: not empty, and not a run folder", "name a new one")
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        hint = "name another with --out DIR"
        raise OptionError(f"cannot write to {folder}: {error.strerror or error}", hint) from error
    with lock:
        try:
            lock_file(lock)
        except OSError as error:
            raise OptionError(
                f"another run is writing to {folder}", "wait for it, or use --out"
            ) from error
        if config.fresh:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        yield folder


def protected(config: RunConfig, outcomes: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that routers must not read: outcomes, and folders of this or other runs."""
    results = [_RESULTS.resolve(), *([Path(config.out).resolve()] if config.out else [])]
    routers = [Path(name.rpartition(":")[0]) for name in config.router if ".py:" in name]
    near = {path.resolve().parent for path in (*results, *routers, *outcomes)} | {Path.cwd()}
    runs = {board.parent for folder in near for board in folder.glob(f"*/{BOARD}")}
    return (*outcomes, *results, *sorted(runs))


def to_json(board: Leaderboard) -> str:
    """Return the content of the board's file."""
    values = board.model_dump(mode="json", exclude_none=False)
    return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read(path: Path) -> Leaderboard:
    """Read the board of a run folder, or of a `leaderboard.json`.

    Raises:
        DataError: there is none.
    """
    place = path / BOARD if path.is_dir() else path
    try:
        return Leaderboard.model_validate_json(place.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "name a run folder, or its leaderboard.json"
        raise DataError(f"{place}: {error.strerror or error}", hint) from error
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()
        raise DataError(f"{place}: not a leaderboard: {' '.join(first[1:3]).strip()}") from error
