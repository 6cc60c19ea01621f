"""The two stages of a job: fit and save a router, then load it elsewhere and route."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from routebench.bought import Bought
from routebench.encode import encoders
from routebench.errors import DataError, PluginError
from routebench.hookspecs import Context
from routebench.isolation.listening import OnProgress
from routebench.isolation.messages import AnswersGiven
from routebench.jobs import arrow_io
from routebench.jobs.finished import Result
from routebench.jobs.harness import SINGLES, Harness
from routebench.jobs.setup import Job, Setup
from routebench.plugin import extensions, optional, options
from routebench.plugin.discovery import PluginInfo, load
from routebench.records import Decisions, Ints, Mask, Queries, Table
from routebench.steps.replay import AnswerSource


def create(plugin: PluginInfo, values: dict[str, Any], label: str) -> Any:
    """Import the class of a router, check its options, and return the object."""
    cls = load(plugin)
    return cls(options.validate(cls, label, values))


def fit_and_save(
    harness: Harness,
    train: Table,
    validation: Table,
    context: Context,
    folder: Path,
    both: Table | None = None,
    cross_fitted: Decisions | None = None,
) -> None:
    """Train, then write the checkpoint with a header that says what it was made for.

    With a table of both it is trained again on that, and may use what inner fits decided on it.
    """
    harness.fit(train, validation, context)
    if both is not None:
        harness.refit(both, replace(context, cross_fitted=cross_fitted))
    state = folder / "state"
    state.mkdir(parents=True)
    harness.router.save(state)
    header = {"models": list(train.pool.models), "router": type(harness.router).__name__}
    (folder / "router.json").write_text(json.dumps(header, indent=2, sort_keys=True))


def load_and_route(
    harness: Harness,
    folder: Path,
    queries: Queries,
    models: tuple[str, ...],
    singly: bool = False,
) -> Decisions:
    """Read the checkpoint, route everything, and re-route some queries one by one.

    With `singly` all are asked one by one, and nothing else is.
    """
    load_checkpoint(harness, folder, models)
    if singly:
        return harness.one_by_one(queries, len(models))
    decisions = harness.route(queries, len(models))
    differing = harness.disagreements(queries, decisions, len(models))
    if differing:
        raise disagreement(differing, min(SINGLES, len(queries)))
    return decisions


def disagreement(differing: int, asked: int) -> PluginError:
    """Return the error of a router that decides differently on queries asked by themselves."""
    return PluginError(
        f"batch and single routing disagree on {differing} of {asked} queries",
        "a decision must depend on its own query only",
    )


def load_checkpoint(harness: Harness, folder: Path, models: tuple[str, ...]) -> None:
    """Read the checkpoint; a `DataError` for one of another pool."""
    header = json.loads((folder / "router.json").read_text())
    if tuple(header["models"]) != models:
        raise DataError(
            f"checkpoint of another pool: it knows {', '.join(header['models'])}; "
            f"this run has {', '.join(models)}"
        )
    harness.router.load(folder / "state")


class Purchaser:
    """Buys the answers that a router asks for from the run, which keeps them."""

    def __init__(self, buy: Callable[[list[int]], AnswersGiven]) -> None:
        self._buy = buy

    def buy(self, rows: Ints, ask: Mask) -> Bought:
        at, model = np.nonzero(ask)
        given = self._buy((rows[at] * ask.shape[1] + model).tolist())
        if given.place is None:
            raise PluginError(given.problem, given.hint)
        return arrow_io.read_record(Path(given.place), Bought)


def load_and_step(
    harness: Harness,
    folder: Path,
    queries: Queries,
    models: tuple[str, ...],
    trade_off: float,
    source: AnswerSource,
    singly: bool,
) -> Decisions:
    """Read the checkpoint, step everything, and with `singly` some queries again one by one."""
    load_checkpoint(harness, folder, models)
    stepped = harness.step(queries, models, trade_off, source)
    differing = harness.stepped_otherwise(queries, models, trade_off, stepped) if singly else 0
    if differing:
        asked = min(SINGLES, len(queries))
        raise PluginError(
            f"batch and single stepping disagree on {differing} of {asked} queries",
            "a step must depend on its own query only",
        )
    return Decisions(
        stepped.answer,
        confidence=stepped.confidence,
        reason=stepped.reason,
        asked=stepped.asked,
    )


def run_here(job: Job, setup: Setup, progress: OnProgress, keep: Path | None = None) -> Result:
    """Run a job in this process, without isolation: for simulations and debugging."""
    with tempfile.TemporaryDirectory(prefix="routebench-") as folder:
        checkpoint = Path(folder) / "checkpoint"
        work = Path(folder) / "work"
        work.mkdir()
        train, validation = setup.tables(job.fold, job.personal)
        encoder = encoders.FittedOnUse(
            setup.encoder, setup.encoder_options, list(train.queries.text)
        )
        kept = Path(folder) / "kept"
        kept.mkdir()
        context = Context(
            job.seed,
            encoder,
            work,
            setup.device,
            setup.objective,
            progress,
            kept,
            training_only=setup.data.training_only,
        )
        around = extensions.load_all(job.extensions)
        harness = Harness(create(job.plugin, job.options, job.label), around)
        fit_and_save(harness, train, validation, context, checkpoint)
        known = optional.facts(harness.router)
        batch = setup.query_batch(job)
        around = extensions.load_all(job.extensions)  # as the process that routes has them
        harness = Harness(create(job.plugin, job.options, job.label), around)
        decisions = load_and_route(harness, checkpoint, batch.queries, train.pool.models)
        if keep:
            shutil.copytree(checkpoint, keep)
    parts = batch.parts(decisions)
    known |= optional.facts(harness.router)
    return Result("ok", "", parts.test, parts.validation, parts.perturbed, facts=known)
