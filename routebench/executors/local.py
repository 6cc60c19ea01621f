"""Run jobs in processes of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from routebench.executors.protocol import ExecutorContext
from routebench.isolation.subprocesses import default_workers
from routebench.jobs.finished import Result
from routebench.jobs.plan import LongestFirst
from routebench.jobs.runner import JobRunner
from routebench.jobs.setup import Job


class LocalExecutor:
    """Run jobs in processes of this machine, one per core at a time by default."""

    def __init__(self, context: ExecutorContext) -> None:
        self._context = context
        self._runner = JobRunner(context.setup, context.finished, context.workers)
        self._threads = ThreadPoolExecutor(
            context.at_a_time or default_workers(context.setup.device)
        )
        self._pending: set[Future[tuple[Job, Result]]] = set()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Begin to run the jobs."""
        queue = LongestFirst(jobs)
        self._pending |= {self._threads.submit(self._run_next, queue) for _ in jobs}

    def results(self) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, in order of completion."""
        for future in as_completed(self._pending):
            yield future.result()

    def cancel(self) -> None:
        """End all processes, and start no more."""
        self._context.workers.stop()
        self._threads.shutdown(cancel_futures=True)

    def _run_next(self, queue: LongestFirst) -> tuple[Job, Result]:
        job, start = queue.next(), time.monotonic()
        self._context.began(job)
        result = self._runner.run(job, lambda done, note: self._context.progress(job, done, note))
        queue.ended(job, time.monotonic() - start)
        return job, result
