"""Small settings to evaluate routers in."""

from __future__ import annotations

from typing import Any

import numpy as np

from routebench.metrics.evaluate import Evaluation, RouterChoices, Setting, evaluate
from routebench.records import Outcomes, Pool, State
from routebench.schema import Estimate

NAN = float("nan")
SCORES = [[1, 1], [0, 1], [0, 1], [1, 0]]
COSTS = [[0.001, 0.004]] * 4


def setting(
    score: Any = SCORES,
    cost: Any = COSTS,
    grade: Any = None,
    state: Any = None,
    best: int = 1,
    **changes: Any,
) -> Setting:
    """Model `best` is best-single, the last is most expensive, the first cheapest."""
    values = np.array(score, dtype=np.float64)
    n, m = values.shape
    outcomes = Outcomes(
        values,
        np.where(np.isnan(values), State.FAILED, State.OK).astype(np.int8)
        if state is None
        else np.array(state, np.int8),
        None if cost is None else np.array(cost, dtype=np.float64),
        None if grade is None else np.array(grade, dtype=np.int8),
    )
    fields: dict[str, Any] = {
        "outcomes": outcomes,
        "pool": Pool(tuple(f"model-{i}" for i in range(m))),
        "best_single": np.full(n, best),
        "clusters": np.arange(n),
        "most_expensive": None if cost is None else np.full(n, m - 1),
        "cheapest": None if cost is None else np.zeros(n, np.int64),
        "mean_cost": None if cost is None else np.nanmean(outcomes.cost, axis=0),  # type: ignore[arg-type]
    }
    return Setting(**(fields | changes))


def router(choice: Any, cost: float | None = None, name: str = "mine") -> RouterChoices:
    seeds = np.atleast_2d(np.array(choice))
    return RouterChoices(name, seeds, None if cost is None else np.full(seeds.shape, cost))


def run(given: Setting, *routed: RouterChoices, resamples: int = 400) -> Evaluation:
    return evaluate(given, list(routed), resamples=resamples)


def big(n: int = 400, m: int = 3, seed: int = 0, **changes: Any) -> Setting:
    rng = np.random.default_rng(seed)
    score = (rng.random((n, m)) < np.linspace(0.4, 0.6, m)) * 1.0
    cost = rng.lognormal(size=(n, m)) * np.arange(1, m + 1) * 1e-3
    return setting(score, cost, best=m - 1, **changes)


def values(estimates: dict[str, Estimate]) -> dict[str, float | None]:
    return {name: one.value for name, one in estimates.items()}
