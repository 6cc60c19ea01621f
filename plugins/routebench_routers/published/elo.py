"""Ratings of models by their comparisons: Elo's scale, Bradley and Terry's likelihood."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats
from routebench_routers.published.examples import Examples, RankingRouter

SCALE = 400.0 / np.log(10.0)
"""Elo points of one unit of log odds."""


class Elo(RankingRouter):
    """One rating per model, whatever the query: the maximum likelihood of who beats whom.

    Every query is a match of each two models that have a score on it; P(one beats the other) = 1 /
    (1 + 10^((other - one) / 400)) (Bradley and Terry). Unlike a mean score it is fair to a model
    that was asked harder queries than others, as only scores on the same query are compared.

    Source: the Elo router of LLMRouter (github.com/ulab-uiuc/LLMRouter) and the ratings of Chatbot
    Arena (arXiv 2403.04132). Preset `paper`: a tie is half a win for each.

    Deviation: one more tie of every two models keeps ratings finite where one model always wins.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        ties: Literal["half", "dropped"] = Field(
            "half", description="a tie is half a win for each, or no match"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"ties": "half"}}

    deterministic = True
    effort = 1
    options: Options
    ratings: Floats
    """[m] Elo points, 1000 on average."""

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        wins = matches(train, self.options.ties == "half").sum(axis=0)
        self.ratings = 1000.0 + SCALE * strengths(wins[None])[0]

    def ranking(self, vectors: Floats) -> Floats:
        return np.tile((self.ratings - 1000.0) / SCALE, (len(vectors), 1))

    def facts(self) -> dict[str, str | float]:
        """Return the ratings, from the highest."""
        order = np.argsort(-self.ratings, kind="stable")
        return {"ratings": ", ".join(f"{self.ratings[one]:.0f}" for one in order)}


def matches(train: Examples, ties: bool) -> Floats:
    """Return [n, m, m] 1 where the first model beats the second; half for each in a tie."""
    known = train.known[:, :, None] & train.known[:, None, :]
    gap = np.nan_to_num(train.scores)[:, :, None] - np.nan_to_num(train.scores)[:, None, :]
    won = known & (gap > 1e-9)
    tied = known & (np.abs(gap) <= 1e-9) & ~np.eye(known.shape[1], dtype=bool)
    return won.astype(np.float64) + (0.5 * tied if ties else 0.0)


def strengths(wins: Floats, steps: int = 30) -> Floats:
    """Return [n, m] log strengths of mean 0 from wins [n, m, m], by Newton's method.

    Each two models have one tie more than was played.
    """
    n, m = wins.shape[:2]
    wins = wins + 0.5 * (1.0 - np.eye(m))
    games = wins + wins.transpose(0, 2, 1)
    strength = np.zeros((n, m))
    for _ in range(steps):
        chance = 1.0 / (1.0 + np.exp(strength[:, None, :] - strength[:, :, None]))
        gradient = (wins - games * chance).sum(axis=2)
        curvature = games * chance * (1.0 - chance)
        # The ratings' common level is free: ones on all pairs fix their sum.
        hessian = np.ones((m, m)) - curvature
        diagonal = np.arange(m)
        own = curvature[:, diagonal, diagonal]
        hessian[:, diagonal, diagonal] = 1.0 + curvature.sum(axis=2) - own
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        # No more than three units at once: from far away Newton's steps overshoot.
        strength = strength + np.clip(step, -3.0, 3.0)
        if np.abs(step).max() < 1e-10:
            break
    centred: Floats = strength - strength.mean(axis=1, keepdims=True)
    return centred
