"""Assemble one router's jobs, by seed and fold, into its choices on all test queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from routebench.board.steps.assembled import stepped
from routebench.data.perturbations import KINDS
from routebench.data.splits import TEST, TRAIN, VALIDATION
from routebench.jobs.finished import Result
from routebench.jobs.references import references
from routebench.jobs.setup import Job, Setup
from routebench.metrics.points.point import DEFAULT, Point
from routebench.metrics.points.sweep import Swept, ValidationFold, sweep
from routebench.metrics.setting import RouterChoices
from routebench.records import Decisions, Floats, Ints


def tested_rows(setup: Setup, fold: int) -> Ints:
    """Return the rows that a fold tests: once for every user who asks, in suites with users."""
    return setup.rows(fold, TEST) if setup.data.users is None else setup.asks(fold).row


def assemble_decisions(
    setup: Setup,
    label: str,
    results: Iterable[tuple[Job, Result]],
    points: Sequence[Point] = DEFAULT,
) -> RouterChoices:
    """Return one router's choices and expectations by seed [S, n], folds one after the other.

    `results` are all its jobs, each ended well.
    """
    by_job = {(j.seed, j.fold): r for j, r in results}
    if setup.data.users is not None:
        return _for_users(setup, label, {(j.seed, j.fold): (j, r) for j, r in results})
    seeds = sorted({seed for seed, _ in by_job})
    folds = sorted({fold for _, fold in by_job})

    def table(value: Callable[[int, Result], Any]) -> Any:
        return np.stack([np.concatenate([value(f, by_job[s, f]) for f in folds]) for s in seeds])

    def column(name: str) -> Any:
        parts = [getattr(_test(result), name) for result in by_job.values()]
        if any(part is None for part in parts):
            return None
        return table(lambda _, result: getattr(_test(result), name))

    known = {
        "choice": column("choice"),
        "quality": column("quality"),
        "confidence": column("confidence"),
        "policy": column("policy"),
    }
    if any(_test(result).usage for result in by_job.values()):
        known["router_cost"] = table(lambda _, result: routing_cost(_test(result)))
    if (asked := column("asked")) is not None:
        jobs = [[by_job[seed, fold] for fold in folds] for seed in seeds]
        return RouterChoices(label, **known, **stepped(setup, asked, folds, jobs, points))
    if setup.perturb:
        known["stable"] = table(lambda fold, result: _stable(setup, fold, result))
    if known["quality"] is not None:
        known["pair"] = _pair(setup, folds, known["quality"])
        swept = {at: _sweep(setup, at[1], result, points) for at, result in by_job.items()}
        if all(swept.values()):
            known |= _swept([[swept[s, f] for f in folds] for s in seeds])  # type: ignore[misc]
    return RouterChoices(label, **known)


def _for_users(
    setup: Setup, label: str, results: dict[tuple[int, int], tuple[Job, Result]]
) -> RouterChoices:
    """Return choices [S, n] by user and query; a router that knows no users serves all alike.

    Trade-offs and calibration are about scores, which rewards are not: none are made of these.
    """
    seeds = sorted({seed for seed, _ in results})
    folds = sorted({fold for _, fold in results})
    by_fold: dict[str, list[list[Any]]] = {}
    for seed in seeds:
        parts: dict[str, list[Any]] = {}
        for fold in folds:
            for name, values in _per_user(setup, fold, *results[seed, fold]).items():
                parts.setdefault(name, []).append(values)
        for name, each in parts.items():
            by_fold.setdefault(name, []).append(each)
    known: dict[str, Any] = {
        name: np.stack([np.concatenate(seed) for seed in each]) for name, each in by_fold.items()
    }
    return RouterChoices(label, **known)


def _per_user(setup: Setup, fold: int, job: Job, result: Result) -> dict[str, Any]:
    """Return choices, costs and policies per pair of query and user, in one job."""
    asks, decisions = setup.asks(fold), _test(result)
    rows, spent, sample = setup.rows(fold, TEST), routing_cost(decisions), setup.perturbed(fold)
    choice, policy = decisions.choice, decisions.policy
    # One pair of each query that was also asked perturbed and that anybody asks.
    places = asks.one_each(sample)
    if not job.personal:
        place = np.searchsorted(rows, asks.row)
        choice, spent = choice[place], spent[place]
        policy = None if policy is None else policy[place]
        has_asker = np.isin(sample, asks.row)
    else:
        has_asker = np.ones(len(places), dtype=np.bool_)
    stable = np.full(len(asks), np.nan)
    if setup.perturb:
        assert result.perturbed is not None
        forms = result.perturbed.choice.reshape(len(KINDS), len(has_asker))[:, has_asker]
        stable[places] = (forms == choice[places]).mean(axis=0)
    made: dict[str, Any] = {"choice": choice, "routed_differently": _differently(asks.row, choice)}
    if decisions.usage:
        made["router_cost"] = spent
    if policy is not None:
        made["policy"] = policy
    return made | ({"stable": stable} if setup.perturb else {})


def _differently(row: Ints, choice: Ints) -> Floats:
    """Return whether users of a query are sent to different models [p]; NaN for a lone user."""
    first, query = np.unique(row, return_index=True, return_inverse=True)[1:]
    low, high = (np.full(len(first), fill) for fill in (np.iinfo(np.int64).max, -1))
    np.minimum.at(low, query, choice)
    np.maximum.at(high, query, choice)
    several = np.bincount(query) > 1
    return np.where(several, low < high, np.nan)[query]


def _test(result: Result) -> Decisions:
    assert result.decisions is not None, "only routers whose jobs all ended well are put together"
    return result.decisions


def routing_cost(decisions: Decisions) -> Floats:
    """Return USD spent on routing each query [n]: 0 for a router that calls nothing."""
    return decisions.usage.cost if decisions.usage else np.zeros(len(decisions.choice))


def _stable(setup: Setup, fold: int, result: Result) -> Floats:
    """Return the share of perturbed forms that are decided like the query [n]; NaN unasked."""
    rows, sample = setup.rows(fold, TEST), setup.perturbed(fold)
    stable = np.full(len(rows), np.nan)
    assert result.perturbed is not None
    choice = _test(result).choice[: len(sample)]
    forms = result.perturbed.choice.reshape(len(KINDS), len(sample))
    stable[: len(sample)] = (forms == choice).mean(axis=0)
    return stable


def _pair(setup: Setup, folds: list[int], quality: Floats) -> tuple[Ints, Ints] | None:
    """Return the weak and the strong model [n] of a router that considers just two.

    None for any other router. The weak one is the cheaper, or in an unpriced run the one with
    the lower training score.
    """
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
        train = setup.table(fold, TRAIN).outcomes
        cost = train.mean_cost()
        strength = (train.mean_score() if cost is None else cost)[both]
        ends.append(np.tile(both[np.argsort(strength, kind="stable")], (n, 1)))
        start += n
    if not ends:
        return None
    weak, strong = np.concatenate(ends).T
    return weak, strong


def _sweep(setup: Setup, fold: int, result: Result, points: Sequence[Point]) -> Swept | None:
    """Return a job's trade-offs; None where no model it considers has a known cost."""
    train, known = (table.outcomes for table in setup.tables(fold))
    cost, fixed = train.mean_cost(), references(setup, fold)
    quality, test = getattr(result.validation, "quality", None), _test(result).quality
    if cost is None or quality is None or test is None or not len(quality):
        return None
    usable = np.isfinite(cost) & np.isfinite(test).all(axis=0)
    if not usable.any():
        return None
    texts = setup.data.text_hash[setup.rows(fold, VALIDATION)].astype(str)
    _, clusters = np.unique(texts, return_inverse=True)
    single, dearest = fixed["best_single"], fixed["most_expensive"]
    chosen_with = ValidationFold(known, cost, single, dearest, clusters, setup.tested)
    return sweep(chosen_with, quality, test, points)


def _swept(jobs: list[list[Swept]]) -> dict[str, Any]:
    """Join trade-offs by seed and fold: grids of equal length, and every operating point."""
    steps = max(len(job.lambdas) for seed in jobs for job in seed)

    def grid(job: Swept) -> Ints:
        # A shorter grid stays at its end, where all goes to the cheapest model.
        return job.choice[np.minimum(np.arange(steps), len(job.lambdas) - 1)]

    points, lambdas = {}, {}
    for name in jobs[0][0].points:
        at = [[job.points[name] for job in seed] for seed in jobs]
        choices = np.stack([np.concatenate([choice for choice, _ in seed]) for seed in at])
        fixed = [np.concatenate([np.full(len(c), x is None) for c, x in seed]) for seed in at]
        points[name] = choices, np.stack(fixed)
        lambdas[name] = [value for seed in at for _, value in seed]
    swept = np.stack([np.concatenate([grid(job) for job in seed], axis=1) for seed in jobs])
    return {"swept": swept, "points": points, "lambdas": lambdas}
