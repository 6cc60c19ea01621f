"""Tell what a run would do, without doing it: its jobs, their length, and what is skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from routebench.board import find_runs, run_folder
from routebench.config import RunConfig
from routebench.data.splits import TEST, TRAIN, VALIDATION
from routebench.errors import DataError
from routebench.isolation.scratch import scratch_folder
from routebench.isolation.subprocesses import default_workers, warm_workers
from routebench.jobs.expected import TimeLeft
from routebench.jobs.finished import Finished
from routebench.jobs.setup import Job
from routebench.pipeline import RunListener, RunPlan, check, make_plan
from routebench.plugin.extensions import Extensions
from routebench.schema import Leaderboard

_BOARDS = 20  # runs of the suite that are asked for timings, the newest first


@dataclass(frozen=True)
class PlannedRouter:
    """The jobs of one router, or why it has none."""

    router: str
    state: str
    """`ready`, `skipped` or `failed`."""
    message: str = ""
    jobs: int = 0
    finished: int = 0
    """Jobs that an earlier run has done, which are not repeated."""
    seconds: float | None = None
    """What one job is expected to take."""
    source: str | None = None
    """`measured`: in an earlier run of this suite; `stated`: by the router itself."""


@dataclass(frozen=True)
class DryRun:
    """The plan of a run."""

    suite: str
    folder: Path
    queries: dict[str, int]
    models: int
    folds: int
    seeds: int
    at_a_time: int
    routers: list[PlannedRouter]
    seconds: float | None
    """Until the last job has ended; None where nothing tells."""
    measured_in: Path | None
    notes: tuple[str, ...] = ()

    @property
    def jobs(self) -> int:
        return sum(each.jobs for each in self.routers)

    @property
    def finished(self) -> int:
        return sum(each.finished for each in self.routers)


def dry_run(config: RunConfig, listener: RunListener) -> DryRun:
    """Return what a run would do. Nothing is trained or written.

    Raises:
        RoutebenchError: for whatever would end the run before its first job.
    """
    check(config)
    with (
        scratch_folder() as scratch,
        warm_workers(scratch, config.isolation, config.device) as workers,
    ):
        planned = make_plan(config, listener, workers, Extensions(config.set, listener.note))
    folder = run_folder.place(config, planned.hash)
    options = {entrant.label: entrant.options for entrant in planned.entrants}
    run_folder.check_same(config, folder, planned.prints, options)
    jobs = planned.jobs(config)
    finished = Finished(folder / run_folder.CHECKPOINTS)
    done = [] if config.fresh else [job for job in jobs if finished.load(job) is not None]
    todo = [job for job in jobs if job not in done]
    at_a_time = config.jobs or default_workers(config.device)
    measured, place = _measured(config, planned)
    expected = TimeLeft(todo, at_a_time, measured)
    return DryRun(
        suite=config.suite_name,
        folder=folder,
        queries=_sizes(planned),
        models=len(planned.setup.data.pool),
        folds=len(planned.setup.split.codes),
        seeds=config.seeds,
        at_a_time=at_a_time,
        routers=_routers(planned, jobs, done, expected, measured),
        seconds=expected.left(),
        measured_in=place,
        notes=planned.setup.data.notes,
    )


def _sizes(planned: RunPlan) -> dict[str, int]:
    """Return the queries of each part: over all folds each is tested once."""
    split = planned.setup.split
    parts = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    first = {name: int((split.codes[0] == code).sum()) for name, code in parts.items()}
    return first | {"test": int((split.codes == TEST).sum())}


def _routers(
    planned: RunPlan,
    jobs: Sequence[Job],
    done: Sequence[Job],
    expected: TimeLeft,
    measured: Mapping[str, float],
) -> list[PlannedRouter]:
    found = []
    for entrant in planned.entrants:
        own = [job for job in jobs if job.label == entrant.label]
        seconds = expected.seconds(own[0]) if own else None
        stated = "stated" if own and own[0].effort is not None else None
        found.append(
            PlannedRouter(
                entrant.label,
                entrant.state,
                entrant.message,
                len(own),
                sum(job in done for job in own),
                seconds,
                "measured" if entrant.label in measured else stated,
            )
        )
    return found


def _measured(config: RunConfig, planned: RunPlan) -> tuple[dict[str, float], Path | None]:
    """Return the seconds of each router's jobs in earlier runs of the suite, and the newest run.

    They are scaled by the number of training queries.
    """
    folders = {run_folder.RESULTS / config.suite_name}
    if config.out:
        folders |= {Path(config.out), Path(config.out).parent}
    runs = [run for folder in sorted(folders) for run in find_runs.find(folder)]
    size = _sizes(planned)["train"]
    seconds: dict[str, float] = {}
    newest = None
    for run in dict.fromkeys(runs[:_BOARDS]):
        try:
            board = run_folder.read(run)
        except DataError:
            continue
        if board.suite.name != config.suite_name or not board.suite.queries.get("train"):
            continue
        took = _seconds(board)
        for label, each in took.items():
            seconds.setdefault(label, each * size / board.suite.queries["train"])
        newest = newest or (run if took else None)
    return seconds, newest


def _seconds(board: Leaderboard) -> dict[str, float]:
    """Return what one job of each router took: processor time, or fit and route where it waited."""
    found = {}
    for label, facts in board.timing.get("routers", {}).items():
        waited = facts.get("fit_seconds", 0.0) + facts.get("route_seconds", 0.0)
        found[label] = max(facts.get("cpu_seconds", 0.0), waited)
    return found
