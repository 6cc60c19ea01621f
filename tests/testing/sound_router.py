"""A sound router, which those that break a rule inherit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from routebench import Context, Decisions, Queries, Table, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import best
from routebench.records import Floats

CLOCK = SimpleNamespace(seconds=0.0)
"""What the time is, to those who ask; it stands still while nobody moves it on."""


class Sound:
    """Per word the mean score of every model; the quality of a query is the mean of its words."""

    class Options(BaseModel):
        floor: float = Field(0.0, ge=0, le=1, description="quality of a model never seen")

    def __init__(self, options: Any) -> None:
        self.options = options
        self.words: dict[str, list[float]] = {}
        self.prior: list[float] = []

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)

    def learn(self, train: Table) -> None:
        self.prior = self.means(train.outcomes.score)
        texts = [set(text.split()) for text in train.queries.text]
        self.words = {
            word: self.means(train.outcomes.score[[word in text for text in texts]])
            for word in sorted(set[str]().union(*texts))
            if not word.isdigit()  # of one text each
        }

    def means(self, score: Floats) -> list[float]:
        known = np.isfinite(score)
        totals = np.where(known, score, 0.0).sum(axis=0)
        means: list[float] = (totals / np.maximum(known.sum(axis=0), 1)).tolist()
        return means

    def scale(self, factor: float) -> None:
        self.words = {word: [factor * v for v in means] for word, means in self.words.items()}

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return self.decide(queries)

    def decide(self, queries: Queries) -> Decisions:
        quality = np.array([self.predict(text) for text in queries.text])
        return Decisions(best(quality, None), quality=quality)

    def predict(self, text: str) -> Any:
        known = [self.words[word] for word in text.split() if word in self.words]
        return np.mean(known, axis=0) if known else np.array(self.prior)

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"words": self.words, "prior": self.prior})

    def load(self, folder: Path) -> None:
        meta, _ = checkpoint.load(folder)
        self.words, self.prior = meta["words"], meta["prior"]
