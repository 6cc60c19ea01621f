"""How long jobs are expected to take: measured where one of the router has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from routebench.jobs.setup import Job


class TimeLeft:
    """Seconds until all jobs have ended, as far as can be told.

    A router's job takes what its others took. Until one has ended it takes what the router says,
    by the ratio of measured to said of the others; one that says nothing takes their mean.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        at_a_time: int,
        measured: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = list(jobs)
        self._at_a_time = max(at_a_time, 1)
        self._measured = {label: [seconds] for label, seconds in (measured or {}).items()}
        self._said = {job.label: job.effort for job in jobs if job.effort is not None}
        self._clock = clock
        self._began: dict[Job, float] = {}

    def began(self, job: Job) -> None:
        """Take note that a job has begun."""
        self._began[job] = self._clock()

    def ended(self, job: Job) -> None:
        """Take note that a job has ended."""
        if job in self._open:
            self._open.remove(job)
        if (began := self._began.pop(job, None)) is not None:
            self._measured.setdefault(job.label, []).append(self._clock() - began)

    @property
    def running(self) -> list[Job]:
        """Return the jobs that have begun and not ended, the oldest first."""
        return list(self._began)

    def seconds(self, job: Job) -> float | None:
        """Return what one job is expected to take; None where nothing tells."""
        if known := self._measured.get(job.label):
            return sum(known) / len(known)
        if job.effort is not None:
            return job.effort * self._ratio()
        known = [sum(each) / len(each) for each in self._measured.values()]
        return sum(known) / len(known) if known else None

    def left(self) -> float | None:
        """Return the seconds until the last job has ended; None where nothing tells."""
        now, each = self._clock(), []
        for job in self._open:
            expected = self.seconds(job)
            if expected is None:
                return None
            each.append(max(expected - (now - self._began.get(job, now)), 0.0))
        return max(sum(each) / self._at_a_time, max(each, default=0.0))

    def _ratio(self) -> float:
        """Return what jobs take for each second that their routers say."""
        both = [label for label in self._measured if self._said.get(label)]
        said = sum(self._said[label] for label in both)
        took = sum(sum(self._measured[n]) / len(self._measured[n]) for n in both)
        return took / said if said else 1.0


def about(seconds: float) -> str:
    """Return a duration in round words.

    >>> about(8), about(61), about(5000), about(9000)
    ('10 s', '2 min', '84 min', '2.5 h')
    """
    if seconds <= 60:
        return f"{max(-(-seconds // 10), 1) * 10:.0f} s"
    if seconds <= 90 * 60:
        return f"{-(-seconds // 60):.0f} min"
    return f"{seconds / 3600:.1f} h"
