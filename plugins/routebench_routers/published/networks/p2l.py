"""Prompt-to-leaderboard: a leaderboard of the models for every query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from routebench.records import Floats
from routebench_routers.published.examples import Examples, RankingRouter
from routebench_routers.published.networks.descent import (
    DescentOptions,
    DescentRouter,
    Parts,
    log_odds,
    softplus,
)


class P2L(DescentRouter, RankingRouter):
    """Each model's strength is linear in the query's vector, β = W e + b.

    Strengths explain comparisons: of two models on one query, with π = exp(β): P(the first is
    better) = π₁ / (π₁ + η π₂ + 1), P(both are bad) = 1 / (1 + π₁ + π₂), and they tie, both good, in
    what is left (Rao and Kupper, grounded).

    Source: Prompt-to-Leaderboard (arXiv 2502.14855). Preset `paper`: no penalty.

    Deviations: linear on fixed vectors, where the source tunes a language model that writes the
    coefficients, and η is one number; comparisons are of all two models on each query, equal ones
    being bad below a score of a half. With `outcomes = "wins"` ties are left out and P(the first is
    better) is Bradley and Terry's σ(β₁ - β₂). The epoch with the lowest loss on validation is kept.
    """

    family = "published"
    in_all = False

    class Options(DescentOptions):
        outcomes: Literal["all", "wins"] = Field(
            "all", description="learn from ties and failures too, or from wins alone"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"weight_decay": 0.0}}

    libraries = ("encoder", "torch")
    effort = 8
    options: Options

    def start(self, train: Examples, rng: np.random.Generator) -> dict[str, Floats]:
        m, width = train.scores.shape[1], train.vectors.shape[1]
        return {"weights": np.zeros((m, width)), "bias": log_odds(train), "tie": np.zeros(1)}

    def loss(self, parts: Parts, batch: Mapping[str, Any]) -> Any:
        strength = batch["vectors"] @ parts["weights"].T + parts["bias"]
        known, score = batch["known"], batch["targets"]
        pairs = known[:, :, None] * known[:, None, :]
        gap = score[:, :, None] - score[:, None, :]
        one, other = strength[:, :, None], strength[:, None, :]
        won = pairs * (gap > 1e-9)
        if self.options.outcomes == "wins":
            losses = softplus(other - one) * won + 0.0 * parts["tie"]
            return losses.sum() / won.sum().clamp(min=1.0)
        return _grounded(one, other, parts["tie"], pairs, won, gap, score)

    def ranking(self, vectors: Floats) -> Floats:
        ranks: Floats = vectors @ self.parts["weights"].T + self.parts["bias"]
        return ranks


def _grounded(one: Any, other: Any, tie: Any, pairs: Any, won: Any, gap: Any, score: Any) -> Any:
    """Return the mean negative log-likelihood of all comparisons, a tensor."""
    import torch

    width = 1.0 + softplus(tie)  # η, above 1: what is left for ties is positive
    pi, rival = one.clamp(-15, 15).exp(), other.clamp(-15, 15).exp()
    wins = pi / (pi + width * rival + 1.0)
    loses = rival / (rival + width * pi + 1.0)
    fails = 1.0 / (1.0 + pi + rival)
    ties = (1.0 - wins - loses - fails).clamp(min=1e-6)
    # Each two models once: the upper triangle.
    upper = torch.ones_like(pairs[0]).triu(1)
    equal = pairs * upper * (gap.abs() <= 1e-9)
    good = equal * (score[:, :, None] >= 0.5)
    losses = -(won * wins.log()) - good * ties.log() - (equal - good) * fails.log()
    return losses.sum() / (won.sum() + equal.sum()).clamp(min=1.0)
