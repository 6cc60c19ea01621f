"""k nearest neighbours: a model's predicted quality is its mean score on similar queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from routebench.encode import encoders
from routebench.hookspecs import Context, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import Chooser, covered
from routebench.records import Decisions, Floats, Queries, Table
from routebench_routers.confidence import Confidence
from routebench_routers.references import mean_scores

_CANDIDATES = (5, 10, 20, 50, 100, 200, 400)
# Similarities this close are one distance: float sums differ between a batch and a single query.
_TIE = 1e-9
_BLOCK = 512
_DOUBT = 10.0


class KNN:
    """Cosine kNN on the run's encoder; k is tuned on validation.

    Neighbours tied with the k-th are all counted, so that the order of the training rows does
    not matter. Where cells are missing, a model's training mean counts as ten more neighbours (for
    one hardly seen, the lowest score there is), so that one lucky answer decides nothing.
    """

    class Options(BaseModel):
        k: int | None = Field(None, ge=1, description="neighbours; tuned on validation if unset")

    def __init__(self, options: Options) -> None:
        self.options = options
        self._encoder: Any = None
        self._vectors: Any = None
        self._known: Any = None
        self._scores: Any = None
        self._prior: Any = None
        self._doubt = 0.0
        self._chooser: Any = None
        self._confidence = Confidence()
        self._k = 0

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self._encoder = context.encoder
        self._chooser = Chooser.learn(train, context.objective)
        self._remember(self._encoder.encode(list(train.queries.text)), train.outcomes.score)
        vectors = self._encode(validation.queries)
        self._k = self.options.k or self._tuned(vectors, validation)
        (expected,) = self._predict(vectors, [self._k])
        choice = self._chooser.choose(expected)
        self._confidence = Confidence.learn(expected, choice, validation)
        context.progress(1.0, f"{self._k} neighbours")

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        (quality,) = self._predict(self._encode(queries), [self._k])
        chosen = self._chooser.choose(quality)
        return Decisions(chosen, quality=quality, confidence=self._confidence(quality, chosen))

    def save(self, folder: Path) -> None:
        self._encoder.save(folder / "encoder")
        meta = {"k": self._k, "chooser": self._chooser.to_json()}
        meta["confidence"] = self._confidence.to_json()
        scores = np.where(self._known, self._scores, np.nan)
        arrays = {"vectors": self._vectors.astype(np.float32), "scores": scores}
        checkpoint.save(folder, meta, arrays)

    def load(self, folder: Path) -> None:
        meta, arrays = checkpoint.load(folder)
        self._encoder = encoders.load(folder / "encoder")
        self._remember(arrays["vectors"], arrays["scores"])
        self._chooser = Chooser.from_json(meta["chooser"])
        self._confidence = Confidence(**meta["confidence"])
        self._k = meta["k"]

    def _remember(self, vectors: Any, scores: Floats) -> None:
        self._vectors = np.asarray(vectors, dtype=np.float64)
        self._known = np.isfinite(scores).astype(np.float64)
        self._scores = np.nan_to_num(scores)
        self._doubt = 0.0 if np.isfinite(scores).all() else _DOUBT
        means = mean_scores(scores, np.isfinite(scores))
        enough = covered(np.isfinite(scores))
        worst = np.nanmin(scores) if np.isfinite(scores).any() else 0.0
        self._prior = np.where(enough & np.isfinite(means), means, worst)

    def _encode(self, queries: Queries) -> Floats:
        return np.asarray(self._encoder.encode(list(queries.text)), dtype=np.float64)

    def _tuned(self, vectors: Floats, validation: Table) -> int:
        """The k whose choices score best on validation; of equals the largest, the smoothest."""
        # All of them is the mean of each model: what is left where the text says nothing.
        everyone = len(self._vectors)
        candidates = sorted({min(k, everyone) for k in (*_CANDIDATES, everyone)})
        predicted = self._predict(vectors, candidates)
        reached = [self._chooser.value(quality, validation) for quality in predicted]
        return candidates[max(range(len(candidates)), key=lambda i: (reached[i], i))]

    def _predict(self, vectors: Floats, ks: list[int]) -> list[Floats]:
        """[n, m] predicted quality for each k."""
        blocks = range(0, len(vectors), _BLOCK)
        parts = [self._predict_block(vectors[s : s + _BLOCK], ks) for s in blocks]
        return [np.concatenate([part[i] for part in parts]) for i in range(len(ks))]

    def _predict_block(self, vectors: Floats, ks: list[int]) -> list[Floats]:
        similarity = vectors @ self._vectors.T
        nth = np.partition(-similarity, [min(k, similarity.shape[1]) - 1 for k in ks], axis=1)
        predicted = []
        for k in ks:
            limit = -nth[:, min(k, similarity.shape[1]) - 1]
            near = (similarity >= limit[:, None] - _TIE).astype(np.float64)
            counts = near @ self._known + self._doubt
            predicted.append((near @ self._scores + self._doubt * self._prior) / counts)
        return predicted
