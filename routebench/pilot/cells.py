"""The cells of a suite that a pilot bought: its queries and its models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from routebench.collect.planning import CollectionPlan
from routebench.errors import DataError
from routebench.records import Ints, Outcomes, Pool, SuiteData


def of_plan(plan: CollectionPlan, data: SuiteData) -> SuiteData:
    """Return the queries and models of the plan alone, out of all that its store has.

    Raises:
        DataError: where a model has no answer in it.
    """
    wanted = {question.query_id for question in plan.questions}
    rows = np.flatnonzero([str(name) in wanted for name in data.ids])
    at = []
    for target in plan.targets:
        names = (target.model, target.name)
        found = [m for m, name in enumerate(data.pool.models) if name in names]
        if not found:
            raise DataError(
                f"{plan.store.name}: no answer of {target.name} in it",
                "a larger --budget, or see why its calls failed: routebench collect",
            )
        at.append(found[0])
    columns = np.sort(np.array(at, dtype=np.int64))
    pool = Pool(tuple(data.pool.models[m] for m in columns))
    return replace(
        data,
        queries=data.queries.take(rows),
        ids=data.ids[rows],
        keys=data.keys[rows],
        text_hash=data.text_hash[rows],
        outcomes=_of_models(data.outcomes.take(rows), columns),
        pool=pool,
        split=None if data.split is None else data.split[rows],
        references=None,
        answers=None,
        finals=None,
        finish_reasons=None,
    )


def _of_models(outcomes: Outcomes, columns: Ints) -> Outcomes:
    """Return score, state and cost of the given models."""
    cost = None if outcomes.cost is None else outcomes.cost[:, columns]
    return Outcomes(outcomes.score[:, columns], outcomes.state[:, columns], cost)
