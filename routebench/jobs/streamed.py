"""The run's side of a router that learns online: its processes, and what they are told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from routebench.data.splits import TEST
from routebench.isolation.messages import (
    Access,
    HindsightReply,
    HindsightRequest,
    OnlineReply,
    OnlineRequest,
    Reply,
)
from routebench.isolation.subprocesses import Workers
from routebench.jobs import arrow_io, left
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup
from routebench.online.reveal import Revealer
from routebench.records import Decisions, Table


def play_stream(
    setup: Setup,
    workers: Workers,
    job: Job,
    route: Path,
    access: Access,
    deadline: float | None,
    models: tuple[str, ...],
    failure: Callable[[str, Reply], Result],
) -> Result:
    """Play the stream of a job in a process that has no table; its cells stay here.

    The first seed's checkpoint also learns every cell, in a process of its own that chooses
    nothing that counts: the oracle of the router's class.
    """
    stream, rows = setup.stream, setup.rows(job.fold, TEST)
    assert stream is not None
    hindsight = None
    if job.seed == 0:
        learned = _in_hindsight(setup, workers, job, route, access, deadline, models)
        if isinstance(learned, Decisions):
            hindsight = learned.choice
        else:
            return failure("hindsight", learned)
    order = stream.order(job.seed)
    arriving = rows[order]
    queries = setup.data.queries.show(setup.data.visible).take(arriving)
    arrow_io.write_queries(route / "queries.arrow", queries)
    if setup.encoded is not None:
        setup.encoded.write(route / "vectors", list(queries.text))
    outcomes, settings = setup.data.outcomes, stream.settings
    revealer = Revealer(
        outcomes.score[arriving],
        None if outcomes.cost is None else outcomes.cost[arriving],
        settings.batch,
        settings.delay,
    )
    request = OnlineRequest(
        job.label, job.plugin, job.options, list(models), settings.batch, dict(job.extensions)
    )
    report = workers.run(
        request, route, access, deadline, libraries=setup.libraries(job), reveal=revealer
    )
    played = report.reply
    if not isinstance(played, OnlineReply):
        return failure("online", played)
    left.only_files(route / "checkpoint")
    made, back = revealer.finished(), np.argsort(order)
    chance = made.probability
    nothing = Decisions(np.zeros(0, dtype=np.int64))
    return Result(
        "ok",
        decisions=Decisions(
            made.choice[back],
            probability=None if chance is None else chance[back],
            hindsight=hindsight,
        ),
        validation=nothing,
        perturbed=nothing,
        timing=played.timing | {"encodes": setup.encoded is not None and played.encoded},
        warnings=tuple(report.warnings),
        isolation=report.isolation,
        facts=played.facts,
    )


def _in_hindsight(
    setup: Setup,
    workers: Workers,
    job: Job,
    route: Path,
    access: Access,
    deadline: float | None,
    models: tuple[str, ...],
) -> Decisions | Reply:
    """Return what the router chooses when it has learned from every cell of the stream."""
    rows, place = setup.rows(job.fold, TEST), route / "hindsight"
    place.mkdir()
    shutil.copytree(route / "checkpoint", place / "checkpoint")
    whole = setup.data.table(rows)
    table = Table(whole.queries.show(setup.data.visible), whole.outcomes, whole.pool)
    arrow_io.write_table(place / "table.arrow", table)
    if setup.encoded is not None:
        setup.encoded.write(place / "vectors", list(table.queries.text))
    request = HindsightRequest(
        job.label, job.plugin, job.options, list(models), dict(job.extensions)
    )
    reply = workers.run(request, place, access, deadline, libraries=setup.libraries(job)).reply
    if not isinstance(reply, HindsightReply):
        return reply
    decided = left.read_decisions(place / "decisions.arrow", len(rows), len(models))
    # The table is gone before the process that plays exists.
    shutil.rmtree(place)
    return decided
