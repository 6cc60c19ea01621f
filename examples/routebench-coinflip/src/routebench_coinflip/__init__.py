"""The coin-flip router: as many queries to the cheaper of two models as quality allows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from routebench import Context, Decisions, Queries, Table, hookimpl
from routebench.plugin import checkpoint


class CoinFlip:
    """Flips a biased coin between the two best models of the training part.

    The coin knows nothing of the query. Its bias is the largest share of the second model at
    which the mean score on validation falls by no more than `max_drop`; a second model that
    costs more than the best one is never used.
    """

    class Options(BaseModel):
        max_drop: float = Field(
            0.02, ge=0, le=1, description="mean score that may be lost for the cheaper model"
        )

    def __init__(self, options: Options) -> None:
        self.options = options
        self.best = self.other = self.seed = 0
        self.share = 0.0

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.seed = context.seed
        # A model without a single score has no mean: never one of the two.
        means = np.nan_to_num(train.outcomes.mean_score(), nan=-1.0)
        self.best, self.other = (int(model) for model in np.argsort(-means, kind="stable")[:2])
        self.share = self._share(train, validation)

    def _share(self, train: Table, validation: Table) -> float:
        cost = train.outcomes.mean_cost()
        if cost is not None and not cost[self.other] < cost[self.best]:
            return 0.0
        both = validation.outcomes.ok[:, [self.best, self.other]].all(axis=1)
        if not both.any():
            return 0.0
        scores = validation.outcomes.score[both]
        drop = float(scores[:, self.best].mean() - scores[:, self.other].mean())
        return min(1.0, self.options.max_drop / drop) if drop > 0 else 1.0

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        tails = np.array([self._flip(text) < self.share for text in queries.text], dtype=bool)
        return Decisions(np.where(tails, self.other, self.best))

    def _flip(self, text: str) -> float:
        """Uniform in [0, 1), and always the same for a text: a batch decides as single queries."""
        # A prefix of its own: splits are made from a hash of the text as well.
        digest = hashlib.sha256(f"coinflip:{self.seed}:{text}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    def save(self, folder: Path) -> None:
        names = ("best", "other", "share", "seed")
        checkpoint.save(folder, {name: getattr(self, name) for name in names})

    def load(self, folder: Path) -> None:
        state, _ = checkpoint.load(folder)
        vars(self).update(state)
