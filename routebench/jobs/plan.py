"""The routers of a run, and their jobs."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import routebench
from routebench.config import RunConfig
from routebench.encode.encoded import EncoderInfo
from routebench.errors import OptionError, PluginError, did_you_mean
from routebench.files import absolute
from routebench.isolation.messages import (
    Access,
    Broken,
    DescribeReply,
    DescribeRequest,
    Failed,
    Refused,
)
from routebench.isolation.subprocesses import Workers, default_workers
from routebench.jobs import arrow_io
from routebench.jobs.entrant import Entrant, digest
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job
from routebench.names import RULE, is_label
from routebench.plugin import discovery
from routebench.plugin.described import several
from routebench.plugin.discovery import PluginInfo
from routebench.plugin.extensions import Extension
from routebench.records import STATED, SuiteData


def named(config: RunConfig) -> dict[str, tuple[PluginInfo, bool]]:
    """Return the run's routers by label, and whether each was asked for by its name.

    Raises:
        OptionError: there is no such router, or its label cannot be used.
    """
    asked: dict[str, tuple[PluginInfo, bool]] = {}
    for text in config.router:
        if (members := several(text)) is not None:
            for info in members:
                asked.setdefault(info.name, (discovery.find("router", info.name), False))
            continue
        name, at, label = text.partition("@")
        info = discovery.find("router", name)
        full = f"{info.name}@{label}" if at else info.name
        if not is_label(full):
            raise OptionError(f"--router {text}: a label is {RULE}")
        asked[full] = (info, True)
    alike = {label.casefold(): label for label in asked}
    if lost := [label for label in asked if alike[label.casefold()] != label]:
        # Where a file system knows no case, one folder would hold both.
        other = alike[lost[0].casefold()]
        raise OptionError(
            f"--router {lost[0]}: differs from {other} in case alone", f"{other}@label"
        )
    for name in config.against:
        if name not in asked:
            raise OptionError(f"--against {name}: no router of this run", did_you_mean(name, asked))
    return asked


def check(config: RunConfig, workers: Workers) -> None:
    """Raise an error for a plugin that the run could not use, before any data is read.

    Names are looked up; routers of files are checked against their contract, and so are the
    options of all that were asked for by name.
    """
    for kind, name in (("suite", config.suite_name), ("encoder", config.encoder_name)):
        discovery.find(kind, name)
    for judge in filter(None, (config.judge, config.answers_as)):
        discovery.find("judge", judge)
    for label, (info, by_name) in named(config).items():
        values = given_options(config, label, info)
        if by_name and (values or info.distribution is None or not info.ready):
            described = describe(workers, label, info, values, config)
            if isinstance(described, Broken) and info.distribution is None:
                raise PluginError(described.message, described.hint)


def given_options(config: RunConfig, label: str, info: PluginInfo) -> dict[str, Any]:
    """Return the options that a run gives a router, by its name and by its label."""
    given = config.set.get(info.name, {}) | config.set.get(label, {})
    # Processes work in folders of their own: what is a path here must be one there.
    return {name: absolute(value) for name, value in given.items()}


def entrants(
    config: RunConfig, data: SuiteData, shared: dict[str, Any], workers: Workers
) -> list[Entrant]:
    """Return the run's routers, by label. `shared` is what else their decisions depend on.

    A router asked for by name that cannot run is an `OptionError`; under `all` it is skipped.
    """
    asked = named(config)
    known = [*asked, *(label.partition("@")[0] for label in asked)]
    known += [config.suite_name, config.encoder_name, *filter(None, [config.judge or data.judge])]
    known += filter(None, [data.answers_as])
    known += [info.name for info in discovery.installed("extension")]
    for name in config.set:
        if name not in known:
            raise OptionError(f"--set {name}: not part of this run", did_you_mean(name, known))
    facts = facts_of(data)
    if config.protocol == "online":
        facts["shown"] = sorted({*facts["shown"], "online"})
    reading = reading_of_answers(config, data)

    def enter(item: tuple[str, tuple[PluginInfo, bool]]) -> Entrant:
        label, (info, named) = item
        made = _entrant(label, info, named, config, facts, shared, workers)
        if not made.steps:
            return made
        # Its steps depend on the final answers that it is shown.
        return replace(made, fingerprint=digest([made.fingerprint, reading]))

    with ThreadPoolExecutor(default_workers("cpu")) as pool:
        try:
            return list(pool.map(enter, sorted(asked.items())))
        except BaseException:
            workers.stop()  # the pool waits for its threads, and they for their processes
            raise


def facts_of(data: SuiteData) -> dict[str, Any]:
    """Return what routers may need of a suite: models, columns, prices."""
    models, shown = data.pool, data.visible
    if data.users is not None:
        # Training will name a pair, whichever it is; and users are there to be learned from.
        ends = models.models[0], models.models[-1]
        models = replace(models, small=models.small or ends[0], large=models.large or ends[1])
        shown = shown | {"users"}
    if data.answers is not None and data.answers.null_count < len(data.answers):
        shown = shown | {"answers"}
    for name in STATED:
        if getattr(data.outcomes, name) is not None:
            shown = shown | {name}
    return {
        "pool": arrow_io.pool_to_json(models),
        "shown": sorted(shown),
        "training_only": sorted(data.training_only),
        "priced": data.outcomes.cost is not None,
    }


def reading_of_answers(config: RunConfig, data: SuiteData) -> dict[str, Any]:
    """Return what final answers depend on besides the texts: the judge, its options and code."""
    name = data.answers_as
    if name is None:
        return {"judge": None}
    code = discovery.code_hash(discovery.find("judge", name))
    return {"judge": name, "options": config.set.get(name, {}), "code": code}


def describe(
    workers: Workers,
    label: str,
    info: PluginInfo,
    values: dict[str, Any],
    config: RunConfig,
    **facts: Any,
) -> DescribeReply | Broken:
    """Ask a process of its own for a plugin's checked options, and what it lacks or declares.

    Its code is never imported in this one, which holds all outcomes. `Broken` says why it cannot
    be used at all. `facts` are what a router may need (`pool`, `shown`, `training_only` and
    `priced`), or the `argument` of an encoder. An `OptionError` where an option is wrong.
    """
    if not info.ready:
        raise OptionError(f"{info.kind} {info.name!r} needs {', '.join(info.missing)}", info.pip)
    request = DescribeRequest(label, info, values, config.profile, **facts)
    access = Access(discovery.answer_modules(info), downloads=info.kind == "encoder")
    timeout = config.job_timeout
    place = Path(tempfile.mkdtemp(prefix="describe-", dir=workers.scratch)) / "describe"
    deadline = time.monotonic() + timeout if timeout else None
    reply = workers.run(request, place, access, deadline).reply
    match reply:
        case DescribeReply() | Broken():
            return reply
        case Refused():
            raise OptionError(reply.message, reply.hint)
        case Failed():
            return Broken(reply.reason, "")
    return Broken(f"the process answered with {type(reply).__name__}", "")


def encoder(config: RunConfig, workers: Workers) -> EncoderInfo:
    """Return the run's encoder with all its option values, checked."""
    info = discovery.find("encoder", config.encoder_name)
    # Processes work in folders of their own: what is a path here must be one there.
    values = {name: absolute(value) for name, value in config.set.get(info.name, {}).items()}
    argument = absolute(config.encoder_argument)
    described = describe(workers, info.name, info, values, config, argument=argument)
    if isinstance(described, Broken):
        raise PluginError(described.message, described.hint)
    return EncoderInfo(
        info,
        described.options,
        described.stateless,
        described.by_id,
        described.dimension,
        described.fingerprint,
        tuple(described.libraries),
    )


def jobs(
    ready: Iterable[Entrant],
    seeds: int,
    folds: int,
    around: Mapping[str, Extension] | None = None,
) -> list[Job]:
    """Return one job per router, seed and fold; the extensions `around` wrap every router.

    A deterministic router has jobs for the first seed only, unless an extension may change that.
    """
    extensions = {name: one.options for name, one in (around or {}).items()}
    return [
        Job(
            e.label,
            e.plugin,
            e.options,
            seed,
            fold,
            digest([e.fingerprint, seed, fold]),
            e.starts_processes,
            e.personal,
            extensions,
            e.libraries,
            _alike(e, extensions),
            e.effort,
            e.steps,
            e.trades_off,
            e.needs_network,
            e.resources,
            e.inner_folds,
            e.updates,
        )
        for e in ready
        for seed in range(1 if _alike(e, extensions) else seeds)
        for fold in range(folds)
    ]


def _alike(entrant: Entrant, extensions: Mapping[str, Any]) -> bool:
    """Return whether a router decides alike for all seeds: one that learns online never does."""
    return entrant.deterministic and not extensions and not entrant.updates


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
        return inf if job.effort is None else job.effort * (1 + job.inner_folds)


def by_seed(results: Mapping[Job, Result], seeds: int) -> dict[Job, Result]:
    """Return the results with those that stand for all seeds once per seed."""
    return {
        replace(job, seed=seed) if seed != job.seed else job: result
        for job, result in results.items()
        for seed in (range(seeds) if job.all_seeds else (job.seed,))
    }


def _entrant(
    label: str,
    info: PluginInfo,
    named: bool,
    config: RunConfig,
    facts: dict[str, Any],
    shared: dict[str, Any],
    workers: Workers,
) -> Entrant:
    if not info.ready and not named:
        message = f"needs {', '.join(info.missing)}: {info.pip}"
        return Entrant(label, info, {}, state="skipped", message=message)
    values = given_options(config, label, info)
    described = describe(workers, label, info, values, config, **facts)
    if isinstance(described, Broken):
        if info.distribution is None:
            raise PluginError(described.message, described.hint)  # a file is the user's own input
        return Entrant(label, info, values, state="failed", message=described.message)
    full = described.options
    if described.lacks:
        reason = described.lacks.replace("NAME", label)
        if named:
            raise OptionError(f"router {label!r} {reason}")
        return Entrant(label, info, full, state="skipped", message=reason)
    inner_folds = (config.inner_folds or 0) if described.cheap_fit else 0
    if inner_folds:
        shared = shared | {"inner folds": inner_folds}
    return Entrant(
        label,
        info,
        full,
        _fingerprint(info, full, shared),
        starts_processes=described.starts_processes,
        personal=described.personal,
        libraries=tuple(described.libraries),
        deterministic=described.deterministic,
        effort=described.effort,
        resources=described.resources,
        needs_network=described.needs_network,
        steps=described.steps,
        trades_off=described.trades_off,
        reference=described.reference,
        inner_folds=inner_folds,
        updates=described.updates,
    )


def _fingerprint(info: PluginInfo, values: dict[str, Any], shared: dict[str, Any]) -> str:
    plugin = {
        "name": info.name,
        "target": Path(info.target).name,
        "version": info.version,
        "code": discovery.code_hash(info),
        "options": values,
    }
    return digest([plugin, shared, routebench.__version__])
