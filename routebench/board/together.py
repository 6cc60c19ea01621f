"""From the jobs of one router, by seed and fold, to its choices on all test queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from routebench.jobs import Job, Result, Setup
from routebench.metrics.operating import POINTS, Ground, Swept, sweep
from routebench.metrics.setting import Routed
from routebench.perturb import KINDS
from routebench.records import Decisions, Floats, Ints
from routebench.selection import best_single, by_cost
from routebench.splits import TEST, TRAIN, VALIDATION


def put_together(setup: Setup, label: str, own: Iterable[tuple[Job, Result]]) -> Routed:
    """One router's choices and expectations by seed [S, n], folds one after the other."""
    found = {(j.seed, j.fold): r for j, r in own}
    seeds = sorted({seed for seed, _ in found})
    folds = sorted({fold for _, fold in found})

    def table(value: Callable[[int, Result], Any]) -> Any:
        return np.stack([np.concatenate([value(f, found[s, f]) for f in folds]) for s in seeds])

    def column(name: str) -> Any:
        parts = [getattr(_test(result), name) for result in found.values()]
        if any(part is None for part in parts):
            return None
        return table(lambda _, result: getattr(_test(result), name))

    known = {
        "choice": column("choice"),
        "quality": column("quality"),
        "confidence": column("confidence"),
    }
    if any(_test(result).usage for result in found.values()):
        known["router_cost"] = table(lambda _, result: _own_cost(_test(result)))
    if setup.perturb:
        known["stable"] = table(lambda fold, result: _stable(setup, fold, result))
    if known["quality"] is not None:
        known["pair"] = _pair(setup, folds, known["quality"])
        swept = {at: _sweep(setup, at[1], result) for at, result in found.items()}
        if all(swept.values()):
            known |= _swept([[swept[s, f] for f in folds] for s in seeds])  # type: ignore[misc]
    return Routed(label, **known)


def references(setup: Setup, fold: int) -> dict[str, int]:
    """The fixed models that a fold's own training data name."""
    outcomes, pool = setup.data.outcomes, setup.data.pool
    train = outcomes.take(setup.rows(fold, TRAIN))
    both = np.concatenate([setup.rows(fold, TRAIN), setup.rows(fold, VALIDATION)])
    cost = train.mean_cost()
    fixed = {"best_single": best_single(outcomes.take(both), cost)}
    for name, declared in (("cheapest", pool.small), ("strongest", pool.large)):
        if declared is not None:
            fixed[name] = pool.index(declared)
        elif cost is not None:
            fixed[name] = by_cost(train, cost, dearest=name == "strongest")
    return fixed


def _test(result: Result) -> Decisions:
    assert result.decisions is not None, "only routers whose jobs all ended well are put together"
    return result.decisions


def _own_cost(decisions: Decisions) -> Floats:
    return decisions.usage.cost if decisions.usage else np.zeros(len(decisions.choice))


def _stable(setup: Setup, fold: int, result: Result) -> Floats:
    """[n] share of a test query's perturbed forms that are decided like itself; NaN unasked."""
    rows, sample = setup.rows(fold, TEST), setup.perturbed(fold)
    stable = np.full(len(rows), np.nan)
    assert result.perturbed is not None
    choice = _test(result).choice[: len(sample)]
    forms = result.perturbed.choice.reshape(len(KINDS), len(sample))
    stable[: len(sample)] = (forms == choice).mean(axis=0)
    return stable


def _pair(setup: Setup, folds: list[int], quality: Floats) -> tuple[Ints, Ints] | None:
    """The weak and the strong model [n] of a router that considers just two in every job."""
    considered = ~np.isnan(quality)
    if (considered.sum(axis=2) != 2).any() or (considered != considered[0]).any():
        return None
    ends: list[Ints] = []
    start = 0
    for fold in folds:
        n = len(setup.rows(fold, TEST))
        if not n:
            continue
        both = np.flatnonzero(considered[0, start])
        train = setup.data.outcomes.take(setup.rows(fold, TRAIN))
        cost = train.mean_cost()
        worth = (train.mean_score() if cost is None else cost)[both]
        ends.append(np.tile(both[np.argsort(worth, kind="stable")], (n, 1)))
        start += n
    weak, strong = np.concatenate(ends).T
    return weak, strong


def _sweep(setup: Setup, fold: int, result: Result) -> Swept | None:
    """A job's trade-offs; None where no model it considers has a known cost."""
    train = setup.data.outcomes.take(setup.rows(fold, TRAIN))
    cost, fixed = train.mean_cost(), references(setup, fold)
    quality, test = getattr(result.validation, "quality", None), _test(result).quality
    if cost is None or quality is None or test is None or not len(quality):
        return None
    usable = np.isfinite(cost) & np.isfinite(test).all(axis=0)
    if not usable.any():
        return None
    validation = setup.data.outcomes.take(setup.rows(fold, VALIDATION))
    ground = Ground(validation, cost, fixed["best_single"], fixed["strongest"])
    return sweep(ground, quality, test)


def _swept(jobs: list[list[Swept]]) -> dict[str, Any]:
    """By seed and fold: grids of equal length, and every operating point."""
    steps = max(len(job.lambdas) for seed in jobs for job in seed)

    def grid(job: Swept) -> Ints:
        # A shorter grid stays at its end, where all goes to the cheapest model.
        return job.choice[np.minimum(np.arange(steps), len(job.lambdas) - 1)]

    points, lambdas = {}, {}
    for name in POINTS:
        at = [[job.points[name] for job in seed] for seed in jobs]
        choices = np.stack([np.concatenate([choice for choice, _ in seed]) for seed in at])
        fixed = [np.concatenate([np.full(len(c), x is None) for c, x in seed]) for seed in at]
        points[name] = choices, np.stack(fixed)
        lambdas[name] = [value for seed in at for _, value in seed]
    swept = np.stack([np.concatenate([grid(job) for job in seed], axis=1) for seed in jobs])
    return {"swept": swept, "points": points, "lambdas": lambdas}
