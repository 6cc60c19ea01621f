"""Make the board of a run out of its shards; no job runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from routebench import config as configs
from routebench.board import run_folder
from routebench.errors import DataError
from routebench.files import new_folder
from routebench.jobs import footprint
from routebench.jobs.finished import Finished, Result
from routebench.jobs.setup import Job
from routebench.pipeline import (
    Prepared,
    RunListener,
    WrittenRun,
    check,
    collected,
    opened,
    prepared,
    score,
)
from routebench.shards import record
from routebench.shards.record import ShardRecord


def merge(
    folders: Sequence[Path], out: str, listener: RunListener, fresh: bool = False
) -> WrittenRun:
    """Write the run that the shards are parts of to a folder of its own.

    The suite is loaded and the routers are described again, to be compared with what the shards
    say. Apart from environment and timing the board is that of the run in one piece.

    Raises:
        DataError: they are not the shards of one run, or data or routers here are not theirs.
    """
    started = time.time()
    shards = record.read_all(folders)
    place, first = next(iter(shards.items()))
    values = configs.read(place / run_folder.RUN_FILE)
    config = configs.make(values | {"out": out, "fresh": fresh})
    asked = check(config)
    with prepared(config, listener, timed=first.encoder) as ready:
        jobs = ready.planned.jobs(config)
        _check_same(first, ready, jobs, place)
        with opened(config, ready) as folder:
            listener.stage(f"reading {len(jobs)} jobs of {len(shards)} shards")
            results = collected(ready, config, _results(jobs, shards, folder))
            # They ran side by side.
            began = started - max(each.seconds for each in shards.values())
            return score(config, listener, ready, folder, results, asked, began)


def _check_same(record_: ShardRecord, ready: Prepared, jobs: Sequence[Job], place: Path) -> None:
    """Raise a `DataError` where the run made here is not the one that the shards are parts of."""
    here = record_.model_copy(
        update={
            "run": ready.planned.hash,
            "fingerprints": ready.planned.prints,
            "versions": footprint.versions(),
            "jobs": [job.id for job in jobs],
        }
    )
    if why := record.different(here, record_):
        raise DataError(
            f"{place}: made elsewhere from something else than is here: {why}",
            "merge where data, prices, routers and versions are those of the shards",
        )


def _results(
    jobs: Sequence[Job], shards: Mapping[Path, ShardRecord], out: Path
) -> Iterator[tuple[Job, Result]]:
    """Yield the results of all jobs, and copy what the shards keep of them."""
    folders = list(shards)
    for number, job in enumerate(jobs):
        folder = folders[number % len(folders)]
        kept = folder / run_folder.CHECKPOINTS
        failed = shards[folder].failed.get(job.id)
        if failed is not None:
            result: Result | None = Result("failed", failed.message, log=failed.log)
        else:
            result = Finished(kept).load(job)
        if result is None:
            at = f"{folder}: {job.label}, seed {job.seed}, fold {job.fold}"
            raise DataError(
                f"{at}: the result is missing or damaged",
                f"routebench run --shard {shards[folder].shard} with the same options makes it",
            )
        _copy(kept / job.path, out / run_folder.CHECKPOINTS / job.path)
        yield job, result


def _copy(source: Path, target: Path) -> None:
    if not source.is_dir() or source.resolve() == target.resolve():
        return
    shutil.rmtree(target, ignore_errors=True)
    with new_folder(target) as part:
        shutil.copytree(source, part, dirs_exist_ok=True)
