"""The trade-offs of a router that sees answers: what all its calls cost, and its points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routebench.data.splits import TEST, VALIDATION
from routebench.jobs.finished import Result, SteppedPart
from routebench.jobs.references import references
from routebench.jobs.setup import Setup
from routebench.metrics.points.choose import choose_point
from routebench.metrics.points.point import Point
from routebench.records import Codes, Floats, Ints
from routebench.steps.billing import billed


def stepped(
    setup: Setup,
    asked: Codes,
    folds: list[int],
    jobs: Sequence[Sequence[Result]],
    points: Sequence[Point],
) -> dict[str, Any]:
    """Return the fields of its `RouterChoices`, from who was asked [S, n, m].

    `jobs` are its results by seed, then fold. In an unpriced run, or of a router that is stepped
    at one trade-off only, there are no points.
    """
    made: dict[str, Any] = {"asked": asked}
    if setup.data.outcomes.cost is None:
        return made
    tested = np.concatenate([setup.rows(fold, TEST) for fold in folds])
    made["answer_cost"] = billed(asked, setup.data.outcomes.take(tested))
    steps = {len(job.trade_offs.lambdas) for seed in jobs for job in seed if job.trade_offs}
    if steps != {max(steps, default=0)} or max(steps) < 2:
        return made
    by_job = [
        [_points(setup, fold, job, points) for fold, job in zip(folds, seed, strict=True)]
        for seed in jobs
    ]

    def joined(value: Any) -> Any:
        return np.stack([np.concatenate([value(job) for job in seed], axis=-1) for seed in by_job])

    made["swept"] = joined(lambda job: job["choice"])
    made["swept_cost"] = joined(lambda job: job["cost"])
    names = [point.name for point in points if point.kind != "most-accurate"]
    made["points"] = {
        name: (joined(lambda job, n=name: job[n][0]), joined(lambda job, n=name: job[n][2]))
        for name in names
    }
    made["point_cost"] = {name: joined(lambda job, n=name: job[n][1]) for name in names}
    made["lambdas"] = {name: [job[name][3] for seed in by_job for job in seed] for name in names}
    return made


def _points(setup: Setup, fold: int, job: Result, points: Sequence[Point]) -> dict[str, Any]:
    """Return choices and costs [L, n] on a fold's test queries, and of each point [n]."""
    assert job.trade_offs is not None
    lambdas, best = job.trade_offs.lambdas, references(setup, fold)["best_single"]
    choice, cost = _decided(setup, fold, TEST, job.trade_offs.test)
    made: dict[str, Any] = {"choice": choice, "cost": cost}
    rows, whole = setup.rows(fold, VALIDATION), setup.complete(fold, VALIDATION)
    known = setup.data.outcomes.take(rows[whole])
    chosen, spent = _decided(setup, fold, VALIDATION, job.trade_offs.validation)
    chosen, spent = chosen[:, whole], spent[:, whole]
    texts = setup.data.text_hash[rows[whole]].astype(str)
    _, clusters = np.unique(texts, return_inverse=True)
    test = setup.data.outcomes.take(setup.rows(fold, TEST))
    assert known.cost is not None
    assert test.cost is not None
    stepped = sum(int(setup.complete(each, TEST).sum()) for each in range(len(setup.split.codes)))
    tested = stepped if setup.judged_on is None else setup.judged_on
    for point in points:
        index = None
        if whole.any():
            index = choose_point(
                known.score[np.arange(len(known.score)), chosen],
                spent,
                known.score[:, best],
                known.cost[:, best],
                point,
                clusters,
                tested,
            )
        at, price = np.full(choice.shape[1], best), test.cost[:, best]
        if index is not None:
            at, price = choice[index], cost[index]
        fixed = np.full(len(at), index is None)
        made[point.name] = at, price, fixed, None if index is None else lambdas[index]
    return made


def _decided(setup: Setup, fold: int, code: int, part: SteppedPart) -> tuple[Ints, Floats]:
    """Return choices and costs of all answers [L, n] on one part of a fold."""
    outcomes = setup.data.outcomes.take(setup.rows(fold, code))
    return part.choice.T, billed(part.asked.transpose(1, 0, 2), outcomes)
