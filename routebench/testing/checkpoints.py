"""Checks of save and load, and of the files a router writes."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np

from routebench.jobs.harness import Harness
from routebench.testing.learning import check_objects_share_nothing
from routebench.testing.rules import Check, check, expect
from routebench.testing.subject import Subject, ask

_PICKLE_SUFFIXES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill"}
_SAFETENSORS = "routebench.plugin.checkpoint.save(folder, meta, arrays) writes safetensors and JSON"


@check(after=check_objects_share_nothing)
def check_save_and_load(subject: Subject) -> None:
    """A new object that loads the checkpoint decides as the fitted one, without training data."""
    work = subject.folder()
    harness = subject.fit(subject.tables, work=work)
    before = ask(harness, subject.queries)
    folder = _saved(subject, harness.router)
    shutil.rmtree(work)
    router = subject.new()
    router.load(folder)
    after = ask(Harness(router), subject.queries)
    differing = int((before.choice != after.choice).sum())
    expect(
        differing == 0,
        "the same decisions after save and load into a new object",
        f"{differing} of {len(before.choice)} choices differ",
        "save everything that fit sets and route reads",
    )
    if before.quality is not None and after.quality is not None:
        distance = float(np.nanmax(np.abs(before.quality - after.quality), initial=0.0))
        expect(
            distance <= 1e-5,
            "the same predicted quality after save and load",
            f"it differs by up to {distance:.2g}",
        )


@check(after=check_save_and_load)
def check_missing_checkpoint(subject: Subject) -> None:
    """Loading from a folder without a checkpoint is an error, never an untrained router."""
    if not _files(_saved(subject, subject.fitted.router)):
        return  # a router that keeps nothing has nothing to miss
    try:
        subject.new().load(subject.folder())
    except Exception:
        return
    expect(
        False,
        "load() to raise an error for an empty folder",
        "no error",
        "routebench.plugin.checkpoint.load raises one",
    )


@check(after=check_save_and_load)
def check_no_pickle(subject: Subject) -> None:
    """The checkpoint holds nothing that runs code when it is read."""
    folder = _saved(subject, subject.fitted.router)
    found = pickles(folder)
    expect(not found, "a checkpoint without pickles", f"pickled: {', '.join(found)}", _SAFETENSORS)


@check(after=check_save_and_load)
def check_no_paths(subject: Subject) -> None:
    """The checkpoint names no folder of the job that made it: it is moved before it is used."""
    place = subject.folder()
    work = place / "work"
    work.mkdir()
    folder = place / "checkpoint"
    folder.mkdir()
    subject.fit(subject.tables, work=work).router.save(folder)
    found = [
        str(path.relative_to(folder))
        for path in _files(folder)
        if str(place).encode() in path.read_bytes()
    ]
    expect(
        not found,
        "a checkpoint without absolute paths of the job",
        f"the work or checkpoint folder is named in {', '.join(found)}",
        "copy what is needed into the checkpoint folder and store names relative to it",
    )


@check(after=check_save_and_load)
def check_writes(subject: Subject) -> None:
    """Files are written in context.work and the checkpoint folder only."""
    place = subject.folder()
    for name in ("current", "work", "checkpoint"):
        (place / name).mkdir()
    with chdir(place / "current"):
        harness = subject.fit(subject.tables, work=place / "work")
        ask(harness, subject.queries)
        harness.router.save(place / "checkpoint")
    allowed = {place / name for name in ("current", "work", "checkpoint")}
    written = [*(place / "current").iterdir(), *(set(place.iterdir()) - allowed)]
    names = ", ".join(sorted(str(path.relative_to(place)) for path in written))
    expect(
        not written,
        "no file outside context.work and the checkpoint folder",
        f"in or next to the working directory: {names}",
        "join every path to context.work; many libraries take a directory for their logs",
    )


def pickles(folder: Path) -> list[str]:
    """Return the files of a folder that run code when they are read."""
    return [str(path.relative_to(folder)) for path in _files(folder) if _is_pickle(path)]


def _saved(subject: Subject, router: Any) -> Path:
    """Save the router, move the folder, and return its new place."""
    first, second = subject.folder() / "written", subject.folder() / "moved"
    first.mkdir()
    router.save(first)
    shutil.move(first, second)
    return second


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _is_pickle(path: Path) -> bool:
    head = path.read_bytes()[:8]
    if path.suffix.lower() in _PICKLE_SUFFIXES or (head[:1] == b"\x80" and 2 <= head[1] <= 5):
        return True
    if head.startswith(b"\x93NUMPY"):
        return _holds_objects(path)
    if zipfile.is_zipfile(path):  # what torch.save writes, and .npz
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).suffix in _PICKLE_SUFFIXES for name in archive.namelist())
    return False


def _holds_objects(path: Path) -> bool:
    """Return whether a .npy file holds Python objects, which numpy pickles."""
    try:
        np.load(path, allow_pickle=False)
    except ValueError:
        return True
    return False


CHECKS: tuple[Check, ...] = (
    check_save_and_load,
    check_missing_checkpoint,
    check_no_pickle,
    check_no_paths,
    check_writes,
)
