"""Run one shard of the jobs of a run."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from routebench.board import run_folder
from routebench.config import RunConfig, dump
from routebench.files import replace_file
from routebench.jobs import footprint
from routebench.pipeline import RunListener, check, collected, execute, opened, prepared
from routebench.shards import record
from routebench.shards.record import FailedJob, ShardRecord


@dataclass(frozen=True)
class WrittenShard:
    """A finished shard."""

    record: ShardRecord
    folder: Path
    jobs: int
    """Those of the shard."""
    whole: Path
    """Where the run's board goes by default."""


def run_shard(config: RunConfig, listener: RunListener) -> WrittenShard:
    """Run a shard's jobs and write its folder; it has no board. Raises as `pipeline.run` does."""
    started = time.time()
    check(config)
    with prepared(config, listener) as ready, opened(config, ready) as folder:
        # Of an earlier run of this shard: until this one has ended there is no whole shard.
        (folder / record.FILE).unlink(missing_ok=True)
        planned, encoded = ready.planned, ready.setup.encoded
        unsharded = config.model_copy(update={"shard": None})
        jobs = planned.jobs(config)
        with closing(
            execute(jobs, ready.setup, ready.workers, folder, config, listener)
        ) as running:
            results = collected(ready, config, running)
        made = ShardRecord(
            shard=str(config.shard),
            run=planned.hash,
            fingerprints=planned.prints,
            versions=footprint.versions(),
            jobs=[job.id for job in planned.jobs(unsharded)],
            failed={
                job.id: FailedJob(message=result.message, log=result.log)
                for job, result in results.items()
                if result.state != "ok"
            },
            encoder={} if encoded is None else encoded.timing,
            seconds=round(time.time() - started, 3),
        )
        replace_file(folder / run_folder.RUN_FILE, dump(unsharded).encode())
        record.write(folder, made)
        run_folder.end(folder)
    return WrittenShard(made, folder, len(jobs), run_folder.place(unsharded, planned.hash))
