"""What a board says of an online run, made from choices and cells."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from routebench.data.splits import TEST
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup
from routebench.online import regret
from routebench.online.regret import RegretInterval
from routebench.records import Floats
from routebench.schema import Estimate, OnlinePlay, OnlinePoint, OnlineStream, Row


def online_stream(setup: Setup) -> OnlineStream | None:
    """Return what the board says of the stream; None for a run without one."""
    if (stream := setup.stream) is None:
        return None
    reward = _rewards(setup)
    best = regret.comparators(reward, stream.later)
    models, settings = setup.data.pool.models, stream.settings
    drift, parts = None, []
    if stream.later is not None:
        by_part = best[regret.BY_PART]
        parts = [models[int(by_part[mask][0])] for mask in (~stream.later, stream.later)]
        drift = f"the cells of {settings.swap} are exchanged"
        if settings.swap is None:
            drift = "a later table's cells"
    return OnlineStream(
        order="time" if stream.by == "time" else "seed",
        queries=len(stream),
        start=settings.start,
        batch=settings.batch,
        delay=settings.delay,
        trade_off=settings.trade_off,
        drift=drift,
        change=stream.change,
        best_single=models[int(best[regret.BEST_SINGLE][0])],
        best_single_by_part=parts,
    )


def with_play(row: Row, setup: Setup, results: Mapping[Job, Result]) -> Row:
    """Return a row that ended well with its regret."""
    stream = setup.stream
    if stream is None or row.state != "ok":
        return row
    jobs = sorted((job for job in results if job.label == row.router), key=lambda job: job.seed)
    decided = [results[job].decisions for job in jobs]
    choices = np.stack([one.choice for one in decided if one is not None])
    outcomes, reward = setup.data.outcomes.take(setup.rows(0, TEST)), _rewards(setup)
    against = regret.comparators(reward, stream.later)
    hindsight = next((d.hindsight for d in decided if d and d.hindsight is not None), None)
    if hindsight is not None:
        against[regret.CLASS] = hindsight
    orders = [stream.order(job.seed) for job in jobs]
    made = regret.played(choices, orders, reward, outcomes.score, outcomes.cost, against)
    play = OnlinePlay(
        learns=all(job.updates for job in jobs),
        regret={name: _estimate(one) for name, one in sorted(made.regret.items())},
        late={name: _estimate(one) for name, one in sorted(made.late.items())},
        logged=any(d is not None and d.probability is not None for d in decided),
        curve=[
            OnlinePoint(
                queries=point.queries,
                regret={name: _estimate(one) for name, one in sorted(point.regret.items())},
                score=_estimate(point.score),
                cost=None if point.cost is None else _estimate(point.cost),
            )
            for point in made.curve
        ],
    )
    return row.model_copy(update={"online": play})


def _rewards(setup: Setup) -> Floats:
    assert setup.stream is not None
    outcomes = setup.data.outcomes.take(setup.rows(0, TEST))
    return regret.rewards(outcomes.score, outcomes.cost, setup.stream.settings.trade_off)


def _estimate(one: RegretInterval) -> Estimate:
    low, high = (None if math.isnan(end) else end for end in (one.low, one.high))
    return Estimate(value=one.value, low=low, high=high)
