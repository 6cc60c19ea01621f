"""RouterDC: query and model vectors, learned by two contrastive losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from routebench.records import Floats
from routebench_routers.published.clusters import kmeans, unit
from routebench_routers.published.examples import Examples, RankingRouter
from routebench_routers.published.networks.descent import (
    DescentOptions,
    DescentRouter,
    Parts,
    linear,
)


class RouterDC(DescentRouter, RankingRouter):
    """Models are ranked by the cosine of their vector to the query's, which a small network makes.

    The sample-LLM loss is, for each of a query's best models, the cross-entropy of its similarity
    against those of the models that do worse; the sample-sample loss draws a query to one of
    its own cluster of queries and away from some of other clusters.

    Source: RouterDC (arXiv 2409.19886). Preset `paper`: three models on each side, temperature 1,
    weight 1, lr 5e-5, batches of 64, no penalty.

    Deviations: two layers on fixed vectors, where the source tunes mDeBERTa; k-means on those
    vectors, where the source's is on t-SNE of them; a query's own companion and strangers are drawn
    once for a fit; models that tie are drawn, not taken in the pool's order; the temperature and
    the sample-sample loss's weight are lower, and the epoch with the lowest sample-LLM loss on
    validation is kept.
    """

    family = "published"
    in_all = False

    class Options(DescentOptions):
        lr: float = Field(1e-3, gt=0, description="Adam's learning rate")
        hidden: int = Field(128, ge=1, le=4096, description="width of the hidden layer")
        embedding: int = Field(64, ge=1, le=4096, description="length of the embeddings")
        sides: int = Field(3, ge=1, description="models of a query at most on each side")
        temperature: float = Field(0.5, gt=0, description="divisor of cosines")
        clusters: int = Field(8, ge=2, description="clusters of queries")
        strangers: int = Field(3, ge=1, description="queries of other clusters")
        sample_weight: float = Field(0.05, ge=0, description="weight of the sample-sample loss")

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "temperature": 1.0,
            "sample_weight": 1.0,
            "lr": 5e-5,
            "batch_size": 64,
            "weight_decay": 0.0,
        }
    }

    libraries = ("encoder", "sklearn.cluster", "torch")
    effort = 10
    options: Options

    def start(self, train: Examples, rng: np.random.Generator) -> dict[str, Floats]:
        options, width = self.options, train.vectors.shape[1]
        return {
            "hidden": linear(rng, options.hidden, width),
            "shift": np.zeros(options.hidden),
            "output": linear(rng, options.embedding, options.hidden),
            "level": 0.1 * rng.normal(size=options.embedding),
            "models": rng.normal(size=(train.scores.shape[1], options.embedding)),
        }

    def arrays(self, examples: Examples, training: bool, seed: int) -> dict[str, Floats]:
        rng = np.random.default_rng(seed)
        found = super().arrays(examples, training, seed)
        found |= sides(examples, self.options.sides, rng)
        if training and self.options.sample_weight and len(examples) > 1:
            found |= company(examples, self.options.clusters, self.options.strangers, seed)
        return found

    def loss(self, parts: Parts, batch: Mapping[str, Any]) -> Any:
        import torch

        options, query = self.options, embed(parts, batch["vectors"])
        similar = cosine(query, parts["models"]) / options.temperature
        loss = model_loss(similar, batch["better"], batch["worse"])
        if "friend" not in batch:
            return loss
        others = torch.cat([batch["friend"][:, None], batch["strangers"]], dim=1)
        around = torch.nn.functional.normalize(embed(parts, others), dim=2)
        own = torch.nn.functional.normalize(query, dim=1)
        near = (around @ own[:, :, None])[:, :, 0] / options.temperature
        together = (near.logsumexp(dim=1) - near[:, 0]).mean()
        return loss + options.sample_weight * together

    def ranking(self, vectors: Floats) -> Floats:
        ranks: Floats = unit(embed(self.parts, vectors)) @ unit(self.parts["models"]).T
        return ranks / self.options.temperature


def embed(parts: Parts, vectors: Any) -> Any:
    """Return [..., h] the queries' embeddings, of arrays or tensors."""
    hidden = (vectors @ parts["hidden"].T + parts["shift"]).clip(0.0)
    return hidden @ parts["output"].T + parts["level"]


def cosine(query: Any, models: Any) -> Any:
    """Return [n, m] cosines of tensors."""
    from torch.nn.functional import normalize

    return normalize(query, dim=1) @ normalize(models, dim=1).T


def model_loss(similar: Any, better: Any, worse: Any) -> Any:
    """Return the mean over queries and their better models of -log(e^s / (e^s + Σ worse e^s)).

    `better` and `worse` are [n, m] 1 for a model of that side; queries without a side count for
    nothing.
    """
    import torch

    against = torch.where(worse > 0, similar, -torch.inf).logsumexp(dim=1, keepdim=True)
    losses = torch.nn.functional.softplus(against - similar)
    counted = (better > 0) & (worse > 0).any(dim=1, keepdim=True)
    # Where there is no other side the loss is softplus(-inf) = 0, and so is its gradient.
    losses = torch.where(counted, losses, torch.zeros_like(losses))
    return losses.sum() / counted.sum().clamp(min=1)


def sides(examples: Examples, most: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Return [n, m] 1 for the better and the worse models of each query, at most so many of each.

    Better ones are among the best and above 0, worse ones below them; of equals some are drawn.
    """
    top = examples.best() > 0
    top &= examples.targets > 0
    value = np.where(examples.known, examples.scores, np.inf)
    under = examples.known & (
        value < np.where(top, value, np.inf).min(axis=1, keepdims=True) - 1e-9
    )
    under &= top.any(axis=1, keepdims=True)
    # Draws by the model's place among the names, and the worst first.
    draw = rng.random(value.shape)
    return {
        "better": _first(top, draw, most),
        "worse": _first(under, np.where(under, value, 0.0) + 1e-6 * draw, most),
    }


def _first(candidates: Any, keys: Floats, most: int) -> Floats:
    """Return 1 for the candidates with the lowest keys of each row."""
    ordered = np.where(candidates, keys, np.inf)
    rank = ordered.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    first: Floats = (candidates & (rank < most)).astype(np.float64)
    return first


def company(examples: Examples, clusters: int, strangers: int, seed: int) -> dict[str, Floats]:
    """Return the vectors [n, d] of a query of the same cluster, and [n, s, d] of other clusters."""
    rng = np.random.default_rng(seed)
    _, labels = kmeans(examples.vectors, clusters, 3, seed)
    n = len(labels)
    friend, far = np.arange(n), np.tile(np.arange(n)[:, None], (1, strangers))
    for label in np.unique(labels):
        own, other = np.flatnonzero(labels == label), np.flatnonzero(labels != label)
        friend[own] = rng.choice(own, len(own))
        if len(other):
            far[own] = rng.choice(other, (len(own), strangers))
    return {"friend": examples.vectors[friend], "strangers": examples.vectors[far]}
