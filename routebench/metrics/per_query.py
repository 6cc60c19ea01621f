"""Per-query columns of routers and references, and their means over the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from routebench.metrics.bootstrap import Column, distinct_means
from routebench.metrics.headroom import ChosenCells, hindsight_choice, oracle_choice, random_mean
from routebench.metrics.setting import RouterChoices, Setting
from routebench.records import Codes, Floats, Grade, Ints, Mask, Outcomes
from routebench.steps.billing import waited

Columns = dict[str, Column]
"""Per query, [n] or [S, n]: `score`, and where known `cost`, `correct`, `incorrect`,
`router_cost`. A `weight` says which queries count; the others must hold zeros."""
Values = Mapping[str, Floats]
"""Means of columns: plain ([]) or one per resample ([B])."""


@dataclass(frozen=True)
class PerQuery:
    """The columns of a router or of a reference."""

    columns: Columns
    usage: list[Column] = field(default_factory=list)
    """One 0/1 column per model, for routers."""
    seeds: int = 1


@dataclass(frozen=True, eq=False)
class Means:
    """Means of columns over the queries, and over each of B resamples of them.

    Of entrants with equal columns they are one object, so that what follows is made once.
    """

    point: Values
    samples: Values
    usage: Floats
    """[m]."""
    usage_samples: Floats
    """[B, m]."""


def resample(
    entrants: Sequence[PerQuery],
    clusters: Ints,
    resamples: int,
    seed: int,
    stream: int = 0,
) -> list[Means]:
    """Return the means of all columns over the same resamples, so that all are paired."""
    columns = [c for e in entrants for c in (*e.columns.values(), *e.usage)]
    drawn, at = distinct_means(columns, clusters, resamples=resamples, seed=seed, stream=stream)
    places, means = iter(at), list[Means]()
    known: dict[tuple[Any, ...], Means] = {}
    for entrant in entrants:
        of_columns = {name: next(places) for name in entrant.columns}
        of_usage = [next(places) for _ in entrant.usage]
        key = *of_columns.items(), *of_usage
        if key not in known:
            samples = {name: drawn[place] for name, place in of_columns.items()}
            point = {name: np.asarray(_mean(column)) for name, column in entrant.columns.items()}
            shares = np.array([_mean(column) for column in entrant.usage])
            usage = np.ascontiguousarray(drawn[of_usage].T)
            known[key] = Means(_weighted(point), _weighted(samples), shares, usage)
        means.append(known[key])
    return means


def _mean(column: Column) -> float:
    return float(column.mean(axis=-1, dtype=np.float64).mean())


def _weighted(values: Values) -> Values:
    if "weight" not in values:
        return values
    with np.errstate(invalid="ignore"):  # a resample may hold none of the queries that count
        return {k: np.asarray(v / values["weight"]) for k, v in values.items() if k != "weight"}


STEPS = ("calls", "oracle_of_asked", "answer_seconds")
"""Columns that are metrics as they are: of routers that see answers."""
BESIDE = ("effect", "relative_cost", "best_llm_accuracy", "routed_differently", *STEPS)
"""Columns that are metrics as they are: of suites with users, and of routers that see answers."""


def router_columns(routed: RouterChoices, scored: Mask, setting: Setting) -> PerQuery:
    """Return a router's columns on the scored queries; seeds that all agree are kept once."""
    outcomes, choice = setting.outcomes, collapsed(routed.choice[:, scored])
    columns = cell_columns(ChosenCells.of(outcomes, choice)) | _beside(setting, choice)
    if routed.answer_cost is not None:
        columns["cost"] = collapsed(routed.answer_cost[:, scored])
        for name in setting.lengths:  # of the chosen answers: unknown for all that were asked for
            columns.pop(f"cost_{name}", None)
    if routed.asked is not None:
        columns |= _step_columns(collapsed(routed.asked[:, scored]), outcomes, setting)
    if routed.routed_differently is not None:
        differs = collapsed(routed.routed_differently[:, scored])
        several = ~np.isnan(differs)
        if several.any():  # of the queries that more than one user asks
            columns["routed_differently"] = np.where(several, differs, 0) / several.mean()
    if routed.router_cost is not None:
        columns["router_cost"] = collapsed(routed.router_cost[:, scored])
    elif outcomes.cost is not None:
        columns["router_cost"] = np.zeros(choice.shape[-1])
    usage = [choice == model for model in range(outcomes.score.shape[1])]
    return PerQuery(columns, usage, len(routed.choice))


def _step_columns(asked: Codes, outcomes: Outcomes, setting: Setting) -> Columns:
    """Return calls, seconds where they are known, and the best score among the asked models."""
    columns: Columns = {
        "calls": (asked > 0).sum(axis=-1).astype(np.float64),
        "oracle_of_asked": np.where(asked > 0, outcomes.score, -np.inf).max(axis=-1),
    }
    for name, cost in setting.lengths.items():
        columns[f"cost_{name}"] = np.where(asked > 0, cost, 0.0).sum(axis=-1)
    if outcomes.latency is not None and np.isfinite(seconds := waited(asked, outcomes)).all():
        columns["answer_seconds"] = seconds
    return columns


def collapsed(column: Column) -> Column:
    """Return [n] the first row of [S, n] where all seeds agree; else the column itself."""
    return column[0] if len(column) == 1 or (column == column[0]).all() else column


def cell_columns(cells: ChosenCells) -> Columns:
    """Return the columns of chosen cells; three-state ones only where every cell has a grade."""
    columns: Columns = {"score": cells.score}
    if cells.cost is not None:
        columns["cost"] = cells.cost
    if cells.grade is not None and (cells.grade != Grade.NONE).all():
        columns["correct"] = cells.grade == Grade.CORRECT
        columns["incorrect"] = cells.grade == Grade.INCORRECT
    return columns


def reference_columns(setting: Setting) -> dict[str, PerQuery]:
    """Return the columns of all references; of cheapest and most_expensive where known."""
    outcomes = setting.outcomes
    choices = {"oracle": oracle_choice(outcomes), **setting.fixed}
    if setting.blind_oracle is not None:
        choices["blind_oracle"] = setting.blind_oracle
    columns = {
        name: cell_columns(ChosenCells.of(outcomes, at)) | _beside(setting, at)
        for name, at in choices.items()
    }
    columns["random"] = _random_columns(outcomes) | {
        name: random_mean(values, outcomes.ok) for name, values in setting.beside.items()
    }
    columns["best_single_hindsight"] = _hindsight_columns(outcomes, setting.mean_cost)
    return {name: PerQuery(columns[name]) for name in sorted(columns)}


def _beside(setting: Setting, choice: Ints) -> Columns:
    at = (np.arange(choice.shape[-1]), choice)
    other = {f"cost_{name}": values[at] for name, values in setting.lengths.items()}
    return {name: values[at] for name, values in setting.beside.items()} | other


def _random_columns(outcomes: Outcomes) -> Columns:
    matrices: Columns = cell_columns(ChosenCells(outcomes.score, outcomes.cost, _grades(outcomes)))
    return {name: random_mean(values, outcomes.ok) for name, values in matrices.items()}


def _hindsight_columns(outcomes: Outcomes, mean_cost: Floats | None) -> Columns:
    model = hindsight_choice(outcomes, mean_cost)
    ok = outcomes.ok[:, model]
    cells = ChosenCells.of(
        Outcomes(outcomes.score, outcomes.state, outcomes.cost, _grades(outcomes)),
        np.full(len(ok), model),
    )
    columns = cell_columns(cells)
    if ok.all():
        return columns
    masked: Columns = {name: np.where(ok, values, 0) for name, values in columns.items()}
    return masked | {"weight": ok}


def _grades(outcomes: Outcomes) -> Column | None:
    """Return grades with a stand-in where no grade is needed, so that only OK cells decide."""
    if outcomes.grade is None:
        return None
    return np.where(outcomes.ok, outcomes.grade, np.int8(Grade.NOT_ATTEMPTED))
