"""What an executor is: the class behind `--executor NAME`, under the entry points of that name.

A distribution adds one under the entry-point group `routebench.executors`, as `local` and `ray`
are. It is made with an `ExecutorContext`; a run then calls `submit` once, takes all of `results`,
and calls `cancel` however that ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from routebench.isolation.subprocesses import Workers
from routebench.jobs.finished import Finished, Result
from routebench.jobs.setup import Job, Setup


@dataclass(frozen=True)
class ExecutorContext:
    """What a run gives its executor."""

    setup: Setup
    """The data and settings of all jobs; it holds the outcomes of test queries."""
    finished: Finished
    """Where a job that ended well is kept before it is yielded: a run resumes from it alone."""
    workers: Workers
    """The processes of this machine."""
    at_a_time: int | None
    """`--jobs`; None leaves the number to the executor."""
    address: str
    """The text behind the colon of `--executor`; empty without one."""
    progress: Callable[[Job, float, str], None]
    """Call it with the share of a job that is done and a note, where that is known."""
    began: Callable[[Job], None]
    """Call it when a job begins."""


class Executor(Protocol):
    """Runs the jobs of a run.

    A job runs through `routebench.jobs.runner.JobRunner`, wherever that is: it confines the
    router, checks what its processes leave, and returns a failed `Result` for a router that fails.
    Whoever loses a machine or a process of its own runs the job again; no failed router is.
    """

    def __init__(self, context: ExecutorContext) -> None: ...

    def submit(self, jobs: Sequence[Job]) -> None:
        """Begin to run the jobs, the longest first as far as that is known."""

    def results(self) -> Iterator[tuple[Job, Result]]:
        """Yield every submitted job with its result, in order of completion."""

    def cancel(self) -> None:
        """End what still runs, and start no more; also called when all results are there."""
