"""The two stages of a job: a router is fitted and saved, then loaded elsewhere and asked."""

from __future__ import annotations

import json
import math
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
from routebench.plugin import options
from routebench.plugin.discovery import PluginInfo, load
from routebench.records import Decisions, Queries, Table


def create(plugin: PluginInfo, values: dict[str, Any], label: str) -> Any:
    """Import the class of a router, check its options, and return the object."""
    cls = load(plugin)
    return cls(options.validate(cls, label, values))


def facts(router: Any) -> dict[str, Any]:
    """Return a router's facts of itself, as the board will hold them; none where it gives none.

    Raises:
        PluginError: for anything but strings and finite numbers by name.
    """
    given = router.facts() if hasattr(router, "facts") else {}
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise PluginError(f"facts returned {type(given).__name__}, expected values by name")
    for name, value in given.items():
        if not isinstance(value, str) and not (
            isinstance(value, int | float) and math.isfinite(value)
        ):
            raise PluginError(f"facts: {name} is {value!r}, expected a string or a finite number")
    return given


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
        context = Context(job.seed, encoder, work, setup.device, setup.objective, progress, kept)
        harness = Harness(create(job.plugin, job.options, job.label))
        fit_and_save(harness, train, validation, context, checkpoint)
        known = facts(harness.router)
        batch = setup.query_batch(job)
        harness = Harness(create(job.plugin, job.options, job.label))
        decisions = load_and_route(harness, checkpoint, batch.queries, train.pool.models)
        if keep:
            shutil.copytree(checkpoint, keep)
    parts = batch.parts(decisions)
    known |= facts(harness.router)
    return Result("ok", "", parts.test, parts.validation, parts.perturbed, facts=known)
