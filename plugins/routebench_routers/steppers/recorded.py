"""Training answers with what each scored and cost, as the routers that step learn from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from routebench.bought import Bought
from routebench.errors import DataError
from routebench.plugin.selection import covered
from routebench.records import Floats, Ints, Mask, Table

_FEW = 50


@dataclass(frozen=True)
class Recorded:
    """Queries of one or more tables with their answers: [n] texts and matrices [n, m]."""

    texts: list[str]
    score: Floats
    """0 where there is none."""
    ok: Mask
    """Cells with a score."""
    cost: Floats
    """USD; all 0 where the run has no prices."""
    answers: Bought

    @classmethod
    def of(cls, *tables: Table) -> Recorded:
        """Return the rows of all tables; a `DataError` where they hold no answers."""
        if any(table.answers is None for table in tables):
            raise DataError(
                "this router reads answers, and none are recorded",
                "it needs a suite with a response column, or a store",
            )
        score = np.concatenate([table.outcomes.score for table in tables])
        ok = np.concatenate([table.outcomes.ok for table in tables])
        costs = [table.outcomes.cost for table in tables]
        cost = np.concatenate([np.zeros(t.outcomes.score.shape) if c is None else c
                               for t, c in zip(tables, costs, strict=True)])  # fmt: skip
        return cls(
            [str(text) for table in tables for text in table.queries.text],
            np.where(ok, score, 0.0),
            ok,
            np.where(ok, np.nan_to_num(cost), 0.0),
            _together([table.answers for table in tables if table.answers is not None]),
        )

    def take(self, rows: Ints | Mask) -> Recorded:
        """Return the given queries."""
        texts = [self.texts[at] for at in np.arange(len(self.texts))[rows]]
        taken = self.score[rows], self.ok[rows], self.cost[rows], self.answers.take(rows)
        return Recorded(texts, *taken)

    def complete(self, models: Ints) -> tuple[Ints, Recorded]:
        """Return the models and the queries that all have a score for; one model where few are."""
        if self.whole(models).sum() < _FEW:
            models = self.order()[:1]
        return models, self.take(self.whole(models))

    def whole(self, models: Ints) -> Mask:
        """Return [n] the queries that all the models have a score for."""
        known: Mask = np.logical_and.reduce(self.ok[:, models], axis=1)
        return known

    def followed_by(self, other: Recorded) -> Recorded:
        """Return these queries and then the others."""
        return Recorded(
            self.texts + other.texts,
            np.concatenate([self.score, other.score]),
            np.concatenate([self.ok, other.ok]),
            np.concatenate([self.cost, other.cost]),
            _together([self.answers, other.answers]),
        )

    def mean_score(self) -> Floats:
        """Return [m] each model's mean score; −inf for one with answers to less than half."""
        means = self.score.sum(axis=0) / np.maximum(self.ok.sum(axis=0), 1)
        return np.where(covered(self.ok), means, -np.inf)

    def mean_cost(self) -> Floats:
        """Return [m] each model's mean cost in USD."""
        means: Floats = self.cost.sum(axis=0) / np.maximum(self.ok.sum(axis=0), 1)
        return means

    def order(self) -> Ints:
        """Return [m] the models from the best mean score down; of equals the cheaper first."""
        ranked: Ints = np.lexsort((self.mean_cost(), -self.mean_score()))
        return ranked


def _together(parts: list[Bought]) -> Bought:
    """Return the rows of all parts as one; a column that one of them lacks is left out."""
    columns: dict[str, Any] = {}
    for field in fields(Bought):
        values = [getattr(part, field.name) for part in parts]
        whole = all(value is not None for value in values)
        columns[field.name] = np.concatenate(values) if whole else None
    return Bought(**columns)
