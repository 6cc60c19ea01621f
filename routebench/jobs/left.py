"""Check what a job's process leaves, as a stranger's file, before anything reads it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pyarrow as pa

from routebench.errors import PluginError
from routebench.jobs import arrow_io
from routebench.jobs.harness import check, considered_alike
from routebench.records import Decisions

_A_FILE, _A_QUERY, _A_CELL = 1 << 20, 1 << 13, 1 << 5
"""Bytes that decisions may take: in all, per query (reasons are texts), per query and model."""


def read_decisions(path: Path, queries: int, models: int) -> Decisions:
    """Return the decisions of a process on n queries and m models.

    Raises:
        PluginError: it left no regular file, too large a one, or decisions that break the contract.
    """
    most = _A_FILE + queries * (_A_QUERY + models * _A_CELL)
    size = _size_of_file(path)
    if size > most:
        raise PluginError(f"{path.name} has {size:,} bytes, expected {most:,} at most")
    try:
        decisions = arrow_io.read_decisions(path)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        text = " ".join(str(error).split())[:200]
        raise PluginError(f"{path.name} cannot be read: {text}") from error
    decisions = check(decisions, queries, models)
    considered_alike(decisions)
    return decisions


def only_files(checkpoint: Path) -> None:
    """Refuse links, sockets and pipes in a checkpoint: it must be whole wherever it is copied."""
    for folder, folders, names in os.walk(checkpoint):
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise PluginError(f"save left {name!r}, which is no regular file")


def _size_of_file(path: Path) -> int:
    try:
        about = path.lstat()
    except OSError as error:
        raise PluginError(f"left no {path.name}") from error
    if not stat.S_ISREG(about.st_mode):
        raise PluginError(f"{path.name} is no regular file")
    return about.st_size
