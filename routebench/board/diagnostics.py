"""What a board says of its data: headroom, states, costs, and every model by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from routebench.data.splits import TRAIN
from routebench.jobs.references import references
from routebench.jobs.setup import Setup
from routebench.metrics.evaluate import Evaluation
from routebench.prices.apply import PriceInfo
from routebench.records import Floats, Grade, Ints, Outcomes, State
from routebench.schema import Diagnostics, FoldFacts


def diagnostics(
    setup: Setup, prices: PriceInfo, rows: Ints, evaluation: Evaluation, assumed: int
) -> Diagnostics:
    """Return what a board says of its data; `rows` are the tested ones, `assumed` tokens."""
    outcomes, test = setup.data.outcomes, np.unique(rows)
    return Diagnostics(
        headroom=_plain(evaluation.headroom),
        disagreement=evaluation.disagreement,
        routable=evaluation.routable,
        cheapest_dominates=evaluation.cheapest_dominates,
        mde=evaluation.mde,
        mde_of=evaluation.mde_of,
        scored=evaluation.scored,
        left_out=evaluation.left_out,
        missing=evaluation.missing,
        leaked=setup.split.leaked,
        removed=setup.split.removed,
        states=evaluation.states,
        cost_basis=prices.basis,
        assumed_output_tokens=assumed if prices.basis.get("assumed") else None,
        pool={
            model: {
                "all": _single(outcomes, index),
                "test": _single(outcomes.take(test), index),
            }
            for index, model in enumerate(setup.data.pool.models)
        },
        oracle_all=_oracle(outcomes) if setup.data.users is None else None,
        folds=[fold_facts(setup, fold) for fold in range(len(setup.split.codes))],
    )


def fold_facts(setup: Setup, fold: int) -> FoldFacts:
    """Return the models that a fold's training part names, with their mean costs and scores."""
    models = setup.data.pool.models
    train = setup.table(fold, TRAIN).outcomes
    means = {"mean_cost": train.mean_cost(), "mean_score": train.mean_score()}
    return FoldFacts.model_validate(
        {name: models[model] for name, model in references(setup, fold).items()}
        | {
            name: dict(zip(models, map(_plain, values), strict=True))
            for name, values in means.items()
            if values is not None
        }
    )


def _single(outcomes: Outcomes, model: int) -> dict[str, float | None]:
    """Return means of one model over the queries it was asked."""
    ok = outcomes.ok[:, model]
    facts = {"answered": float((outcomes.state[:, model] != State.ABSENT).mean())}
    if outcomes.relative_cost is None:
        facts["accuracy"] = _mean(outcomes.score[ok, model])
    else:
        facts["effect"] = _mean(outcomes.score[ok, model])
        facts["relative_cost"] = _mean(outcomes.relative_cost[ok, model])
    if outcomes.cost is not None:
        facts["cost_per_1k"] = 1000 * _mean(outcomes.cost[ok, model])
    if outcomes.grade is not None:
        facts["attempted"] = _mean(outcomes.grade[ok, model] != Grade.NOT_ATTEMPTED)
    return {name: _plain(value) for name, value in facts.items()}


def _oracle(outcomes: Outcomes) -> float | None:
    covered = outcomes.ok.any(axis=1)
    best_score = np.where(outcomes.ok, outcomes.score, -np.inf).max(axis=1)
    return _plain(_mean(best_score[covered]))


def _mean(values: Floats | Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
