"""Routers and references alike: per-query columns, and their means over the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from routebench.metrics.bootstrap import Column, bootstrap_means
from routebench.metrics.headroom import Cells, hindsight_choice, oracle_choice, random_mean
from routebench.metrics.setting import Routed, Setting
from routebench.records import Floats, Grade, Ints, Mask, Outcomes

Columns = dict[str, Column]
"""Per query, [n] or [S, n]: `score`, and where known `cost`, `correct`, `incorrect`,
`router_cost`. A `weight` says which queries count; the others must hold zeros."""
Values = Mapping[str, Floats]
"""Means of columns: plain ([]) or one per resample ([B])."""


@dataclass(frozen=True)
class Party:
    """A router or a reference with its columns."""

    columns: Columns
    usage: list[Column] = field(default_factory=list)
    """One 0/1 column per model, for routers."""
    seeds: int = 1


@dataclass(frozen=True)
class Means:
    """A party's means over the queries, and over each of B resamples of them."""

    point: Values
    samples: Values
    usage: Floats
    """[m]."""
    usage_samples: Floats
    """[B, m]."""


def resample(
    parties: Sequence[Party],
    clusters: Ints,
    resamples: int,
    seed: int,
    stream: int = 0,
) -> list[Means]:
    """Means of every party's columns over the same resamples, so that all are paired."""
    columns = [c for p in parties for c in (*p.columns.values(), *p.usage)]
    drawn = bootstrap_means(columns, clusters, resamples=resamples, seed=seed, stream=stream)
    means, at = [], 0
    for party in parties:
        width, models = len(party.columns), len(party.usage)
        own = dict(zip(party.columns, drawn[:, at : at + width].T, strict=True))
        point = {name: np.asarray(_mean(column)) for name, column in party.columns.items()}
        shares = np.array([_mean(column) for column in party.usage])
        usage = drawn[:, at + width : at + width + models]
        means.append(Means(_weighted(point), _weighted(own), shares, usage))
        at += width + models
    return means


def _mean(column: Column) -> float:
    return float(column.mean(axis=-1, dtype=np.float64).mean())


def _weighted(values: Values) -> Values:
    if "weight" not in values:
        return values
    with np.errstate(invalid="ignore"):  # a resample may hold none of the queries that count
        return {k: np.asarray(v / values["weight"]) for k, v in values.items() if k != "weight"}


BESIDE = ("effect", "relative_cost", "best_llm_accuracy", "routed_differently")
"""Columns that are metrics as they are: of suites with users."""


def router_party(routed: Routed, kept: Mask, setting: Setting) -> Party:
    """A router's columns on the scored queries; seeds that all agree are kept once."""
    outcomes, choice = setting.outcomes, _once(routed.choice[:, kept])
    columns = cell_columns(Cells.chosen(outcomes, choice)) | _beside(setting, choice)
    if routed.routed_differently is not None:
        differs = _once(routed.routed_differently[:, kept])
        several = ~np.isnan(differs)
        if several.any():  # of the queries that more than one user asks
            columns["routed_differently"] = np.where(several, differs, 0) / several.mean()
    if routed.router_cost is not None:
        columns["router_cost"] = _once(routed.router_cost[:, kept])
    elif outcomes.cost is not None:
        columns["router_cost"] = np.zeros(choice.shape[-1])
    usage = [choice == model for model in range(outcomes.score.shape[1])]
    return Party(columns, usage, len(routed.choice))


def _once(column: Column) -> Column:
    return column[0] if len(column) == 1 or (column == column[0]).all() else column


def cell_columns(cells: Cells) -> Columns:
    """The columns of chosen cells; three-state ones only where every cell has a grade."""
    columns: Columns = {"score": cells.score}
    if cells.cost is not None:
        columns["cost"] = cells.cost
    if cells.grade is not None and (cells.grade != Grade.NONE).all():
        columns |= {"correct": cells.correct, "incorrect": cells.incorrect}
    return columns


def reference_parties(setting: Setting) -> dict[str, Party]:
    """Oracle, random, best_single, best_single_hindsight, and cheapest, strongest if known."""
    outcomes = setting.outcomes
    choices = {"oracle": oracle_choice(outcomes), **setting.fixed}
    if setting.blind_oracle is not None:
        choices["blind_oracle"] = setting.blind_oracle
    columns = {
        name: cell_columns(Cells.chosen(outcomes, at)) | _beside(setting, at)
        for name, at in choices.items()
    }
    columns["random"] = _random_columns(outcomes) | {
        name: random_mean(values, outcomes.ok) for name, values in setting.beside.items()
    }
    columns["best_single_hindsight"] = _hindsight_columns(outcomes, setting.mean_cost)
    return {name: Party(columns[name]) for name in sorted(columns)}


def _beside(setting: Setting, choice: Ints) -> Columns:
    at = (np.arange(choice.shape[-1]), choice)
    return {name: values[at] for name, values in setting.beside.items()}


def _random_columns(outcomes: Outcomes) -> Columns:
    matrices: Columns = cell_columns(Cells(outcomes.score, outcomes.cost, _grades(outcomes)))
    return {name: random_mean(values, outcomes.ok) for name, values in matrices.items()}


def _hindsight_columns(outcomes: Outcomes, mean_cost: Floats | None) -> Columns:
    model = hindsight_choice(outcomes, mean_cost)
    ok = outcomes.ok[:, model]
    cells = Cells.chosen(
        Outcomes(outcomes.score, outcomes.state, outcomes.cost, _grades(outcomes)),
        np.full(len(ok), model),
    )
    columns = cell_columns(cells)
    if ok.all():
        return columns
    masked: Columns = {name: np.where(ok, values, 0) for name, values in columns.items()}
    return masked | {"weight": ok}


def _grades(outcomes: Outcomes) -> Column | None:
    """Grades with a stand-in where no grade is needed, so that only OK cells decide."""
    if outcomes.grade is None:
        return None
    return np.where(outcomes.ok, outcomes.grade, np.int8(Grade.NOT_ATTEMPTED))
