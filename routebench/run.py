"""One run, top to bottom: suite → split → fit and route → score → board."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from routebench.board import build, run_folder, write_run
from routebench.config import RunConfig, dump
from routebench.data import users
from routebench.data.fingerprints import outcomes_fingerprint, pool_fingerprint, suite_fingerprint
from routebench.data.splits import Split, make_split
from routebench.encode import precompute
from routebench.encode.encoded import Encoded, EncoderInfo
from routebench.errors import OptionError
from routebench.isolation.subprocesses import (
    Workers,
    default_workers,
    scratch_folder,
    warm_workers,
)
from routebench.jobs import arrow_io, plan
from routebench.jobs.entrant import Entrant, digest
from routebench.jobs.finished import Finished, Result
from routebench.jobs.pool import Processes
from routebench.jobs.setup import Job, Setup
from routebench.judge.finals import read_finals
from routebench.judge.suite import judge_answers
from routebench.metrics.points.asked import AskedPoints
from routebench.plugin import discovery, options
from routebench.plugin.extensions import Extension, Extensions
from routebench.prices import listed
from routebench.prices.apply import PriceInfo, price
from routebench.records import Objective, State, SuiteData
from routebench.schema import Fingerprints, Leaderboard


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
    def progress(self, job: Job, done: float, note: str) -> None: ...
    def ended(self, job: Job, result: Result) -> None: ...
    def interrupted(self, done: int) -> None: ...


@dataclass(frozen=True)
class Run:
    """The board and the folder of a finished run."""

    board: Leaderboard
    folder: Path


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first job: data, split, encoder and routers."""

    setup: Setup
    entrants: list[Entrant]
    prices: PriceInfo
    fingerprints: Fingerprints
    shared: dict[str, Any]
    """The inputs of every router's decisions, besides its own options and code."""
    around: Mapping[str, Extension]
    extensions: Extensions
    workers: Workers


def run(config: RunConfig, listener: RunListener) -> Run:
    """Run a benchmark and write its run folder. Raises `RoutebenchError` for unusable input."""
    started = time.time()
    asked = AskedPoints.of(config.point, config.margin)
    with prepared(config, listener) as ready:
        setup, entrants, prices = ready.setup, ready.entrants, ready.prices
        prints, extensions = ready.fingerprints, ready.extensions
        with run_folder.run_folder(config, run_hash(config, ready.shared, entrants)) as folder:
            run_folder.check_same(config, folder, prints, {e.label: e.options for e in entrants})
            extensions.tell("run_started", config=config.model_dump(mode="json"), data=setup.data)
            results = {}
            with closing(
                execute(entrants, setup, ready.workers, folder, config, listener, ready.around)
            ) as running:
                for job, result in running:
                    results[job] = result
                    extensions.tell("job_finished", **about(job, result))
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
            board = build.board(config, setup, prices, prints, entrants, results, scored)
            listener.stage("writing the board")
            board = write_run.write(
                folder, config, setup, prices, board, results, started, extensions.summary()
            )
            run_folder.end(folder)
            extensions.tell("run_finished", board=board.model_dump(mode="json"), folder=folder)
    return Run(board, folder)


@contextmanager
def prepared(config: RunConfig, listener: RunListener) -> Iterator[Prepared]:
    """Load, price and split the suite, start processes, and check encoder and routers."""
    check_device(config.device)
    with (
        scratch_folder() as scratch,
        warm_workers(scratch, config.isolation, config.device) as workers,
    ):
        extensions = Extensions(config.set, listener.note)
        listener.stage("loading the suite")
        recorded = load_data(config, extensions)
        price_list, price_notes = listed.for_run(config.prices, recorded)
        data, prices = price(recorded, price_list, config.assume_output_tokens)
        data = replace(data, notes=(*data.notes, *price_notes))
        listener.stage(f"splitting {len(data):,} queries and looking for duplicates")
        split = make_split(
            data, config.split, config.folds, config.split_seed, data.shares, config.protocol
        )
        prints = fingerprints(config, recorded, split, prices, extensions)
        data = replace(data, notes=(*data.notes, *users.short_of_shots(data, split, config.shots)))
        workers.protect(run_folder.protected(config, data.files))
        encoder = plan.encoder(config, workers)
        around = extensions.around("fit", "route", "step")
        shared = dependencies(config, data, prints, encoder, around)
        entrants = plan.entrants(config, data, shared | code(encoder, around), workers)
        if any(entrant.steps and entrant.state == "ready" for entrant in entrants):
            listener.stage("reading final answers")
            values = config.set.get(data.answers_as or "", {})
            data = read_finals(data, values, named=config.answers_as is not None)
        setup = Setup(
            data,
            split,
            encoder.plugin.name,
            encoder.options,
            config.device,
            Objective(**config.objective),
            config.job_timeout,
            perturb=0 if encoder.by_id else config.perturb,
            shots=config.shots,
            encoder_libraries=encoder.libraries,
        )
        listener.stage(build.outlook(setup))
        setup = replace(setup, encoded=encode(setup, encoder, config, workers, listener))
        yield Prepared(setup, entrants, prices, prints, shared, around, extensions, workers)


def load_data(config: RunConfig, extensions: Extensions | None = None) -> SuiteData:
    """Load the suite, set what routers may see, and grade its ungraded answers.

    `extensions` may wrap the judge; by default those that are installed.
    """
    suite = discovery.load(discovery.find("suite", config.suite_name))
    names = ("source", "map", "score_max")
    given = {"data": config.suite_data} | {name: getattr(config, name) for name in names}
    values = config.set.get(config.suite_name, {}) | {k: v for k, v in given.items() if v}
    data: SuiteData = suite(options.validate(suite, config.suite_name, values)).load()
    missing = [name for name in config.show if getattr(data.queries, name) is None]
    if missing:
        raise OptionError(f"--show {missing[0]}: this suite has no {missing[0]} column")
    data = replace(data, visible=data.visible | set(config.show))
    data = show_tasks(data, config.task)
    data = replace(data, answers_as=config.answers_as or config.judge or data.judge)
    if config.judge is None and not (data.outcomes.state == State.UNGRADED).any():
        return replace(data, judge=None)  # the suite's own judge has nothing to do
    if judge := config.judge or data.judge:
        extensions = extensions or Extensions(config.set)
        data = judge_answers(data, judge, config.set.get(judge, {}), extensions)
    return replace(data, judge=judge)


def show_tasks(data: SuiteData, to: str | None) -> SuiteData:
    """Return the suite with its tasks seen by no router, in training, or in all that they do.

    By default routers learn from tasks where there are any, and route without, unless the suite
    shows them: who logs traffic knows where it came from, and a query alone does not tell.
    """
    if data.queries.task is None:
        if to in ("train", "all"):
            raise OptionError(f"--task {to}: this suite has no task column")
        return data
    if to is None:
        to = "all" if "task" in data.visible else "train"
    others = data.visible - {"task"}
    return replace(
        data,
        visible=others | {"task"} if to == "all" else others,
        training_only=frozenset({"task"}) if to == "train" else frozenset(),
    )


def fingerprints(
    config: RunConfig,
    data: SuiteData,
    split: Split,
    prices: PriceInfo,
    extensions: Extensions,
) -> Fingerprints:
    """Return the hashes that decide whether two boards may be compared.

    `data` is the suite before it was priced.
    """
    judge = ["judge", data.judge or "recorded", config.set.get(data.judge or "")]
    if data.judge and (around := extensions.around("judge")):
        judge.append({name: one.options for name, one in around.items()})
    return Fingerprints(
        suite=suite_fingerprint(data),
        split=split.fingerprint,
        outcomes=outcomes_fingerprint(data),
        judge=digest(judge),
        pool=pool_fingerprint(data),
        prices=prices.fingerprint,
    )


def dependencies(
    config: RunConfig,
    data: SuiteData,
    prints: Fingerprints,
    encoder: EncoderInfo,
    around: Mapping[str, Extension],
) -> dict[str, Any]:
    """Return the inputs of every router's decisions, besides its own options and code."""
    extensions = {name: one.options for name, one in around.items()}
    seen = {"training_only": sorted(data.training_only)} if data.training_only else {}
    return (
        ({"extensions": extensions} if extensions else {})
        | seen
        | {
            "fingerprints": prints.model_dump(),
            "pool": arrow_io.pool_to_json(data.pool),
            "shown": sorted(data.visible),
            "encoder": encoder.identity,
            "perturbed": config.perturb,
            "shots": config.shots,
            "objective": config.objective,
            "device": config.device,
        }
    )


def code(encoder: EncoderInfo, around: Mapping[str, Extension]) -> dict[str, Any]:
    """Return hashes of the code, besides a router's own, that finished jobs depend on."""
    extensions = {name: discovery.code_hash(one.info) for name, one in around.items()}
    return {"encoder code": discovery.code_hash(encoder.plugin)} | (
        {"extension code": extensions} if extensions else {}
    )


def run_hash(config: RunConfig, shared: dict[str, Any], entrants: list[Entrant]) -> str:
    """Return 12 hex digits over all that decides the numbers: no paths, no code versions."""
    routers: list[Any] = [[e.label, e.options] for e in entrants]
    if any(entrant.steps for entrant in entrants):
        routers.append(config.answers_as)
    return digest([shared, routers, config.seeds, config.max_missing], 12)


def execute(
    entrants: list[Entrant],
    setup: Setup,
    workers: Workers,
    folder: Path,
    config: RunConfig,
    listener: RunListener,
    around: Mapping[str, Extension],
) -> Generator[tuple[Job, Result], None, None]:
    """Yield all jobs with their results: those finished earlier first, then as they end."""
    ready = [entrant for entrant in entrants if entrant.state == "ready"]
    jobs = plan.jobs(ready, config.seeds, len(setup.split.codes), around)
    finished = Finished(folder / run_folder.CHECKPOINTS)
    stored = {job: None if config.fresh else finished.load(job) for job in jobs}
    done = {job: result for job, result in stored.items() if result is not None}
    run_folder.begin(folder, dump(config), len(jobs))
    listener.jobs(len(jobs), len(done), folder)
    yield from done.items()
    count = config.jobs or default_workers(config.device)
    todo = [job for job in jobs if job not in done]
    try:
        with closing(
            Processes(setup, finished, workers, count).run(todo, listener.progress)
        ) as running:
            for job, result in running:
                listener.ended(job, result)
                yield job, result
    except (KeyboardInterrupt, GeneratorExit):
        # Jobs may have ended since the last one was reported: what is kept is what counts.
        listener.interrupted(sum(finished.load(job) is not None for job in jobs))
        raise


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


def check_device(device: str) -> None:
    """Raise an `OptionError` where CUDA is asked for and is not usable."""
    if not device.startswith("cuda"):
        return
    try:
        import torch
    except ImportError as error:
        raise OptionError(f"--device {device}: torch is not installed", "--device cpu") from error
    if not torch.cuda.is_available():
        raise OptionError(f"--device {device}: this machine has no usable CUDA", "--device cpu")
    index = int(device.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        raise OptionError(f"--device {device}: there are {torch.cuda.device_count()} CUDA devices")
