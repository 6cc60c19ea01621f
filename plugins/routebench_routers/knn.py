"""k nearest neighbours: a model's predicted quality is its mean score on similar queries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder
from routebench.plugin.selection import covered
from routebench.records import Floats, Queries, Table, Vectors
from routebench.routers.quality_router import QualityRouter
from routebench_routers.references import mean_scores

_CANDIDATES = (5, 10, 20, 50, 100, 200, 400)
# Similarities this close are equal: float sums differ between a batch and a single query.
_TIE = 1e-9
_BLOCK = 512
_DOUBT = 10.0


class KNN(QualityRouter):
    """Cosine kNN on the run's encoder; k is tuned on validation.

    Neighbours tied with the k-th are all counted, so that the order of the training rows does
    not matter. Where cells are missing, a model's training mean counts as ten more neighbours (for
    one hardly seen, the lowest score there is), so that one lucky answer decides nothing.
    """

    class Options(BaseModel):
        k: int | None = Field(None, ge=1, description="neighbours; tuned on validation if unset")

    libraries = ("encoder",)
    deterministic = True
    effort = 2
    options: Options
    encoder: FittedEncoder
    vectors: Vectors
    scores: Floats
    k: int

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self.encoder = context.encoder
        self.vectors = self.encoder.encode(list(train.queries.text))
        self.scores = train.outcomes.score
        self.k = self.options.k or self._tuned(validation)
        context.progress(1.0, f"{self.k} neighbours")

    def predict(self, queries: Queries) -> Floats:
        return self._neighbours.predict(self._encode(queries), [self.k])[0]

    @cached_property
    def _neighbours(self) -> Neighbours:
        return Neighbours.of(np.asarray(self.vectors, dtype=np.float64), self.scores)

    def _encode(self, queries: Queries) -> Floats:
        return np.asarray(self.encoder.encode(list(queries.text)), dtype=np.float64)

    def _tuned(self, validation: Table) -> int:
        """Return the k whose choices score best on validation; of equals the largest, smoothest."""
        # All rows as neighbours predict each model's mean: right where texts carry no signal.
        everyone = len(self.vectors)
        candidates = sorted({min(k, everyone) for k in (*_CANDIDATES, everyone)})
        predicted = self._neighbours.predict(self._encode(validation.queries), candidates)
        reached = [self.chooser.value(quality, validation) for quality in predicted]
        return candidates[max(range(len(candidates)), key=lambda i: (reached[i], i))]


@dataclass(frozen=True)
class Neighbours:
    """Vectors of the training queries and the scores [n, m] on them."""

    vectors: Floats
    known: Floats
    """[n, m] 1 for a known score, 0 for a missing one."""
    scores: Floats
    """[n, m] with 0 for a missing one."""
    prior: Floats
    """[m] the score of each model's additional pseudo-neighbours."""
    doubt: float
    """The number of pseudo-neighbours."""

    @classmethod
    def of(cls, vectors: Floats, scores: Floats) -> Neighbours:
        """Build from vectors [n, d] and scores [n, m], NaN where missing."""
        ok = np.isfinite(scores)
        means = mean_scores(scores, ok)
        worst = np.nanmin(scores) if ok.any() else 0.0
        prior = np.where(covered(ok) & np.isfinite(means), means, worst)
        doubt = 0.0 if ok.all() else _DOUBT
        return cls(vectors, ok.astype(np.float64), np.nan_to_num(scores), prior, doubt)

    def predict(self, vectors: Floats, ks: list[int]) -> list[Floats]:
        """Return [n, m] the predicted quality for each k."""
        blocks = range(0, len(vectors), _BLOCK)
        parts = [self._predict_block(vectors[s : s + _BLOCK], ks) for s in blocks]
        return [np.concatenate([part[i] for part in parts]) for i in range(len(ks))]

    def _predict_block(self, vectors: Floats, ks: list[int]) -> list[Floats]:
        similarity = vectors @ self.vectors.T
        nth = np.partition(-similarity, [min(k, similarity.shape[1]) - 1 for k in ks], axis=1)
        predicted = []
        for k in ks:
            limit = -nth[:, min(k, similarity.shape[1]) - 1]
            near = (similarity >= limit[:, None] - _TIE).astype(np.float64)
            counts = near @ self.known + self.doubt
            predicted.append((near @ self.scores + self.doubt * self.prior) / counts)
        return predicted
