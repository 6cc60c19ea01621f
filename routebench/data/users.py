"""Users who ask the same queries: their rewards, and who asks what.

Outcomes stay per query and model, and users apart: their product is only made of what is scored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from routebench.data.splits import TRAIN, Split
from routebench.records import (
    Floats,
    Ints,
    Mask,
    Outcomes,
    Queries,
    State,
    SuiteData,
    Table,
    Users,
)


def reward(outcomes: Outcomes, preference: Floats | float) -> Floats:
    """Return [n, m] w · score − (1 − w) · relative cost, for one preference w or [n] of them."""
    assert outcomes.relative_cost is not None, "a suite with users says what its answers cost them"
    weight = np.asarray(preference, dtype=np.float64)
    weight = weight[:, None] if weight.ndim else weight
    rewards: Floats = weight * outcomes.score - (1 - weight) * outcomes.relative_cost
    return rewards


def valued(outcomes: Outcomes, preference: Floats | float) -> Outcomes:
    """Return the outcomes with the reward for their score; a cell without one is not OK."""
    rewards = reward(outcomes, preference)
    lost = outcomes.ok & np.isnan(rewards)
    state = np.where(lost, State.UNPRICED, outcomes.state).astype(np.int8)
    return Outcomes(np.where(outcomes.ok, rewards, np.nan), state, outcomes.cost)


def marginalise(table: Table) -> Table:
    """Return the table without users, its scores the mean rewards of those who asked."""
    if table.users is None:
        return table
    outcomes = valued(table.outcomes, mean_preference(table.users, len(table)))
    return Table(table.queries, outcomes, table.pool)


def mean_preference(users: Users, n: int) -> Floats:
    """Return [n] mean weight of those who asked each query; of all users where nobody did."""
    everybody = float(users.preference.mean())
    if users.asked is None:
        return np.full(n, everybody)
    count = users.asked.sum(axis=1)
    means: Floats = np.full(n, everybody)
    np.divide(users.asked @ users.preference, count, out=means, where=count > 0)
    return means


@dataclass(frozen=True)
class Asks:
    """p pairs of a query and a user who asks it: queries in order, users within each."""

    row: Ints
    """[p] row of the query in the suite."""
    user: Ints
    """[p] index of the user."""

    @classmethod
    def of(cls, rows: Ints, users: Ints, asked: Mask | None) -> Asks:
        """Combine each given query with the given users who asked it."""
        row, user = np.repeat(rows, len(users)), np.tile(users, len(rows))
        if asked is None:
            return cls(row, user)
        kept = asked[row, user]
        return cls(row[kept], user[kept])

    def __len__(self) -> int:
        return len(self.row)

    def queries(self, queries: Queries, users: Users) -> Queries:
        """Return [p] the queries as a router is asked them, with their users and preferences."""
        return replace(
            queries.take(self.row),
            user=users.name[self.user],
            preference=users.preference[self.user],
        )

    def one_each(self, rows: Ints) -> Ints:
        """Return one pair of each given query that anybody asks, another user every time."""
        first = np.searchsorted(self.row, rows, side="left")
        count = np.searchsorted(self.row, rows, side="right") - first
        picked: Ints = first + np.arange(len(rows)) % np.maximum(count, 1)
        return picked[count > 0]


def few_shot(users: Users, newcomers: Mask, n: int, shots: int, seed: int) -> Users:
    """Return the users; newcomers are known by `shots` of n queries only (left out for 0)."""
    kept = np.flatnonzero(~newcomers | (shots > 0))
    known = users.only(kept)
    if not shots or not newcomers.any():
        return known
    asked = np.ones((n, len(kept)), dtype=np.bool_) if known.asked is None else known.asked
    rng = np.random.default_rng([seed, 0x5407])
    for column in np.flatnonzero(newcomers[kept]):
        queries = rng.permutation(np.flatnonzero(asked[:, column]))
        asked[:, column] = False
        asked[queries[:shots], column] = True
    return replace(known, asked=asked)


def short_of_shots(data: SuiteData, split: Split, shots: int) -> tuple[str, ...]:
    """Return a note where users unseen in training asked fewer training queries than `shots`."""
    if not shots or data.users is None or data.users.asked is None or split.held_out is None:
        return ()
    short = 0
    for codes, new in zip(split.codes, split.held_out, strict=True):
        short += int((data.users.asked[codes == TRAIN][:, new].sum(axis=0) < shots).sum())
    note = f"{short} users have fewer than {shots} training queries to be known by"
    return (note,) if short else ()
