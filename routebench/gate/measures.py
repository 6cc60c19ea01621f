"""What one router's two sets of decisions come to: scores and costs per query, side by side.

Runs that may be compared have the same outcomes, so that both sides are scored, and priced, by
those of the candidate: where prices differ, that re-prices the baseline's decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from routebench.board.read_run import Stored, common
from routebench.errors import DataError
from routebench.gate.schema import Flip, Flips
from routebench.gate.verdict import Effect, Paired, flips, same, typical_size
from routebench.metrics.bootstrap import Groups
from routebench.metrics.definitions import usage
from routebench.metrics.estimates import is_binary
from routebench.records import Floats, Ints, Mask, Outcomes

LARGEST = 10
_A = TypeVar("_A", Floats, Ints)


@dataclass(frozen=True)
class Ground:
    """The n test queries that both runs decided for, and what every model did on them."""

    old: Stored
    new: Stored
    rows: tuple[Ints, Ints]
    """[n] each: the queries among the old run's, and among the new one's."""
    outcomes: Outcomes
    clusters: Ints

    @classmethod
    def of(cls, old: Stored, new: Stored) -> Ground:
        rows = common(old, new)
        if not len(rows[0]) == len(old.keys) == len(new.keys):
            raise DataError(
                f"{old.folder} and {new.folder}: not the same test queries, although the "
                f"fingerprints say so",
                "routebench verify finds out which of the two was changed",
            )
        return cls(old, new, rows, new.outcomes.take(rows[1]), new.clusters[rows[1]])

    @cached_property
    def alone(self) -> bool:
        """Whether every query is drawn by itself."""
        return Groups.of(self.clusters, len(self.clusters)).size is None

    def side(self, router: str, new: bool) -> Side:
        """A router's decisions in one of the runs."""
        run, rows = (self.new, self.rows[1]) if new else (self.old, self.rows[0])
        own = run.router_cost(router)
        return Side(self, run.choices(router)[:, rows], None if own is None else own[:, rows])

    def name(self, at: int) -> tuple[str, str | None]:
        """The suite's id of a query, and who asks it."""
        row = self.rows[1][at]
        users = self.new.users
        query = self.new.setup.data.ids[self.new.rows[row]]
        return str(query), None if users is None else str(users[row])


@dataclass(frozen=True)
class Side:
    """One router's decisions in one run."""

    ground: Ground
    choice: Ints
    """[S, n]."""
    own_cost: Floats | None = None
    """[S, n] USD of the routing itself, NaN where unknown."""

    @cached_property
    def usable(self) -> Mask:
        """[S, n] decisions for an answer that can be scored."""
        mask: Mask = self._chosen(self.ground.outcomes.ok)
        return mask

    @cached_property
    def score(self) -> Floats:
        """[S, n]."""
        values: Floats = self._chosen(self.ground.outcomes.score)
        return values

    @cached_property
    def answers(self) -> Floats | None:
        """[S, n] USD of the answers; None in an unpriced run."""
        cost = self.ground.outcomes.cost
        return None if cost is None else self._chosen(cost)

    @cached_property
    def cost(self) -> Floats | None:
        """[S, n] USD of the answers and of the routing."""
        if self.answers is None or self.own_cost is None:
            return self.answers
        total: Floats = self.answers + self.own_cost
        return total

    @property
    def usage(self) -> Floats:
        """[m] share of the decisions that each model got."""
        return usage(self.choice, self.ground.outcomes.score.shape[1])

    def _chosen(self, cells: Any) -> Any:
        return cells[np.arange(len(cells)), self.choice]


@dataclass(frozen=True)
class Measure:
    """One metric of one router, old and new, and how the difference is to be tested."""

    old: float
    new: float
    exact: Effect | None = None
    """Known without resampling: decided alike, or 0/1 scores."""
    paired: Paired | None = None


@dataclass(frozen=True)
class Both:
    """One router in both runs."""

    router: str
    old: Side
    new: Side

    @property
    def ground(self) -> Ground:
        return self.new.ground

    @cached_property
    def scored(self) -> Mask:
        """[n] queries on which every seed of both has a usable answer."""
        both = np.concatenate([self.old.usable, self.new.usable])
        mask: Mask = np.logical_and.reduce(both, axis=0)
        return mask

    @cached_property
    def alike(self) -> bool:
        """Whether all decisions are the same."""
        return np.array_equal(_once(self.old.choice), _once(self.new.choice))

    def quality(self, unit: bool) -> Measure:
        """Accuracy, in [0, 1], or a reward, which has no range of its own."""
        old, new = (_once(side.score[:, self.scored]) for side in (self.old, self.new))
        means = float(old.mean()), float(new.mean())
        if self.alike:
            return Measure(*means, exact=same())
        difference = _paired(new, old)
        plain = unit and len(old) == len(new) == 1 and self.ground.alone
        if plain and is_binary(old) and is_binary(new):
            losses, gains = int((difference < 0).sum()), int((difference > 0).sum())
            return Measure(*means, exact=flips(losses, gains, difference.shape[1]))
        ends = (-1.0, 1.0) if unit else self._range(self.ground.outcomes.score, old)
        return Measure(*means, paired=self._pair(difference, ends))

    def spending(self) -> Measure | None:
        """Total cost, relative to the old one; None where it is not known of both."""
        if self.old.cost is None or self.new.cost is None:
            return None
        old, new = (_once(cost[:, self.scored]) for cost in (self.old.cost, self.new.cost))
        if np.isnan(old).any() or np.isnan(new).any():
            return None
        means = 1000 * float(old.mean()), 1000 * float(new.mean())
        free = not old.any() and not new.any()
        if free or (self.alike and np.array_equal(old, new)):
            return Measure(*means, exact=same())
        assert self.ground.outcomes.cost is not None
        cheapest, dearest = self._range(self.ground.outcomes.cost, old)
        paired = self._pair(_paired(old, new), (-dearest, -cheapest), old.mean(axis=0))
        return Measure(*means, paired=paired)

    def _pair(
        self, difference: Floats, ends: tuple[float, float], base: Floats | None = None
    ) -> Paired:
        """Zeros where nothing is scored: all routers are resampled together, on all queries."""
        whole = np.zeros((len(difference), len(self.scored)))
        whole[:, self.scored] = difference
        under = self.scored.astype(np.float64)
        if base is not None:
            under[self.scored] = base
        return Paired(whole, *ends, under)

    def _range(self, cells: Floats, old: Floats) -> tuple[float, float]:
        """How far one query could move, down and up, were it decided otherwise."""
        usable, cells = self.ground.outcomes.ok[self.scored], cells[self.scored]
        base = old.mean(axis=0)
        low = np.where(usable, cells, np.inf).min(axis=1) - base
        high = np.where(usable, cells, -np.inf).max(axis=1) - base
        return -typical_size(np.minimum(low, 0)), typical_size(np.maximum(high, 0))

    def flips(self) -> Flips:
        """The decisions that changed, those that matter most first."""
        seeds = min(len(self.old.choice), len(self.new.choice))
        moved = self.old.choice[:seeds] != self.new.choice[:seeds]
        seed, at = np.nonzero(moved & self.scored)
        gained = self.new.score[seed, at] - self.old.score[seed, at]
        spent = np.zeros(len(at))
        if self.old.answers is not None and self.new.answers is not None:
            spent = self.new.answers[seed, at] - self.old.answers[seed, at]
        order = np.lexsort((at, -np.abs(spent), gained, -np.abs(gained)))
        first: dict[int, int] = {}
        for k in order:
            first.setdefault(int(at[k]), int(seed[k]))
        means = [side.score[:, self.scored].mean(axis=0) for side in (self.old, self.new)]
        return Flips(
            router=self.router,
            changed=float(moved.mean()),
            worse=int((means[1] < means[0]).sum()),
            better=int((means[1] > means[0]).sum()),
            largest=[self._flip(own, query) for query, own in list(first.items())[:LARGEST]],
        )

    def _flip(self, seed: int, at: int) -> Flip:
        models = self.ground.new.models
        query, user = self.ground.name(at)
        costs = [
            None if side.answers is None else float(side.answers[seed, at])
            for side in (self.old, self.new)
        ]
        return Flip(
            query=query,
            user=user,
            old_model=models[self.old.choice[seed, at]],
            new_model=models[self.new.choice[seed, at]],
            old_score=float(self.old.score[seed, at]),
            new_score=float(self.new.score[seed, at]),
            old_cost=costs[0],
            new_cost=costs[1],
        )


def _once(by_seed: _A) -> _A:
    """One row, where all seeds have the same."""
    return by_seed[:1] if (by_seed == by_seed[:1]).all() else by_seed


def _paired(first: Floats, second: Floats) -> Floats:
    """[S, n] by seed, or [1, n] of means over seeds where the two have different ones."""
    if len(first) != len(second):
        first, second = (side.mean(axis=0, keepdims=True) for side in (first, second))
    return np.subtract(first, second, dtype=np.float64)
