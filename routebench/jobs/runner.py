"""Runs one job in two processes of its own, the second without any table."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from routebench.data.splits import TEST, VALIDATION
from routebench.isolation.listening import OnProgress
from routebench.isolation.messages import (
    Access,
    Failed,
    FitReply,
    FitRequest,
    Reply,
    Report,
    RouteReply,
    RouteRequest,
    StepReply,
    StepRequest,
)
from routebench.isolation.printing import printed
from routebench.isolation.subprocesses import Workers
from routebench.jobs import arrow_io, footprint, left
from routebench.jobs.cross_fit import (
    LearningTables,
    both_stages,
    inner_batch,
    inner_tables,
    joined,
    refitted_tables,
    spent,
)
from routebench.jobs.finished import Finished, Result, TradeOffs
from routebench.jobs.fits import SharedFits
from routebench.jobs.harness import SINGLES, differing
from routebench.jobs.purchases import Purchases
from routebench.jobs.query_batch import QueryBatch, take
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import disagreement
from routebench.jobs.streamed import play_stream
from routebench.plugin import discovery
from routebench.records import Decisions, Queries


@dataclass(frozen=True)
class _Fitted:
    """What the process that trained a router said of it."""

    timing: dict[str, Any]
    facts: dict[str, Any]
    warnings: list[str]
    log: str


@dataclass(frozen=True)
class _Routed:
    """What a process that routed was asked, and what it left."""

    request: RouteRequest
    report: Report
    reply: RouteReply
    decisions: Decisions


class JobRunner:
    """Runs the jobs of one run, each by itself; `finished` keeps it as soon as it ends."""

    def __init__(self, setup: Setup, finished: Finished, workers: Workers) -> None:
        self.setup = setup
        self.finished = finished
        self.workers = workers
        self.fits = SharedFits(setup, workers)

    def run(self, job: Job, progress: OnProgress) -> Result:
        """Return the result of a job; it is kept by then, a failure too."""
        with tempfile.TemporaryDirectory(
            prefix="job-", dir=self.workers.scratch, ignore_cleanup_errors=True
        ) as folder:
            place, notes = Path(folder), [""]

            def on_progress(done: float, note: str) -> None:
                notes.append(note or notes[-1])
                progress(done, note)

            try:
                result = replace(
                    self._stages(job, place, on_progress),
                    note=notes[-1],
                    machine=footprint.machine([job.plugin.distribution]),
                )
            except Exception as error:
                # Files of a job are made by its router: errors in them fail its own row only.
                result = Result("failed", f"{type(error).__name__}: {error}")
            if not self.workers.stopped:
                checkpoint = place / "route" / "checkpoint"
                self.finished.save(job, result, checkpoint if result.state == "ok" else None)
        return result

    def ask_again(self, job: Job, checkpoint: Path, models: tuple[str, ...]) -> Result:
        """Return the result of a job whose checkpoint is there, from processes as confined."""
        timeout = self.setup.timeout
        deadline = time.monotonic() + timeout if timeout else None
        with tempfile.TemporaryDirectory(
            prefix="job-", dir=self.workers.scratch, ignore_cleanup_errors=True
        ) as folder:
            left.only_files(checkpoint)
            shutil.copytree(checkpoint, Path(folder, "route", "checkpoint"))
            return self._serve(job, Path(folder, "route"), self._access(job), deadline, models)

    def _access(self, job: Job) -> Access:
        return Access(
            discovery.answer_modules(job.plugin),
            job.starts_processes,
            network=job.needs_network,
            accelerator=self.setup.device != "cpu",
        )

    def _serve(
        self, job: Job, route: Path, access: Access, deadline: float | None, models: tuple[str, ...]
    ) -> Result:
        if job.updates and self.setup.stream is not None:
            return play_stream(
                self.setup, self.workers, job, route, access, deadline, models, self._failure
            )
        serve = self._step if job.steps else self._route
        return serve(job, route, access, deadline, models)

    def _stages(self, job: Job, place: Path, progress: OnProgress) -> Result:
        timeout = self.setup.timeout
        deadline = time.monotonic() + timeout if timeout else None
        access = self._access(job)
        if job.inner_folds:
            crossed = self._cross_fitted(job, place, access, deadline, progress)
            if crossed.state != "ok":
                return crossed
            tables = refitted_tables(self.setup, job.fold)
        else:
            crossed = None
            tables = LearningTables(*self.setup.learning_tables(job))
        route = place / "route"
        kept = str(self.finished.begun(job))
        decided = None if crossed is None else crossed.validation
        fitted = self._fit(job, route, tables, access, deadline, progress, kept, decided)
        if isinstance(fitted, Result):
            return fitted
        routed = self._serve(job, route, access, deadline, tables.train.pool.models)
        if routed.state != "ok":
            return replace(routed, log=routed.log + fitted.log)
        timing = both_stages(fitted.timing, routed.timing)
        warnings = [*fitted.warnings, *routed.warnings]
        if crossed is not None:
            routed = replace(routed, validation=crossed.validation)
            timing = both_stages(crossed.timing, timing)
            warnings = [*crossed.warnings, *warnings]
        return replace(
            routed,
            timing=timing,
            warnings=tuple(dict.fromkeys(warnings)),
            facts=fitted.facts | routed.facts,
        )

    def _fit(
        self,
        job: Job,
        route: Path,
        tables: LearningTables,
        access: Access,
        deadline: float | None,
        progress: OnProgress,
        kept: str | None,
        cross_fitted: Decisions | None = None,
    ) -> _Fitted | Result:
        """Train a router in a process of its own, and leave its checkpoint in a new `route`."""
        fit = route.with_name(f"{route.name}-fit")
        fit.mkdir()
        arrow_io.write_table(fit / "train.arrow", tables.train)
        arrow_io.write_table(fit / "validation.arrow", tables.validation)
        if tables.both is not None:
            arrow_io.write_table(fit / "both.arrow", tables.both)
        if cross_fitted is not None:
            arrow_io.write_decisions(fit / "cross-fitted.arrow", cross_fitted)
        encoded = self.setup.encoded
        if encoded is not None:
            known = [*tables.train.queries.text, *tables.validation.queries.text]
            encoded.write(fit / "vectors", known)
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
            trade_offs=list(self.setup.trade_offs(job)),
            training_only=sorted(self.setup.data.training_only),
            refit=tables.both is not None,
        )
        given = self.fits.given(tables.texts, route.with_name(f"{route.name}-given"))
        report = self.workers.run(
            request,
            fit,
            replace(access, kept=kept, given=str(given.folder)),
            deadline,
            progress,
            self.setup.libraries(job),
            given,
        )
        if not isinstance(report.reply, FitReply):
            return self._failure("fit", report.reply)
        log = printed(fit.with_suffix(".log"))
        left.only_files(fit / "checkpoint")
        route.mkdir()
        (fit / "checkpoint").rename(route / "checkpoint")
        # The training tables are gone before the process that routes exists.
        shutil.rmtree(fit)
        reply = report.reply
        return _Fitted(reply.timing, reply.facts, [*given.warnings, *report.warnings], log)

    def _cross_fitted(
        self, job: Job, place: Path, access: Access, deadline: float | None, progress: OnProgress
    ) -> Result:
        """Return, as `validation`, what inner fits decide on train and validation.

        Each decides on queries that it did not learn from, in a process that has no table. Nothing
        of one is left when the next begins, and nothing outlives a killed run: the others have
        learned from the queries that it decides on.
        """
        decided: list[Decisions] = []
        timings: list[dict[str, Any]] = []
        warnings: list[str] = []
        for part in range(job.inner_folds):
            own, share = place / f"inner-{part}", part / (job.inner_folds + 1)
            own.mkdir()

            def on_progress(done: float, note: str, share: float = share) -> None:
                progress(share + done / (job.inner_folds + 1), note)

            tables, batch = inner_tables(self.setup, job, part), inner_batch(self.setup, job, part)
            fitted = self._fit(job, own / "route", tables, access, deadline, on_progress, None)
            if isinstance(fitted, Result):
                return replace(fitted, message=f"inner fold {part}: {fitted.message}")
            routed = self._ask(
                job, own / "route", access, deadline, tables.train.pool.models, batch
            )
            if isinstance(routed, Result):
                return replace(routed, message=f"inner fold {part}: {routed.message}")
            shutil.rmtree(own)
            decided.append(batch.parts(routed.decisions).validation)
            timings += [fitted.timing, routed.reply.timing]
            warnings += [*fitted.warnings, *routed.report.warnings]
        return Result(
            "ok",
            validation=joined(self.setup, job, decided),
            timing=spent(timings),
            warnings=tuple(warnings),
        )

    def _ask(
        self,
        job: Job,
        route: Path,
        access: Access,
        deadline: float | None,
        models: tuple[str, ...],
        batch: QueryBatch,
    ) -> _Routed | Result:
        """Ask a trained router about a batch of queries, in a process that has no table."""
        self._write_queries(route, batch.queries)
        request = RouteRequest(
            job.label, job.plugin, job.options, list(models), dict(job.extensions)
        )
        libraries = self.setup.libraries(job)
        report = self.workers.run(request, route, access, deadline, libraries=libraries)
        if not isinstance(report.reply, RouteReply):
            return self._failure("route", report.reply)
        left.only_files(route / "checkpoint")
        decided = left.read_decisions(route / "decisions.arrow", len(batch.queries), len(models))
        return _Routed(request, report, report.reply, decided)

    def _route(
        self, job: Job, route: Path, access: Access, deadline: float | None, models: tuple[str, ...]
    ) -> Result:
        """Route the queries of a job in a process that has no table."""
        batch, encoded = self.setup.query_batch(job), self.setup.encoded
        routed = self._ask(job, route, access, deadline, models, batch)
        if isinstance(routed, Result):
            return routed
        reply, report, decided = routed.reply, routed.report, routed.decisions
        libraries = self.setup.libraries(job)
        if job.seed == job.fold == 0:
            # A router could remember what it said in the batch: a process that never saw it is
            # asked too, once per router.
            single = self._singly(routed.request, route, access, deadline, batch.queries, libraries)
            if isinstance(single, Result):
                return single
            asked = len(single.choice)
            if count := differing(take(decided, np.arange(asked)), single):
                raise disagreement(count, asked)
        parts = batch.parts(decided)
        return Result(
            "ok",
            decisions=parts.test,
            validation=parts.validation,
            perturbed=parts.perturbed,
            timing=reply.timing | {"encodes": encoded is not None and reply.encoded},
            warnings=tuple(report.warnings),
            isolation=report.isolation,
            facts=reply.facts,
        )

    def _singly(
        self,
        request: RouteRequest,
        route: Path,
        access: Access,
        deadline: float | None,
        queries: Queries,
        libraries: tuple[str, ...],
    ) -> Decisions | Result:
        """Return the decisions on some queries of a process that is asked each by itself."""
        place, some = route / "singly", queries.take(np.arange(min(SINGLES, len(queries))))
        place.mkdir()
        shutil.copytree(route / "checkpoint", place / "checkpoint")
        self._write_queries(place, some)
        again = replace(request, singly=True)
        reply = self.workers.run(again, place, access, deadline, libraries=libraries).reply
        if not isinstance(reply, RouteReply):
            return self._failure("route", reply)
        single = left.read_decisions(place / "decisions.arrow", len(some), len(request.models))
        shutil.rmtree(place)
        return single

    def _step(
        self, job: Job, route: Path, access: Access, deadline: float | None, models: tuple[str, ...]
    ) -> Result:
        """Step the queries of a job at every trade-off, each in a process of its own.

        What one has bought must not be known to the next, which would not pay for it.
        """
        batch, encoded = self.setup.step_batch(job), self.setup.encoded
        recorded, trade_offs = self.setup.answers(job, batch), self.setup.trade_offs(job)
        made: list[Result] = []
        for at, trade_off in enumerate(trade_offs):
            place = route / f"trade-off-{at}"
            place.mkdir()
            shutil.copytree(route / "checkpoint", place / "checkpoint")
            self._write_queries(place, batch.queries)
            bought = Purchases(recorded, models, route / f"bought-{at}")
            report = self.workers.run(
                StepRequest(
                    job.label, job.plugin, job.options, list(models), trade_off, not at,
                    dict(job.extensions),
                ),
                place,
                replace(access, given=str(bought.folder)),
                deadline,
                libraries=self.setup.libraries(job),
                sell=bought,
            )  # fmt: skip
            stepped = report.reply
            if not isinstance(stepped, StepReply):
                return self._failure("step", stepped)
            left.only_files(place / "checkpoint")
            n, m = len(batch.queries), len(models)
            decided = left.read_decisions(place / "decisions.arrow", n, m)
            parts = batch.parts(bought.complete(decided))
            shutil.rmtree(place)
            shutil.rmtree(bought.folder)
            made.append(
                Result(
                    "ok",
                    decisions=self.setup.widened(job, TEST, parts.test),
                    validation=self.setup.widened(job, VALIDATION, parts.validation),
                    perturbed=parts.perturbed,
                    timing=stepped.timing | {"encodes": encoded is not None and stepped.encoded},
                    warnings=tuple(report.warnings),
                    isolation=report.isolation,
                    facts=stepped.facts,
                )
            )
        return replace(made[0], trade_offs=TradeOffs.of(trade_offs, made))

    def _write_queries(self, folder: Path, queries: Queries) -> None:
        arrow_io.write_queries(folder / "queries.arrow", queries)
        if self.setup.encoded is not None:
            self.setup.encoded.write(folder / "vectors", list(queries.text))

    def _failure(self, stage: str, reply: Reply) -> Result:
        if not isinstance(reply, Failed):
            return Result("failed", f"{stage}: answered with {type(reply).__name__}")
        if reply.timed_out:
            limit = f"{stage}: no end after {self.setup.timeout:g} s (--job-timeout)"
            return Result("failed", limit, log=reply.log)
        return Result("failed", reply.reason, log=reply.log)
