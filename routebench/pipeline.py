"""One run, top to bottom: suite → split → fit and route → score → board."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from routebench.board import build, run_folder, write_run
from routebench.board.write_tables import TEXTS_KEPT
from routebench.config import RunConfig, dump
from routebench.data import users
from routebench.data.splits import make_split
from routebench.devices import check_device
from routebench.encode import precompute
from routebench.encode.encoded import Encoded, EncoderInfo
from routebench.executors.protocol import Executor, ExecutorContext
from routebench.identity import code, dependencies, fingerprints, run_hash
from routebench.isolation.scratch import scratch_folder
from routebench.isolation.subprocesses import Workers, default_workers, warm_workers
from routebench.jobs import plan
from routebench.jobs.entrant import Entrant
from routebench.jobs.finished import Finished, Result
from routebench.jobs.setup import Job, Setup
from routebench.loading import arriving_queries, inner_folds, load_data, with_finals
from routebench.metrics.points.asked import AskedPoints
from routebench.online.settings import StreamSettings
from routebench.plugin import discovery
from routebench.plugin.extensions import Extension, Extensions
from routebench.prices import listed
from routebench.prices.apply import PriceInfo, price
from routebench.records import Objective
from routebench.schema import Fingerprints, Leaderboard
from routebench.shard import Shard


class RunListener:
    """Receives the events of a run; this one ignores them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def stage(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def jobs(self, total: int, done: int, folder: Path) -> None: ...
    def planned(self, todo: Sequence[Job], at_a_time: int) -> None: ...
    def began(self, job: Job) -> None: ...
    def progress(self, job: Job, done: float, note: str) -> None: ...
    def ended(self, job: Job, result: Result) -> None: ...
    def interrupted(self, done: int) -> None: ...


@dataclass(frozen=True)
class WrittenRun:
    """The board and the folder of a finished run."""

    board: Leaderboard
    folder: Path


@dataclass(frozen=True)
class RunPlan:
    """What a run will do: its data, its routers and their jobs."""

    setup: Setup
    """Without vectors, which are made when the run begins."""
    prices: PriceInfo
    prints: Fingerprints
    encoder: EncoderInfo
    entrants: list[Entrant]
    around: Mapping[str, Extension]
    hash: str
    """Of all that decides the numbers: the name of the run's folder."""

    def jobs(self, config: RunConfig) -> list[Job]:
        """Return the jobs of all routers that are ready, or the shard's share of them."""
        ready = [entrant for entrant in self.entrants if entrant.state == "ready"]
        jobs = plan.jobs(ready, config.seeds, len(self.setup.split.codes), self.around)
        return jobs if config.shard is None else Shard.parse(config.shard).take(jobs)


@dataclass(frozen=True)
class Prepared:
    """A plan with its vectors and its processes: all that there is before the first job."""

    planned: RunPlan
    setup: Setup
    extensions: Extensions
    workers: Workers


def run(config: RunConfig, listener: RunListener) -> WrittenRun:
    """Run a benchmark and write its run folder. Raises `RoutebenchError` for unusable input."""
    started = time.time()
    asked = check(config)
    with prepared(config, listener) as ready, opened(config, ready) as folder:
        jobs = ready.planned.jobs(config)
        with closing(
            execute(jobs, ready.setup, ready.workers, folder, config, listener)
        ) as running:
            results = collected(ready, config, running)
        return score(config, listener, ready, folder, results, asked, started)


@contextmanager
def opened(config: RunConfig, ready: Prepared) -> Iterator[Path]:
    """Yield the locked folder of a run, or of its shard; an `OptionError` if it is another's."""
    with run_folder.run_folder(config, ready.planned.hash) as folder:
        options = {entrant.label: entrant.options for entrant in ready.planned.entrants}
        run_folder.check_same(config, folder, ready.planned.prints, options)
        yield folder


def collected(
    ready: Prepared, config: RunConfig, running: Iterable[tuple[Job, Result]]
) -> dict[Job, Result]:
    """Return the results of all jobs; observers hear of each."""
    tell = ready.extensions.tell
    tell("run_started", config=config.model_dump(mode="json"), data=ready.setup.data)
    results = {}
    for job, result in running:
        results[job] = result
        tell("job_finished", **about(job, result))
    return results


def score(
    config: RunConfig,
    listener: RunListener,
    ready: Prepared,
    folder: Path,
    results: Mapping[Job, Result],
    asked: AskedPoints,
    started: float,
) -> WrittenRun:
    """Score the results of all jobs, and write the run."""
    setup, planned, extensions = ready.setup, ready.planned, ready.extensions
    entrants, prices = planned.entrants, planned.prices
    listener.stage("scoring")
    results = plan.by_seed(results, config.seeds)
    scored = build.score(
        setup,
        entrants,
        results,
        against=config.against,
        asked=asked,
        lengths=prices.lengths,
    )
    board = build.board(config, setup, prices, planned.prints, entrants, results, scored)
    listener.stage("writing the board")
    board = write_run.write(
        folder, config, setup, prices, board, results, started, extensions.summary()
    )
    run_folder.end(folder)
    extensions.tell("run_finished", board=board.model_dump(mode="json"), folder=folder)
    return WrittenRun(board, folder)


@contextmanager
def prepared(
    config: RunConfig, listener: RunListener, timed: dict[str, Any] | None = None
) -> Iterator[Prepared]:
    """Start processes, make the plan, and encode the texts, unless that was `timed` elsewhere.

    Then there will be no job here, and the board states those seconds.
    """
    with (
        scratch_folder() as scratch,
        warm_workers(scratch, config.isolation, config.device) as workers,
    ):
        extensions = Extensions(config.set, listener.note)
        planned = make_plan(config, listener, workers, extensions)
        setup = planned.setup
        listener.stage(build.outlook(setup))
        if timed is None:
            encoded = encode(setup, planned.encoder, config, workers, listener)
        else:
            encoded = Encoded(planned.encoder, scratch, timed) if timed else None
        setup = replace(setup, encoded=encoded)
        yield Prepared(planned, setup, extensions, workers)


def check(config: RunConfig) -> AskedPoints:
    """Raise an error for what can be known to be wrong before anything is read.

    Returns the operating points that are asked for.
    """
    check_device(config.device)
    StreamSettings.of(config.online)
    executor_class(config)
    run_folder.check_place(config)
    listed.check_file(config.prices)
    return AskedPoints.of(config.point, config.margin)


def make_plan(
    config: RunConfig, listener: RunListener, workers: Workers, extensions: Extensions
) -> RunPlan:
    """Check the routers, load, price and split the data, and say what each router would do."""
    plan.check(config, workers)
    listener.stage("loading the suite")
    recorded = load_data(config, extensions)
    if arriving := arriving_queries(config, recorded, extensions):
        recorded = arriving.data
    price_list, price_notes = listed.for_run(config.prices, recorded)
    data, prices = price(recorded, price_list, config.assume_output_tokens)
    data = replace(data, notes=(*data.notes, *price_notes))
    listener.stage(f"splitting {len(data):,} queries and looking for duplicates")
    if arriving is None:
        split = make_split(
            data,
            config.split,
            config.folds,
            config.split_seed,
            data.shares,
            config.protocol,
            config.shots,
        )
        stream = None
    else:
        data, split, stream = arriving.stream(data, config.seeds)
    inner = inner_folds(config, data, split)
    prints = fingerprints(config, recorded, split, prices, extensions)
    data = replace(data, notes=(*data.notes, *users.short_of_shots(data, split, config.shots)))
    if config.keep_texts:
        data = replace(data, notes=(*data.notes, TEXTS_KEPT))
    workers.protect(run_folder.protected(config, data.files))
    encoder = plan.encoder(config, workers)
    around = extensions.around("fit", "refit", "route", "step", "update")
    shared = dependencies(config, data, prints, encoder, around)
    entrants = plan.entrants(config, data, shared | code(encoder, around), workers)
    if any(entrant.steps and entrant.state == "ready" for entrant in entrants):
        listener.stage("reading final answers")
        data = with_finals(config, data)
    setup = Setup(
        data,
        split,
        encoder.plugin.name,
        encoder.options,
        config.device,
        Objective(**config.objective),
        config.job_timeout,
        perturb=0 if encoder.by_id or stream else config.perturb,
        shots=config.shots,
        encoder_libraries=encoder.libraries,
        inner=inner,
        stream=stream,
    )
    return RunPlan(
        setup, prices, prints, encoder, entrants, around, run_hash(config, shared, entrants)
    )


def execute(
    jobs: Sequence[Job],
    setup: Setup,
    workers: Workers,
    folder: Path,
    config: RunConfig,
    listener: RunListener,
) -> Generator[tuple[Job, Result], None, None]:
    """Yield all jobs with their results: those finished earlier first, then as they end."""
    finished = Finished(folder / run_folder.CHECKPOINTS)
    stored = {job: None if config.fresh else finished.load(job) for job in jobs}
    done = {job: result for job, result in stored.items() if result is not None}
    run_folder.begin(folder, dump(config), len(jobs))
    listener.jobs(len(jobs), len(done), folder)
    yield from done.items()
    count = config.jobs or default_workers(config.device)
    todo = [job for job in jobs if job not in done]
    listener.planned(todo, count)
    context = ExecutorContext(
        setup,
        finished,
        workers,
        config.jobs,
        config.executor_address,
        listener.progress,
        listener.began,
    )
    executor: Executor = executor_class(config)(context)
    try:
        with _cancelling(executor):
            executor.submit(todo)
            for job, result in executor.results():
                listener.ended(job, result)
                yield job, result
    except (KeyboardInterrupt, GeneratorExit):
        # Jobs may have ended since the last one was reported: what is kept is what counts.
        listener.interrupted(sum(finished.load(job) is not None for job in jobs))
        raise
    finally:
        finished.publish()


@contextmanager
def _cancelling(executor: Executor) -> Iterator[None]:
    try:
        yield
    finally:
        executor.cancel()


def executor_class(config: RunConfig) -> Any:
    """Return the class that runs the jobs; an `OptionError` where its extra is missing."""
    return discovery.load(discovery.find("executor", config.executor_name))


def about(job: Job, result: Result) -> dict[str, Any]:
    """Return the payload of `job_finished` for observers."""
    return {
        "router": job.label,
        "seed": job.seed,
        "fold": job.fold,
        "state": result.state,
        "message": result.message,
    }


def encode(
    setup: Setup, info: EncoderInfo, config: RunConfig, workers: Workers, listener: RunListener
) -> Encoded | None:
    """Encode all texts that jobs will need; None where jobs fit their own encoder."""
    if not info.stateless:
        return None
    texts = [*setup.data.queries.text, *setup.perturbed_texts()]
    count = config.jobs or default_workers(config.device)
    ids = list(setup.data.ids)
    return precompute.encode(info, texts, ids, workers, count, config.device, listener.stage)
