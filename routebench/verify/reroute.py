"""Ask the checkpoints of a run again, and compare their decisions with the stored ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from routebench import config
from routebench.board import provenance, run_folder
from routebench.board.checkpoint import of_run
from routebench.board.checkpoint.of_run import RunCheckpoint
from routebench.board.provenance import split_file
from routebench.board.read_run import Stored
from routebench.board.run_folder import CHECKPOINTS, RUN_FILE
from routebench.config import RunConfig
from routebench.data.splits import TEST, make_split
from routebench.errors import DataError, OptionError, PluginError, did_you_mean
from routebench.isolation.messages import DescribeReply
from routebench.isolation.scratch import scratch_folder
from routebench.isolation.subprocesses import Workers, warm_workers
from routebench.jobs import plan
from routebench.jobs.finished import Finished, Result
from routebench.jobs.runner import JobRunner
from routebench.jobs.setup import Job, Setup
from routebench.plugin.discovery import PluginInfo
from routebench.plugin.extensions import Extensions
from routebench.schema import Row

Compared = tuple[str, str, str]
"""A decision, as it is stored and as it is made again."""


def reroute(run: Stored, files: Iterable[str] = ()) -> Iterator[Compared | str]:
    """Yield every decision on a test query, or why a router cannot be asked.

    The suite is loaded as the run file says. Routers run in processes that are confined as those
    of a run: installed ones, and of files those that `files` names, `path.py:Class`.

    Raises:
        DataError: the suite is not what the run had, or a checkpoint is not whole.
    """
    named = dict(map(split_file, files))
    labels = [row.router for row in run.board.rows]
    if unknown := [label for label in named if label not in labels]:
        raise OptionError(f"no router {unknown[0]} in this run", did_you_mean(unknown[0], labels))
    options = config.make(config.read(run.folder / RUN_FILE))
    with (
        scratch_folder() as scratch,
        warm_workers(scratch, options.isolation, options.device) as workers,
    ):
        again = _Again(run, options, _setup(run, options, workers), workers)
        for row in run.board.rows:
            if row.state == "ok":
                yield from again.router(row, named.get(row.router))


def _setup(run: Stored, options: RunConfig, workers: Workers) -> Setup:
    """Return the run's queries and split, loaded anew, with their texts."""
    from routebench.loading import arriving_queries, load_data, with_finals
    from routebench.pipeline import RunListener, encode

    extensions, stored, stream = Extensions(options.set), run.setup, run.setup.stream
    data = load_data(options, extensions)
    if (arriving := arriving_queries(options, data, extensions)) is None:
        split = make_split(
            data,
            options.split,
            options.folds,
            options.split_seed,
            data.shares,
            options.protocol,
            options.shots,
        )
    else:
        # What is revealed is what the run revealed, and which queries arrived is stored.
        data = replace(arriving.data, outcomes=stored.data.outcomes)
        split = replace(arriving.split, codes=stored.split.codes)
    if not np.array_equal(data.keys, stored.data.keys) or data.pool.models != run.models:
        raise DataError(f"{run.folder}: the suite has other queries or models now")
    for fold in range(len(stored.split.codes)):
        ours, theirs = stored.rows(fold, TEST), np.flatnonzero(split.codes[fold] == TEST)
        if not np.array_equal(ours, theirs):
            raise DataError(f"{run.folder}: fold {fold} of the suite tests other queries now")
    protected = run_folder.protected(options, data.files)
    workers.protect((*protected, run.folder.resolve()))
    if any(row.steps is not None for row in run.board.rows):
        data = with_finals(options, data)
        # What an answer costs is what the run said.
        data = replace(data, outcomes=replace(data.outcomes, cost=stored.data.outcomes.cost))
    encoder = plan.encoder(options, workers)
    setup = Setup(
        data,
        split,
        encoder.plugin.name,
        encoder.options,
        options.device,
        timeout=options.job_timeout,
        perturb=0 if encoder.by_id or stream else options.perturb,
        shots=options.shots,
        encoder_libraries=encoder.libraries,
        stream=stream,
    )
    return replace(setup, encoded=encode(setup, encoder, options, workers, RunListener()))


@dataclass(frozen=True)
class _Again:
    """Asks the routers of a run again."""

    run: Stored
    options: RunConfig
    setup: Setup
    workers: Workers

    def router(self, row: Row, file: str | None) -> Iterator[Compared | str]:
        """Yield the decisions of a router."""
        if row.distribution is None and file is None:
            yield f"decisions of {row.router}: code of a file, run where --router names the file"
            return
        described: DescribeReply | None = None
        for seed in [0] if row.deterministic else row.seeds:
            for fold in range(len(self.setup.split.codes)):
                kept = of_run.of_board(self.run.folder, self.run.board, row.router, seed, fold)
                info = provenance.plugin(row.router, kept.header, file)
                at = f"{row.router}, seed {seed}, fold {fold}"
                if kept.models != self.run.models:
                    raise DataError(f"{at}: knows another pool")
                described = described or self._described(info, kept)
                job = self._job(info, kept, described, seed, fold)
                yield from self._compared(at, job, self._result(at, job, kept))

    def _described(self, info: PluginInfo, kept: RunCheckpoint) -> DescribeReply:
        label = kept.row.router
        facts = plan.facts_of(self.setup.data)
        facts["priced"] = self.run.board.priced != "unpriced"
        made = plan.describe(
            self.workers, label, info, kept.header["options"], self.options, **facts
        )
        if not isinstance(made, DescribeReply):
            raise PluginError(f"{label}: {made.message}", made.hint)
        return made

    def _job(
        self,
        info: PluginInfo,
        kept: RunCheckpoint,
        described: DescribeReply,
        seed: int,
        fold: int,
    ) -> Job:
        label = kept.row.router
        return Job(
            label,
            info,
            kept.header["options"],
            seed,
            fold,
            "",
            starts_processes=described.starts_processes,
            personal=self.run.decisions[label, seed, fold].personal,
            extensions=kept.header.get("extensions", {}),
            libraries=tuple(described.libraries),
            steps=described.steps,
            needs_network=described.needs_network,
            updates=described.updates,
        )

    def _result(self, at: str, job: Job, kept: RunCheckpoint) -> Result:
        finished = Finished(self.run.folder / CHECKPOINTS)
        runner = JobRunner(self.setup, finished, self.workers)
        result = runner.ask_again(job, kept.checkpoint, kept.models)
        if result.decisions is None:
            raise DataError(f"{at}: {result.message}")
        return result

    def _compared(self, at: str, job: Job, result: Result) -> Iterator[Compared]:
        assert result.decisions is not None
        stored = self.run.decisions[job.label, job.seed, job.fold]
        models = np.array(self.run.models, dtype=object)
        setup = self.setup
        rows = setup.asks(job.fold).row if stored.personal else setup.rows(job.fold, TEST)
        before, now = (models[one.choice].tolist() for one in (stored.decisions, result.decisions))
        for row, old, new in zip(rows, before, now, strict=True):
            yield f"decisions[{at}, {setup.data.ids[row]}]", old, new
