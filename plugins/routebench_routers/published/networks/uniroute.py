"""UniRoute: a model is its scores in each cluster of queries; a new one needs a few answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from routebench.hookspecs import Context
from routebench.records import Floats
from routebench_routers.neighbours import shrunk_means
from routebench_routers.published.clusters import indicators, kmeans
from routebench_routers.published.examples import Examples
from routebench_routers.published.networks.descent import DescentOptions, DescentRouter, Parts
from routebench_routers.references import mean_scores

_SHARP = 10.0  # of the map that learning begins with
_PER_CLUSTER = 20  # training queries at least, on average
_STARTS = 30  # of k-means: with few, what it finds in small tables hangs on rounding


class UniRoute(DescentRouter):
    """Expected score = Φ(x)·Ψ(m), of a query's clusters and a model's mean score in each of them.

    With `map = "learned"` Φ is a softmax of a linear map of the query's vector, learned by the log
    loss of Φ·Ψ against the scores of models that are known on most queries; with `"kmeans"` it is
    the nearest centre. A new model changes Ψ alone: its scores on some hundred queries are enough.

    Source: UniRoute (arXiv 2502.08773). Preset `paper`: the learned map, no shrinkage.

    Deviations: Ψ is taken from all known scores of the training part unless `validation_queries`
    says of how many, and shrunk to the model's mean, which counts as 20 queries in every cluster;
    the number of clusters is chosen on validation.
    """

    family = "published"
    in_all = False

    class Options(DescentOptions):
        map: Literal["learned", "kmeans"] = Field("learned", description="what Φ is")
        clusters: int | None = Field(
            None, ge=1, description="clusters; 8, 20 or 50 by validation if unset"
        )
        validation_queries: int | None = Field(
            None, ge=1, description="training queries that tell what a model is; all if unset"
        )
        shrinkage: float = Field(20.0, ge=0, description="pseudo-queries in every cluster")

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"shrinkage": 0.0}}

    libraries = ("encoder", "sklearn.cluster", "torch")
    effort = 8
    options: Options
    features: Floats
    """[clusters, m] Ψ"""

    def candidates(self, train: Examples) -> Sequence[dict[str, float]]:
        given = self.options.clusters
        most = max(1, len(train) // _PER_CLUSTER)
        several = sorted({min(each, most) for each in ((8, 20, 50) if given is None else (given,))})
        return [{"clusters": each} for each in reversed(several)]

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        k = int(self.chosen["clusters"])
        centres, labels = kmeans(train.vectors, k, _STARTS, context.seed)
        scores = train.scores.copy()
        if (few := self.options.validation_queries) is not None and few < len(scores):
            apart = np.ones(len(scores), dtype=bool)
            apart[np.linspace(0, len(scores) - 1, few).astype(np.int64)] = False
            scores[apart] = np.nan
        groups = indicators(labels, len(centres))
        # A model that is known on few queries is no worse for it: its own mean is its prior.
        means = mean_scores(scores, np.isfinite(scores))
        means = np.where(np.isfinite(means), means, np.nanmin(scores))
        self.features = shrunk_means(groups, scores, max(self.options.shrinkage, 1e-9), means)
        self._centres = centres
        if self.options.map == "learned":
            super().build(train, held, context)
        else:
            self.parts = {"centres": centres}

    def start(self, train: Examples, rng: np.random.Generator) -> dict[str, Floats]:
        centres = self._centres
        # Softmax of these is that of -10 times half the squared distance.
        return {"map": _SHARP * centres, "bias": -0.5 * _SHARP * (centres**2).sum(axis=1)}

    def arrays(self, examples: Examples, training: bool, seed: int) -> dict[str, Floats]:
        found = super().arrays(examples, training, seed)
        widely = examples.known.mean(axis=0) >= 0.5
        return found | {"known": found["known"] * (widely if widely.any() else True)}

    def loss(self, parts: Parts, batch: Mapping[str, Any]) -> Any:
        import torch

        features = torch.as_tensor(self.features).to(batch["vectors"])
        logit = batch["vectors"] @ parts["map"].T + parts["bias"]
        chance = (torch.softmax(logit, dim=1) @ features).clamp(1e-3, 1 - 1e-3)
        right, known = batch["targets"], batch["known"]
        losses = right * chance.log() + (1 - right) * (1 - chance).log()
        return -(losses * known).sum() / known.sum().clamp(min=1.0)

    def expected(self, vectors: Floats) -> Floats:
        if "centres" in self.parts:
            centres = self.parts["centres"]
            near = (vectors @ centres.T - 0.5 * (centres**2).sum(axis=1)).argmax(axis=1)
            nearest: Floats = self.features[near]
            return nearest
        logit = vectors @ self.parts["map"].T + self.parts["bias"]
        share = np.exp(logit - logit.max(axis=1, keepdims=True))
        quality: Floats = (share / share.sum(axis=1, keepdims=True)) @ self.features
        return quality
