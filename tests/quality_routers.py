"""Routers made of `learn` and `predict`, and the table that tests fit them on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from conftest import small_table

from routebench import (
    Context,
    Objective,
    QualityRouter,
    Queries,
    Table,
)
from routebench.encode.encoders import FittedOnUse
from routebench.jobs.harness import Harness
from routebench.records import Floats

NAN = np.nan


class ByWord(QualityRouter):
    """The mean score of each model on the training queries that share a word."""

    known: dict[str, list[float]]

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        texts = [set(text.split()) for text in train.queries.text]
        words = [w for w in sorted(set[str]().union(*texts)) if not w.isdigit()]
        of = {w: train.outcomes.take(np.array([w in text for text in texts])) for w in words}
        everything = {"": train.outcomes, **of}
        self.known = {w: np.nan_to_num(o.mean_score()).tolist() for w, o in everything.items()}

    def predict(self, queries: Queries) -> Floats:
        found = [[self.known[w] for w in t.split() if w in self.known] for t in queries.text]
        return np.array([np.mean(one or [self.known[""]], axis=0) for one in found])


class Constant(QualityRouter):
    """What a test says, whatever the query."""

    value: Any = ((1.0, 0.0),)

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        pass

    def predict(self, queries: Queries) -> Any:
        return np.repeat(np.array(self.value), len(queries), axis=0)


def table(**columns: Any) -> Table:
    texts = [f"{word} number {i}" for i in range(20) for word in ("red", "blue")]
    return small_table([[1, 0], [0, 1]] * 20, texts, **columns)


def fitted(router: Any, train: Table, objective: tuple[float, float] = (1, 0)) -> Any:
    encoder = FittedOnUse("tfidf-svd", {"dimension": 4}, list(train.queries.text))
    Harness(router).fit(train, train, Context(0, encoder, Path(), objective=Objective(*objective)))
    return router


def new(cls: Any, **state: Any) -> Any:
    router = cls(cls.Options())
    vars(router).update(state)
    return router
