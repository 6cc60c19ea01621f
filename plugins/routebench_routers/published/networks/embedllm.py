"""EmbedLLM: a matrix factorisation that predicts each model's correctness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from routebench.records import Floats
from routebench_routers.published.examples import Examples
from routebench_routers.published.networks.descent import (
    DescentOptions,
    DescentRouter,
    Parts,
    cross_entropy,
    linear,
    sigmoid,
)


class EmbedLLM(DescentRouter):
    """Logits = C (p_m ⊙ (W e + b)) + c of wrong and right, p_m a model's embedding.

    e is the query's vector; the loss is the cross-entropy over every known cell of query and model.

    Source: EmbedLLM (arXiv 2410.02223). Preset `paper`: embeddings of 232, noise .05 on the
    vectors, Adam with lr 1e-4, 50 epochs, batches of about 2,048 cells (here 227 queries of nine
    models).

    Deviations: a batch is of queries with all their models; a score between 0 and 1 counts as both
    classes; weight decay, and the epoch with the lowest loss on validation. Unlike `mf`, which
    learns from pairs of models that differ, it is told how hard a query is for all.
    """

    family = "published"
    in_all = False

    class Options(DescentOptions):
        weight_decay: float = Field(1e-3, ge=0, description="L2 penalty")
        latent_dim: int = Field(32, ge=1, le=4096, description="length of the embeddings")
        noise_alpha: float = Field(0.02, ge=0, description="noise on vectors in training")

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "latent_dim": 232,
            "noise_alpha": 0.05,
            "lr": 1e-4,
            "weight_decay": 0.0,
            "epochs": 50,
            "batch_size": 227,
            "patience": None,
        }
    }

    libraries = ("encoder", "torch")
    effort = 8
    options: Options

    def start(self, train: Examples, rng: np.random.Generator) -> dict[str, Floats]:
        size = self.options.latent_dim
        return {
            "models": rng.normal(size=(train.scores.shape[1], size)),
            "projection": 0.1 * linear(rng, size, train.vectors.shape[1]),
            "shift": rng.uniform(-1, 1, size) / np.sqrt(train.vectors.shape[1]),
            "classifier": linear(rng, 2, size),
            "bias": np.zeros(2),
        }

    def noise(self) -> float:
        return self.options.noise_alpha

    def loss(self, parts: Parts, batch: Mapping[str, Any]) -> Any:
        both = logits(parts, batch["vectors"])
        return cross_entropy(both[:, :, 1] - both[:, :, 0], batch["targets"], batch["known"])

    def expected(self, vectors: Floats) -> Floats:
        both = logits(self.parts, vectors)
        return sigmoid(both[:, :, 1] - both[:, :, 0])


def logits(parts: Parts, vectors: Any) -> Any:
    """Return [n, m, 2] the logits of wrong and right, of arrays or tensors."""
    query = vectors @ parts["projection"].T + parts["shift"]
    return (query[:, None, :] * parts["models"]) @ parts["classifier"].T + parts["bias"]
