"""Routers that name a policy per query: shares and quality by policy.

Also the router against either model of its pair.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from routebench.metrics import contrasts, definitions
from routebench.metrics.bootstrap import Column, Groups, bootstrap_means
from routebench.metrics.estimates import UNDEFINED, UNPRICED, estimate, is_binary, null
from routebench.metrics.headroom import ChosenCells
from routebench.metrics.per_query import PerQuery, cell_columns, resample, router_columns
from routebench.metrics.setting import RouterChoices, Setting
from routebench.metrics.statistics import ratio
from routebench.plugin.selection import COVERED
from routebench.records import Floats, Ints, Mask
from routebench.schema import (
    BEST_SINGLE,
    MOST_EXPENSIVE,
    REFERENCES,
    Difference,
    Estimate,
    Policies,
    PolicyUse,
    SingleModel,
)

NOT_NAMED = "no query of the resample has this policy"
HOLES = "the two models have no answer on most test queries"
FREE = "the model costs nothing"
_COMPARED = {REFERENCES[name]: name for name in (BEST_SINGLE, MOST_EXPENSIVE)}
"""References that are one model for all queries, as every row of the board names them."""


def policies(
    setting: Setting, routed: Iterable[RouterChoices], resamples: int = 10_000, seed: int = 0
) -> dict[str, Policies]:
    """Return policies of routers that name them; `setting` and `routed` are the scored queries."""
    by_router = {}
    for one in routed:
        if one.policy is None:
            continue
        pair = dict(zip(("medium", "large"), one.pair or (), strict=False))
        by_router[one.name] = Policies(
            use=use(setting, one, resamples, seed),
            **{name: against(setting, one, model, resamples, seed) for name, model in pair.items()},
        )
    return by_router


def use(setting: Setting, one: RouterChoices, resamples: int, seed: int) -> dict[str, PolicyUse]:
    """Return the share, accuracy and cost of every policy that a router named."""
    assert one.policy is not None
    cells = ChosenCells.of(setting.outcomes, one.choice)
    names = sorted(set(one.policy.ravel().tolist()))
    columns: list[Column] = []
    for name in names:
        named = (one.policy == name).astype(np.float64)
        columns += [named, named * cells.score]
        columns += [] if cells.cost is None else [named * cells.cost]
    drawn = bootstrap_means(columns, setting.clusters, resamples=resamples, seed=seed)
    point = np.array([column.mean(axis=1).mean() for column in columns])
    width = len(columns) // len(names)
    return {
        name: _use(
            setting,
            one.policy == name,
            point[at * width : (at + 1) * width],
            drawn[:, at * width : (at + 1) * width],
            is_binary(cells.score),
        )
        for at, name in enumerate(names)
    }


def _use(setting: Setting, named: Any, point: Floats, drawn: Floats, binary: bool) -> PolicyUse:
    """Return one policy out of the means of its columns: named, right, and what it cost."""
    groups = Groups.of(setting.clusters, len(setting.clusters))
    there = len(np.unique(setting.clusters[named.any(axis=0)]))

    def per_decision(at: int, scale: float = 1, exact: int = 0) -> Estimate:
        value = scale * float(ratio(point[at], point[0]))
        samples = scale * ratio(drawn[:, at], drawn[:, 0])
        return estimate(value, samples, NOT_NAMED, ratio=True, exact=exact)

    return PolicyUse(
        n=int(named.sum()),
        share=estimate(float(point[0]), drawn[:, 0], exact=groups.count),
        accuracy=per_decision(1, exact=there if binary else 0),
        cost_per_1k=per_decision(2, 1000) if len(point) > 2 else null(UNPRICED),
    )


def against(
    setting: Setting, one: RouterChoices, model: Ints, resamples: int, seed: int
) -> SingleModel:
    """Compare a router with one model [n] of its pair, on the queries that both can answer."""
    assert one.pair is not None
    at, ok = np.arange(len(model)), setting.outcomes.ok
    rows: Mask = ok[at, one.pair[0]] & ok[at, one.pair[1]]
    names = {setting.pool.models[m] for m in model}
    name, n = next(iter(names)) if len(names) == 1 else None, int(rows.sum())
    for reference, name_on_board in _COMPARED.items():
        if rows.all() and np.array_equal(setting.fixed.get(reference), model):  # type: ignore[arg-type]
            return SingleModel(model=name, reference=name_on_board, n=n)
    if rows.mean() < COVERED:
        lost = Difference.model_validate({"value": None, "reason": HOLES})
        return SingleModel(model=name, n=n, accuracy=lost, savings=null(HOLES))
    part = setting.take(rows)
    router = router_columns(one, rows, part)
    single = PerQuery(cell_columns(ChosenCells.of(part.outcomes, model[rows])))
    both = resample([router, single], part.clusters, resamples, seed)
    groups = Groups.of(part.clusters, n)
    difference = contrasts.against({"": (router, both[0])}, (single, both[1]), groups)[""]
    return SingleModel(
        model=name, n=n, accuracy=difference["accuracy"], savings=_savings(both[0], both[1])
    )


def _savings(router: Any, single: Any) -> Estimate:
    if "cost" not in router.point:
        return null(UNPRICED)
    paid, samples = (
        definitions.savings(
            definitions.total_cost(means["cost"], means["router_cost"]), other["cost"]
        )
        for means, other in ((router.point, single.point), (router.samples, single.samples))
    )
    known = np.isfinite(float(router.point["router_cost"]))
    reason = FREE if known else UNDEFINED["total_cost_per_1k"]
    return estimate(float(paid), samples, reason, ratio=True)
