"""The queries on which a policy and the log differ: only these can tell the two apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.errors import DataError
from routebench.prices.lists import ModelPrice
from routebench.records import Floats, Ints
from routebench.traffic import estimators, events
from routebench.traffic.evaluate import REWARDED, strata_of, subset
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.reprice import costs, mean_lengths
from routebench.traffic.target import TargetPolicy

CORRELATION = 0.4
"""Taken between two models' rewards on one query, until answers show it."""
UNKNOWN_SPREAD = 0.5
"""Standard deviation of the difference where the log has no rewards."""


@dataclass(frozen=True)
class Disagreements:
    """Distinct queries with the log's model and the policy's, which differ."""

    events: int
    """All of the traffic of which the policy's choice is known."""
    models: tuple[str, ...]
    query_id: tuple[str, ...]
    query: tuple[str, ...]
    task: tuple[str | None, ...]
    baseline: Ints
    """[n] place in `models`: what the log chose."""
    candidate: Ints
    count: Ints
    """[n] requests of that kind."""
    gain: Floats
    """[n] predicted reward of the candidate's model less that of the log's."""
    spread: Floats
    """[n] predicted standard deviation of that difference."""
    usd: Floats
    """[n, 2] about what the log's and the candidate's cell cost; NaN where unknown."""

    def __len__(self) -> int:
        return len(self.count)


def disagreements(
    log: LoggedEvents,
    path: Path,
    policy: TargetPolicy,
    prices: Mapping[str, ModelPrice],
    lengths: Mapping[str, float],
) -> Disagreements:
    """Return what a policy would have sent elsewhere than the log did.

    Raises:
        DataError: where the two nowhere differ, or the log has no texts of what they differ on.
    """
    known = policy.choice >= 0
    if not known.any():
        raise DataError(f"{policy.label}: of no request is known what it would have chosen")
    log, target = subset(log, known), policy.choice[known]
    differs = np.flatnonzero(log.chosen != target)
    if not len(differs):
        raise DataError(
            f"{policy.label} chooses as the log did everywhere: there is nothing to buy"
        )
    columns = events.read(path, ["query", "query_hash", "task"]).take(pa.array(log.order[differs]))
    if columns["query"].null_count:
        raise DataError(
            f"{path}: {columns['query'].null_count:,} events to be asked again have no text",
            "import with texts",
        )
    code = pc.dictionary_encode(columns["query"].combine_chunks()).indices.to_numpy()
    triple = np.stack([code, log.chosen[differs], target[differs]], axis=1)
    _, first, count = np.unique(triple, axis=0, return_index=True, return_counts=True)
    at = differs[first]
    own, aimed = _predicted(log, target)
    gain, spread = (aimed - own)[at], spread_of(own[at], aimed[at])
    rows = columns.take(pa.array(first)).to_pydict()
    return Disagreements(
        events=len(log),
        models=log.models,
        query_id=tuple(h or f"q{i}" for i, h in enumerate(rows["query_hash"])),
        query=tuple(rows["query"]),
        task=tuple(rows["task"]),
        baseline=log.chosen[at],
        candidate=target[at],
        count=count,
        gain=np.nan_to_num(gain),
        spread=spread,
        usd=_usd(log, at, target, prices, lengths),
    )


def _predicted(log: LoggedEvents, target: Ints) -> tuple[Floats, Floats]:
    """Return [n] predicted rewards of the log's model and the policy's; NaN without rewards."""
    reward = log.numbers["reward"]
    if (~np.isnan(reward)).sum() < REWARDED:
        return np.full(len(log), np.nan), np.full(len(log), np.nan)
    return estimators.predicted(
        reward, log.chosen, strata_of(log), log.session, len(log.models), target
    )


def spread_of(own: Floats, aimed: Floats) -> Floats:
    """Return the standard deviation of a difference of two rewards of 0 or 1 with these means."""
    first, second = (np.clip(p, 0.05, 0.95) * (1 - np.clip(p, 0.05, 0.95)) for p in (own, aimed))
    both = first + second - 2 * CORRELATION * np.sqrt(first * second)
    return np.where(np.isnan(both), UNKNOWN_SPREAD, np.sqrt(both))


def _usd(
    log: LoggedEvents,
    at: Ints,
    target: Ints,
    prices: Mapping[str, ModelPrice],
    lengths: Mapping[str, float],
) -> Floats:
    """Return [n, 2] the cost of asking both models: by prices and lengths, else their mean cost."""
    given, came = log.numbers["input_tokens"], log.numbers["output_tokens"]
    cost, size = costs(log, prices), len(log.models)
    answered = ~np.isnan(came) & ~log.failed
    tokens: Floats = np.bincount(log.chosen[answered], came[answered], size).astype(float)
    number = np.bincount(log.chosen[answered], minlength=size).astype(float)
    mean = mean_lengths(tokens[:, None], number[:, None], log.models, lengths)[:, 0]
    paid = ~np.isnan(cost)
    each = np.bincount(log.chosen[paid], cost[paid], size)
    usual = np.divide(
        each, np.bincount(log.chosen[paid], minlength=size),
        out=np.full(size, np.nan), where=each > 0,
    )  # fmt: skip
    made = np.empty((len(at), 2))
    for column, model in enumerate((log.chosen[at], target[at])):
        made[:, column] = usual[model]
        for place in np.unique(model):
            rows = np.flatnonzero(model == place)
            price = prices.get(log.models[place])
            prompt = given[at[rows]]
            if price is not None and not np.isnan(mean[place]):
                by_price = price.usd(prompt, np.full(len(rows), mean[place]))
                made[rows, column] = np.where(np.isnan(prompt), made[rows, column], by_price)
    return made
