"""Jobs in processes: two of their own each, the second without any table."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import Any

from routebench.errors import RoutebenchError
from routebench.isolation.messages import (
    Access,
    Failed,
    FitReply,
    FitRequest,
    Reply,
    RouteReply,
    RouteRequest,
)
from routebench.isolation.subprocesses import OnProgress, Workers, printed
from routebench.jobs import arrow_io
from routebench.jobs.finished import Finished, Result
from routebench.jobs.fits import SharedFits
from routebench.jobs.setup import Job, Setup
from routebench.plugin import discovery


class LongestFirst:
    """Jobs in the order to start them: else the longest could run alone at the end.

    What a router's first job took is what its others are taken to take. Until then it is what the
    router says; one that does not say comes first, to be known.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = list(jobs)
        self._measured: dict[str, float] = {}
        self._lock = threading.Lock()

    def next(self) -> Job:
        """Return the longest job that was not returned before; of equals the first given."""
        with self._lock:
            job = max(self._jobs, key=self._seconds)
            self._jobs.remove(job)
        return job

    def ended(self, job: Job, seconds: float) -> None:
        """Take note of how long a job took."""
        with self._lock:
            self._measured.setdefault(job.label, seconds)

    def _seconds(self, job: Job) -> float:
        if job.label in self._measured:
            return self._measured[job.label]
        return inf if job.effort is None else job.effort


class Processes:
    """Runs jobs, `count` at a time; each is kept by `finished` as soon as it ends."""

    def __init__(self, setup: Setup, finished: Finished, workers: Workers, count: int) -> None:
        self.setup = setup
        self.finished = finished
        self.workers = workers
        self.count = count
        self.fits = SharedFits(setup, workers)

    def run(
        self, jobs: Sequence[Job], progress: Callable[[Job, float, str], None]
    ) -> Generator[tuple[Job, Result], None, None]:
        """Yield every job with its result, in order of completion. Leaving early kills the rest."""
        executor = ThreadPoolExecutor(self.count)
        queue = LongestFirst(jobs)

        def run_next() -> tuple[Job, Result]:
            job, start = queue.next(), time.monotonic()
            result = self._run_one(job, progress)
            queue.ended(job, time.monotonic() - start)
            return job, result

        pending = {executor.submit(run_next) for _ in jobs}
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            self.workers.stop()
            executor.shutdown(cancel_futures=True)

    def _run_one(self, job: Job, progress: Callable[[Job, float, str], None]) -> Result:
        with tempfile.TemporaryDirectory(
            prefix="job-", dir=self.workers.scratch, ignore_cleanup_errors=True
        ) as folder:
            place, notes = Path(folder), [""]

            def on_progress(done: float, note: str) -> None:
                notes.append(note or notes[-1])
                progress(job, done, note)

            try:
                result = replace(self._stages(job, place, on_progress), note=notes[-1])
            except Exception as error:
                # Files of a job are made by its router: errors in them fail its own row only.
                result = Result("failed", f"{type(error).__name__}: {error}")
            if not self.workers.stopped:
                checkpoint = place / "route" / "checkpoint"
                self.finished.save(job, result, checkpoint if result.state == "ok" else None)
        return result

    def _stages(self, job: Job, place: Path, progress: OnProgress) -> Result:
        timeout = self.setup.timeout
        deadline = time.monotonic() + timeout if timeout else None
        train, validation = self.setup.tables(job.fold, job.personal)
        fit, route = place / "fit", place / "route"
        fit.mkdir()
        arrow_io.write_table(fit / "train.arrow", train)
        arrow_io.write_table(fit / "validation.arrow", validation)
        encoded = self.setup.encoded
        if encoded is not None:
            known = [*train.queries.text, *validation.queries.text]
            encoded.write(fit / "vectors", known)
        kept = str(self.finished.begun(job))
        request = FitRequest(
            label=job.label,
            plugin=job.plugin,
            options=job.options,
            seed=job.seed,
            encoder=self.setup.encoder,
            encoder_options=self.setup.encoder_options,
            encoded=None if encoded is None else encoded.facts,
            device=self.setup.device,
            objective=asdict(self.setup.objective),
            kept=kept,
            extensions=dict(job.extensions),
            training_only=sorted(self.setup.data.training_only),
        )
        libraries = self.setup.libraries(job)
        access = Access(discovery.answer_modules(job.plugin), job.starts_processes)
        given = self.fits.given(list(train.queries.text), place / "given")
        fit_report = self.workers.run(
            request,
            fit,
            replace(access, kept=kept, given=str(given.folder)),
            deadline,
            progress,
            libraries,
            given,
        )
        fitted = fit_report.reply
        if not isinstance(fitted, FitReply):
            return self._failure("fit", fitted)
        before = printed(fit.with_suffix(".log"))
        only_files(fit / "checkpoint")
        route.mkdir()
        (fit / "checkpoint").rename(route / "checkpoint")
        # The training tables are gone before the process that routes exists.
        shutil.rmtree(fit)
        batch = self.setup.query_batch(job)
        arrow_io.write_queries(route / "queries.arrow", batch.queries)
        if encoded is not None:
            encoded.write(route / "vectors", list(batch.queries.text))
        models = list(train.pool.models)
        route_report = self.workers.run(
            RouteRequest(job.label, job.plugin, job.options, models, dict(job.extensions)),
            route,
            access,
            deadline,
            libraries=libraries,
        )
        routed = route_report.reply
        if not isinstance(routed, RouteReply):
            failed = self._failure("route", routed)
            return replace(failed, log=failed.log + before)
        only_files(route / "checkpoint")
        parts = batch.parts(arrow_io.read_decisions(route / "decisions.arrow"))
        return Result(
            "ok",
            decisions=parts.test,
            validation=parts.validation,
            perturbed=parts.perturbed,
            timing=_timing(fitted.timing, routed.timing)
            | {"encodes": encoded is not None and routed.encoded},
            warnings=tuple(
                dict.fromkeys([*given.warnings, *fit_report.warnings, *route_report.warnings])
            ),
            isolation=route_report.isolation,
            facts=fitted.facts | routed.facts,
        )

    def _failure(self, stage: str, reply: Reply) -> Result:
        if not isinstance(reply, Failed):
            return Result("failed", f"{stage}: answered with {type(reply).__name__}")
        if reply.timed_out:
            limit = f"{stage}: no end after {self.setup.timeout:g} s (--job-timeout)"
            return Result("failed", limit, log=reply.log)
        return Result("failed", reply.reason, log=reply.log)


def _timing(fitted: dict[str, Any], routed: dict[str, Any]) -> dict[str, Any]:
    """Return the timing of both stages combined; of memory the higher peak."""
    both = fitted | routed
    peaks = {name for name in both if name.startswith("peak")}
    return both | {name: max(fitted.get(name, 0), routed.get(name, 0)) for name in peaks}


def only_files(checkpoint: Path) -> None:
    """Refuse links, sockets and pipes in a checkpoint: it must be whole wherever it is copied."""
    for folder, folders, names in os.walk(checkpoint):
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise RoutebenchError(f"save left {name!r}, which is no regular file")
