"""The base of routers that learn online: rewards, draws, and what a warm start tells."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.records import Decisions, Floats, Ints, Queries, Strings, Table
from routebench.routers.state import DeclaredState

_KEPT = 4096  # texts whose vectors wait for the outcome of what was chosen


class OnlineLearner(DeclaredState, ABC):
    """A router made of `prepare`, `expected`, `chances` and `learn`.

    A reward is score − λ · USD, λ that of `context.trade_offs`; an unknown cost counts as none.
    On a warm start it learns every cell of the training tables, as if it had chosen it. Until the
    first outcome comes it then chooses what it expects most of: where none ever comes, as in a run
    of another protocol, it is a router that was trained before.
    """

    seed: int
    models: int
    trade_off: float
    learned: int = 0
    """Outcomes that came."""
    level: float | None = None
    """The mean reward in training; None on a cold start."""

    @abstractmethod
    def prepare(self, train: Table, validation: Table, context: Context) -> None:
        """Set what does not depend on outcomes, such as features; and what came before any."""

    @abstractmethod
    def expected(self, queries: Queries) -> Floats:
        """Return [n, m] the expected reward of every model."""

    @abstractmethod
    def chances(self, queries: Queries, expected: Floats) -> Floats:
        """Return [n, m] the probability with which each model is chosen."""

    def spent_on(self, cost: Floats) -> None:
        """Note what choices cost [n]; NaN is unknown."""

    @abstractmethod
    def learn(self, queries: Queries, choice: Ints, reward: Floats, cost: Floats) -> None:
        """Learn rewards [n] that are known; a cost is NaN where it is not."""

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        self.seed, self.models = context.seed, len(train.pool)
        self.trade_off = context.trade_offs[0]
        self.level = self._level(train)
        self.prepare(train, validation, context)
        for table in (train, validation):
            rows, choice = np.nonzero(table.outcomes.ok)
            cost = table.outcomes.cost
            if len(rows):
                costs = np.full(len(rows), np.nan) if cost is None else cost[rows, choice]
                score = table.outcomes.score[rows, choice]
                self._learn(table.queries.take(rows), choice, score, costs)

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        self.spent_on(cost)
        self._learn(queries, choice, score, cost)
        self.learned += len(choice)

    def forget_derived(self) -> None:
        super().forget_derived()
        for name in ("_vectors", "_below"):  # what subclasses keep of the state and its encoder
            self.__dict__.pop(name, None)

    def _learn(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        known = np.isfinite(score)
        if not known.all():
            queries = queries.take(known)
            choice, score, cost = choice[known], score[known], cost[known]
        if len(choice):
            reward = score - self.trade_off * np.nan_to_num(cost) if self.trade_off else score
            self.learn(queries, choice, reward, cost)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        expected = self.expected(queries)
        if self.level is not None and not self.learned:
            chance = explored(expected.argmax(axis=1), self.models, 0.0)
        else:
            chance = self.chances(queries, expected)
        drawn = np.array([self._uniform(str(text)) for text in queries.text])
        sums = chance.cumsum(axis=1)
        choice = (sums <= drawn[:, None] * sums[:, -1:]).sum(axis=1)
        # Rounding may leave the draw above all sums, or on a model without a chance.
        last = self.models - 1 - (chance > 0)[:, ::-1].argmax(axis=1)
        choice = np.minimum(choice, last)
        certain = bool((chance[np.arange(len(choice)), choice] == 1).all())
        given = None if certain and not self.draws else chance
        return Decisions(choice.astype(np.int64), quality=expected, probability=given)

    @property
    def start(self) -> float:
        """Return the reward at which models begin: the mean in training, or the highest there is.

        A high start has every model tried.
        """
        return 1.0 if self.level is None else self.level

    def _level(self, train: Table) -> float | None:
        outcomes = train.outcomes
        if not outcomes.ok.any():
            return None
        reward = outcomes.score
        if self.trade_off and outcomes.cost is not None:
            reward = reward - self.trade_off * np.nan_to_num(outcomes.cost)
        return float(reward[outcomes.ok].mean())

    @property
    def draws(self) -> bool:
        """Return whether it draws its choices at all."""
        return True

    def _uniform(self, text: str) -> float:
        """Return a number in [0, 1): by the text and what was learned, whatever the batch."""
        place = f"online:{self.seed}:{self.learned}:{text}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(place).digest()[:6], "big") / 2**48

    def encoded(self, encoder: FittedEncoder, texts: Strings) -> Floats:
        """Return [n, d] the vectors of texts; those of the last ones are kept for their update."""
        kept: dict[str, Any] = self.__dict__.setdefault("_vectors", {})
        new = [text for text in dict.fromkeys(texts) if text not in kept]
        if len(new) > _KEPT:
            return np.asarray(encoder.encode(list(texts)), dtype=np.float64)
        if new:
            for text, vector in zip(new, encoder.encode(new), strict=True):
                kept[text] = np.asarray(vector, dtype=np.float64)
        made = np.stack([kept[text] for text in texts])
        while len(kept) > _KEPT:
            del kept[next(iter(kept))]
        return made


def explored(choice: Ints, models: int, epsilon: float) -> Floats:
    """Return [n, m] the chances of a choice that is replaced by any model with probability ε."""
    chance = np.full((len(choice), models), epsilon / models)
    chance[np.arange(len(choice)), choice] += 1 - epsilon
    return chance
