"""What travels to another machine for the jobs of a fold, and the files that come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from routebench.data.splits import TRAIN, VALIDATION
from routebench.encode.encoded import Encoded
from routebench.errors import DataError
from routebench.jobs import footprint
from routebench.jobs.setup import Job, Setup
from routebench.plugin import discovery
from routebench.plugin.discovery import PluginInfo
from routebench.records import Outcomes, State

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Shipment:
    """The data and settings of all jobs of one fold, as another machine gets them."""

    key: str
    """Of equal shipments the same."""
    setup: Setup
    """The run's, with what these jobs do not need left out."""
    vectors: Files | None
    """The files of the run's vectors, where texts were encoded beforehand."""
    protected: tuple[str, ...]
    """Paths that no router may read, where the machines share a file system."""
    isolation: str


def kind(job: Job) -> tuple[int, bool]:
    """Return what a shipment depends on: the fold, and whether outcomes of test queries go along.

    They do for routers that see answers, or that learn from what comes of their choices.
    """
    return job.fold, job.steps or job.updates


def of_fold(setup: Setup, fold: int, tested: bool) -> Setup:
    """Return the setup for the jobs of a fold, without references and topics.

    With `tested` the outcomes of test queries go along: the run's side of a job sells answers, or
    reveals outcomes, where it runs. Without, what lies outside train and validation stays here.
    """
    data = setup.data
    shown = data.visible | data.training_only
    data = replace(data, queries=data.queries.show(shown), references=None, split=None, files=())
    if not tested:
        away = ~np.isin(setup.split.codes[fold], (TRAIN, VALIDATION))
        data = replace(
            data,
            outcomes=_without(data.outcomes, away),
            answers=None,
            finals=None,
            finish_reasons=None,
        )
    return replace(setup, data=data, encoded=setup.encoded and _elsewhere(setup.encoded))


def _elsewhere(encoded: Encoded) -> Encoded:
    return replace(encoded, store=Path())


def _without(outcomes: Outcomes, rows: Any) -> Outcomes:
    """Return the outcomes as if nobody had asked the given queries."""
    changed: dict[str, Any] = {}
    for f in fields(outcomes):
        if (value := getattr(outcomes, f.name)) is not None:
            empty: Any = np.nan if value.dtype.kind == "f" else -1
            changed[f.name] = value.copy()
            changed[f.name][rows] = State.ABSENT if f.name == "state" else empty
    return Outcomes(**changed)


def pack(folder: Path) -> Files:
    """Return the content of all files in a folder by their paths in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def unpack(files: Files, folder: Path) -> None:
    """Write packed files to a folder; a `DataError` for one that would lie outside of it."""
    for name, content in files.items():
        place = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{name!r} lies outside of its folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


_code = cache(discovery.code_hash)
_CORE = PluginInfo("executor", "local", "routebench.executors.local:LocalExecutor", None, None)


def environment(job: Job | None, encoder: str) -> dict[str, str]:
    """Return all that must be the same where a job runs: versions, and hashes of its code."""
    found = footprint.versions() | {"code of routebench": _code(_CORE)}
    plugin = discovery.find("encoder", encoder)
    found[f"code of the encoder {encoder}"] = _code(plugin)
    if job is not None:
        found[f"code of the router {job.label}"] = _code(job.plugin)
    return found
