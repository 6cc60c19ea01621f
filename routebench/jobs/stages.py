"""The two stages of a job: fit and save a router, then load it elsewhere and route."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from routebench.encode import encoders
from routebench.errors import DataError, PluginError
from routebench.hookspecs import Context
from routebench.isolation.subprocesses import OnProgress
from routebench.jobs.finished import Result
from routebench.jobs.harness import SINGLES, Harness
from routebench.jobs.setup import Job, Setup
from routebench.plugin import extensions, optional, options
from routebench.plugin.discovery import PluginInfo, load
from routebench.records import Decisions, Queries, Table


def create(plugin: PluginInfo, values: dict[str, Any], label: str) -> Any:
    """Import the class of a router, check its options, and return the object."""
    cls = load(plugin)
    return cls(options.validate(cls, label, values))


def fit_and_save(
    harness: Harness, train: Table, validation: Table, context: Context, folder: Path
) -> None:
    """Train, then write the checkpoint with a header that says what it was made for."""
    harness.fit(train, validation, context)
    state = folder / "state"
    state.mkdir(parents=True)
    harness.router.save(state)
    header = {"models": list(train.pool.models), "router": type(harness.router).__name__}
    (folder / "router.json").write_text(json.dumps(header, indent=2, sort_keys=True))


def load_and_route(
    harness: Harness, folder: Path, queries: Queries, models: tuple[str, ...]
) -> Decisions:
    """Read the checkpoint, route everything, and re-route some queries one by one."""
    header = json.loads((folder / "router.json").read_text())
    if tuple(header["models"]) != models:
        raise DataError(
            f"checkpoint of another pool: it knows {', '.join(header['models'])}; "
            f"this run has {', '.join(models)}"
        )
    harness.router.load(folder / "state")
    decisions = harness.route(queries, len(models))
    differing = harness.disagreements(queries, decisions, len(models))
    if differing:
        asked = min(SINGLES, len(queries))
        raise PluginError(
            f"batch and single routing disagree on {differing} of {asked} queries",
            "a decision must depend on its own query only",
        )
    return decisions


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
        hidden = setup.data.training_only
        context = Context(
            job.seed, encoder, work, setup.device, setup.objective, progress, kept, hidden
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
