"""k nearest neighbours: a model's predicted quality is its mean score on similar queries."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder
from routebench.records import Floats, Queries, Table, Vectors
from routebench.routers.quality_router import QualityRouter
from routebench.routers.sampling import sample
from routebench_routers.neighbours import Neighbours

_CANDIDATES = (5, 10, 20, 50, 100, 200, 400)


class KNN(QualityRouter):
    """Cosine kNN on the run's encoder; k is tuned on validation, or on a sample of a large one.

    Neighbours tied with the k-th are all counted, so that the order of the training rows does
    not matter. Where cells are missing, a model's training mean counts as ten more neighbours (for
    one hardly seen, the lowest score there is), so that one lucky answer decides nothing.
    """

    family = "learned from texts"

    class Options(BaseModel):
        k: int | None = Field(None, ge=1, description="neighbours; tuned on validation if unset")
        tuning_queries: int = Field(
            10_000, ge=1, description="validation queries to tune k on; of more, a sample by hash"
        )

    libraries = ("encoder",)
    deterministic = True
    cheap_fit = True
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

    def relearn(self, table: Table, context: Context) -> None:
        everyone = self.k == len(self.vectors)  # the models' means, of however many queries
        self.encoder, self.scores = context.encoder, table.outcomes.score
        self.vectors = self.encoder.encode(list(table.queries.text))
        self.k = len(table) if everyone else self.k

    def predict(self, queries: Queries) -> Floats:
        if (known := self._from_tuning.get(tuple(queries.text))) is not None:
            return known
        return self._neighbours.predict(self._encode(queries), [self.k])[0]

    @cached_property
    def _from_tuning(self) -> dict[tuple[str, ...], Floats]:
        """Return what tuning has predicted, by texts: confidence is calibrated on the same."""
        return {}

    @cached_property
    def _neighbours(self) -> Neighbours:
        return Neighbours.of(self.vectors, self.scores)

    def _encode(self, queries: Queries) -> Floats:
        return np.asarray(self.encoder.encode(list(queries.text)), dtype=np.float64)

    def _tuned(self, validation: Table) -> int:
        """Return the k whose choices score best on validation; of equals the largest, smoothest."""
        # All rows as neighbours predict each model's mean: right where texts carry no signal.
        everyone = len(self.vectors)
        candidates = sorted({min(k, everyone) for k in (*_CANDIDATES, everyone)})
        checked = sample(validation, self.options.tuning_queries)
        predicted = self._neighbours.predict(self._encode(checked.queries), candidates)
        reached = [self.chooser.value(quality, checked) for quality in predicted]
        best = max(range(len(candidates)), key=lambda i: (reached[i], i))
        self._from_tuning[tuple(checked.queries.text)] = predicted[best]
        return candidates[best]
