"""Similarity-weighted ranking: ratings of the models anew for each query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats
from routebench_routers.published.elo import matches, strengths
from routebench_routers.published.examples import Examples, RankingRouter, VectorRouter

_BLOCK = 256


class SimilarityWeighted(VectorRouter, RankingRouter):
    """Bradley and Terry's strengths for each query, from training matches weighed by similarity.

    A training query i weighs gamma^(S_i / max S), S its cosine to the query asked; its matches
    between models are those of `elo`.

    Source: similarity-weighted (SW) ranking of RouteLLM (arXiv 2406.18665). Preset `paper`: gamma
    10.

    Deviations: all models of the pool in place of tiers; gamma is chosen on validation, from the
    source's to weights that only the nearest queries have; the weights are brought to a sum of
    the number of training queries, and every two models have one tie more, so that strengths stay
    finite.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        gamma: float | None = Field(
            None, ge=1, description="base of the weights; by validation if unset, 1 is `elo`"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"gamma": 10.0}}

    libraries = ("encoder",)
    deterministic = True
    effort = 10
    options: Options
    points: Floats
    """[n, d]"""
    wins: Floats
    """[n, m, m]"""

    def candidates(self, train: Examples) -> Sequence[dict[str, float]]:
        given = self.options.gamma
        several = (1e5, 1e4, 1e3, 100.0, 10.0) if given is None else (given,)
        return [{"gamma": each} for each in several]

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        self.points, self.wins = train.vectors, matches(train, ties=True)

    def ranking(self, vectors: Floats) -> Floats:
        n, m = self.wins.shape[:2]
        flat = self.wins.reshape(n, m * m)
        parts = [np.zeros((0, m))]
        for start in range(0, len(vectors), _BLOCK):
            similar = vectors[start : start + _BLOCK] @ self.points.T
            most = np.maximum(similar.max(axis=1, keepdims=True), 1e-9)
            weight = np.exp(np.log(self.chosen["gamma"]) * np.maximum(similar / most, -1.0))
            weight *= n / weight.sum(axis=1, keepdims=True)
            parts.append(strengths((weight @ flat).reshape(-1, m, m)))
        return np.concatenate(parts)
