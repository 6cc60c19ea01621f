"""IRT-Router: multidimensional item response theory, models as examinees and queries as items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

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
    log_odds,
    sigmoid,
    softplus,
)


class IRT(DescentRouter):
    """P(model m is right) = σ(a·θ_m - b): θ_m are its abilities, a > 0 what the query asks of them.

    Discrimination a = softplus(A e + s) and difficulty b = w·e + t are read from the query's vector
    e.

    Source: MIRT of IRT-Router (arXiv 2506.01048). Preset `paper`: 25 abilities, Adam with lr .001,
    and no penalty.

    Deviations: abilities are free vectors, as the pool is fixed, where the source reads them from
    a model's description; the source's warm-up, which blends a query's vector with those of similar
    training queries, is left out; the epoch with the lowest loss on validation is kept. With
    `discrimination = "constant"` every query asks for the same abilities, and one model is best for
    all.
    """

    family = "published"
    in_all = False

    class Options(DescentOptions):
        abilities: int = Field(16, ge=1, le=1024, description="dimensions of ability")
        discrimination: Literal["query", "constant"] = Field(
            "query", description="read from the query, or one for all"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"abilities": 25, "lr": 1e-3, "weight_decay": 0.0, "batch_size": 512}
    }

    libraries = ("encoder", "torch")
    effort = 8
    options: Options

    def start(self, train: Examples, rng: np.random.Generator) -> dict[str, Floats]:
        size, width = self.options.abilities, train.vectors.shape[1]
        odds = log_odds(train)
        # With the first a = log 2 in all dimensions it predicts the models' means.
        even = np.tile((odds / (size * np.log(2.0)))[:, None], (1, size))
        drawn = linear(rng, size, width)
        return {
            "abilities": even + 0.1 * rng.normal(size=even.shape),
            "discrimination": drawn if self.options.discrimination == "query" else 0.0 * drawn,
            "shift": np.zeros(size),
            "difficulty": np.zeros(width),
            "offset": np.zeros(1),
        }

    def loss(self, parts: Parts, batch: Mapping[str, Any]) -> Any:
        vectors = batch["vectors"]
        if self.options.discrimination == "constant":
            parts = {**parts, "discrimination": 0.0 * parts["discrimination"]}
        return cross_entropy(logits(parts, vectors), batch["targets"], batch["known"])

    def expected(self, vectors: Floats) -> Floats:
        return sigmoid(logits(self.parts, vectors))


def logits(parts: Parts, vectors: Any) -> Any:
    """Return [n, m] a·θ_m - b, of arrays or tensors."""
    asked = softplus(vectors @ parts["discrimination"].T + parts["shift"])
    hard = vectors @ parts["difficulty"] + parts["offset"]
    return asked @ parts["abilities"].T - hard[:, None]
