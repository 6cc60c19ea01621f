"""The default location of collected answers."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".sqlite"


def data_folder() -> Path:
    """Return `$ROUTEBENCH_DATA`, or `~/.local/share/routebench`; it need not exist."""
    given = os.environ.get("ROUTEBENCH_DATA")
    return (Path(given) if given else Path.home() / ".local" / "share" / "routebench").absolute()


def default_store(suite: str) -> Path:
    """Return the default path of the store for a suite; it need not exist."""
    return data_folder() / f"{suite}{SUFFIX}"


def store_files(path: Path) -> tuple[Path, ...]:
    """Return the store and what SQLite keeps beside it while it is open: all hold answers."""
    path = path.resolve()
    return (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"))
