"""Train one router and keep it: a run's training, with or without its test part."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import routebench
from routebench.board import checkpoint_points
from routebench.board.assemble import assemble_decisions
from routebench.board.build import suite_info
from routebench.board.checkpoint import of_run
from routebench.board.checkpoint.description import CheckpointDescription, CheckpointResults
from routebench.board.checkpoint_points import CheckpointPoints
from routebench.board.diagnostics import fold_facts
from routebench.config import RunConfig
from routebench.data.splits import REMOVED, TEST, TRAIN
from routebench.deploy import export
from routebench.errors import OptionError, PluginError
from routebench.files import replace_file
from routebench.jobs import plan
from routebench.jobs.entrant import Entrant, digest
from routebench.jobs.finished import Finished, Result
from routebench.jobs.runner import JobRunner
from routebench.jobs.setup import Job, Setup
from routebench.judge.finals import reader_of
from routebench.metrics.points.asked import AskedPoints
from routebench.metrics.points.point import MOST_ACCURATE, Point
from routebench.pipeline import Prepared, RunListener, prepared, run
from routebench.plugin.described import several

WITHOUT_TEST = "a router trained without the test part"
_ONE = {"folds": None, "seeds": 1, "protocol": "query", "shots": 0}
"""Options of a run that make several checkpoints, or keep users or models from them."""


def train(
    config: RunConfig,
    out: Path,
    listener: RunListener,
    *,
    point: str | None = None,
    measure: bool = True,
    all_data: bool = False,
    license: str | None = None,  # noqa: A002
) -> CheckpointDescription:
    """Train a router, and write its checkpoint into a new folder.

    It is trained and measured as a run does it, in a run folder. With `all_data` it is trained
    again on the test part too, which then measures nothing; without `measure` no test query is
    routed. Points are chosen on the validation part in every case.

    Raises:
        OptionError: options that make no single checkpoint, or a point that there is not.
        PluginError: the router failed.
    """
    export.check_out(out)
    config = one_checkpoint(config, point)
    if config.inner_folds is not None and (all_data or not measure):
        raise OptionError(
            "--inner-folds: points are chosen so with a test part, trained on train and validation",
            "leave out --inner-folds, or --all-data and --no-test",
        )
    results = None
    if measure:
        done = run(config, listener)
        (row,) = done.board.rows
        if row.state != "ok":
            raise PluginError(f"{row.router} failed: {row.message}", f"the run is {done.folder}")
        if not all_data:
            return export.export(done.folder, row.router, out, point=point, license=license)
        results = of_run.describe(of_run.find(done.folder, row.router)).results
    with prepared(config, listener) as ready:
        return _alone(config, ready, out, listener, point, results, all_data, license)


def one_checkpoint(config: RunConfig, point: str | None) -> RunConfig:
    """Return the configuration with the point to choose, if it makes one checkpoint.

    Raises:
        OptionError: naming the option that makes several, or no single router.
    """
    if len(config.router) != 1 or several(config.router[0]) is not None:
        raise OptionError(
            f"--router {','.join(config.router)}: one router is trained", "--router mf"
        )
    for name, default in _ONE.items():
        if (value := getattr(config, name)) != default:
            raise OptionError(f"{name} {value}: a checkpoint is trained once, for all users")
    changes: dict[str, Any] = {"against": (), "point": ()}
    if point is not None:
        wanted = Point.parse(point)
        if wanted.kind == "within":
            changes["margin"] = wanted.name.removeprefix("within-")
        else:
            changes["point"] = (wanted.name,)
    return config.model_copy(update=changes)


def _alone(
    config: RunConfig,
    ready: Prepared,
    out: Path,
    listener: RunListener,
    point: str | None,
    results: CheckpointResults | None,
    all_data: bool,
    license: str | None,  # noqa: A002
) -> CheckpointDescription:
    """Train without a test part: its queries are trained on, or left out."""
    (entrant,) = ready.planned.entrants
    if entrant.state != "ready":
        raise PluginError(f"{entrant.label}: {entrant.message}")
    setup = without_test(ready.setup, entrant, all_data)
    (job,) = plan.jobs([entrant], 1, 1, ready.planned.around)
    used = ["train", "validation", "test"] if all_data else ["train", "validation"]
    job = replace(job, fingerprint=digest([entrant.fingerprint, used]))
    place = ready.workers.scratch / "trained"
    finished = Finished(place)
    listener.jobs(1, 0, out)
    runner = JobRunner(setup, finished, ready.workers)
    result = runner.run(job, lambda done, note: listener.progress(job, done, note))
    finished.publish()
    listener.ended(job, result)
    if result.state != "ok":
        raise PluginError(f"{job.label} failed: {result.message}")
    checkpoint = place / job.path / "checkpoint"
    asked = AskedPoints.of(config.point, config.margin)
    points = chosen_points(setup, job, result, asked.points)
    replace_file(checkpoint / checkpoint_points.FILE, points.to_json().encode())
    if results is not None:
        results = results.model_copy(update={"of": WITHOUT_TEST})
    known = _describe(config, ready, setup, job, checkpoint.parent, results)
    known = known.model_copy(update={"trained_on": used})
    return export.write(checkpoint, known, out, point=point, license=license)


def without_test(setup: Setup, entrant: Entrant, all_data: bool) -> Setup:
    """Return the setup without a test part: trained on, or left out.

    Points are chosen for as many test queries as there were.
    """
    judged_on = setup.tested
    if entrant.steps:
        judged_on = int(setup.complete(0, TEST).sum())
    codes = setup.split.codes.copy()
    codes[codes == TEST] = TRAIN if all_data else REMOVED
    return replace(setup, split=replace(setup.split, codes=codes), perturb=0, judged_on=judged_on)


def chosen_points(
    setup: Setup, job: Job, result: Result, points: tuple[Point, ...]
) -> CheckpointPoints:
    """Return the operating points that the validation part chooses."""
    facts = fold_facts(setup, job.fold)
    models = setup.data.pool.models
    found: dict[str, float | str | None] = {MOST_ACCURATE.name: None}
    if setup.data.users is None:
        choices = assemble_decisions(setup, job.label, [(job, result)], points)
        for name, (slope,) in choices.lambdas.items():
            if name != MOST_ACCURATE.name:
                found[name] = facts.best_single if slope is None else slope
    costs = [(facts.mean_cost or {}).get(model) for model in models]
    known = np.array([np.nan if cost is None else cost for cost in costs], dtype=np.float64)
    return CheckpointPoints(models, known, found)


def _describe(
    config: RunConfig,
    ready: Prepared,
    setup: Setup,
    job: Job,
    place: Path,
    results: CheckpointResults | None,
) -> CheckpointDescription:
    data, header = setup.data, of_run.read_json(place / "job.json")
    before, judge = suite_info(ready.setup), reader_of(data.notes)
    tasks = (
        [] if data.queries.task is None else {str(t) for t in data.queries.task if t is not None}
    )
    users = {} if data.users is None else dict(
        zip(map(str, data.users.name), map(float, data.users.preference), strict=True)
    )  # fmt: skip
    return CheckpointDescription(
        routebench=routebench.__version__,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        router=job.label,
        plugin=header["plugin"],
        code=header["code"],
        options=header["options"],
        extensions=header["extensions"],
        fingerprint=job.fingerprint,
        seed=job.seed,
        fold=job.fold,
        steps=job.steps,
        models=list(data.pool.models),
        suite=before.name,
        source=before.source,
        measure=before.measure,
        queries=before.queries,
        split=before.split,
        shown=before.shown,
        training_only=before.training_only,
        fingerprints=ready.planned.prints,
        encoder=config.encoder_label,
        priced=ready.planned.prices.label,
        facts=fold_facts(setup, job.fold),
        prices=ready.planned.prices.snapshot,
        users=users,
        tasks=sorted(tasks),
        answers_as=judge,
        answers_options=config.set.get(judge or "", {}),
        results=results,
        notes=before.notes,
    )
