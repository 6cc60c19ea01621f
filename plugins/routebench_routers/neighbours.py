"""Mean scores over the nearest vectors, for one or several numbers of neighbours at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from routebench.plugin.selection import covered
from routebench.records import Floats, Vectors
from routebench_routers.nearest import Index
from routebench_routers.references import mean_scores

_DOUBT = 10.0


def prior_scores(scores: Floats) -> Floats:
    """Return [m] each model's mean score; for one hardly seen, the lowest score there is."""
    ok = np.isfinite(scores)
    means = mean_scores(scores, ok)
    worst = np.nanmin(scores) if ok.any() else 0.0
    return np.where(covered(ok) & np.isfinite(means), means, worst)


def shrunk_means(
    groups: Floats, scores: Floats, strength: float, prior: Floats | None = None
) -> Floats:
    """Return [g, m] the models' mean scores in each group of queries, shrunk to their prior.

    `groups` [n, g] are the weights of the queries in the groups, `scores` [n, m] NaN where missing;
    the prior [m], by default `prior_scores`, counts as `strength` > 0 further queries in every
    group.
    """
    prior = prior_scores(scores) if prior is None else prior
    sums = groups.T @ np.nan_to_num(scores)
    counts = groups.T @ np.isfinite(scores).astype(np.float64)
    shrunk: Floats = (sums + strength * prior) / (counts + strength)
    return shrunk


@dataclass(frozen=True)
class Neighbours:
    """Vectors of the training queries and the scores [n, m] on them."""

    index: Index
    known: Floats | None
    """[n, m] 1 for a known score, 0 for a missing one; None where all are known."""
    scores: Floats
    """[n, m] with 0 for a missing one."""
    prior: Floats
    """[m] the score of each model's additional pseudo-neighbours."""

    @classmethod
    def of(cls, vectors: Vectors | Floats, scores: Floats) -> Neighbours:
        """Build from vectors [n, d] and scores [n, m], NaN where missing."""
        ok, prior = np.isfinite(scores), prior_scores(scores)
        known = None if ok.all() else ok.astype(np.float64)
        return cls(Index(vectors), known, np.nan_to_num(scores), prior)

    def predict(self, vectors: Floats, ks: Sequence[int]) -> list[Floats]:
        """Return [n, m] the predicted quality for each k, all from one selection of neighbours."""
        fewer = sorted({k for k in ks if k < len(self.scores)}, reverse=True)
        shape = (len(vectors), self.scores.shape[1])
        quality = {k: np.empty(shape) for k in fewer}
        for rows, found in self.index.nearest(vectors, fewer) if fewer else ():
            for k, near in zip(fewer, found, strict=True):
                quality[k][rows] = self._mean(near)
        everyone = np.broadcast_to(self._mean_of_all, shape).copy()
        return [quality.get(k, everyone) for k in ks]

    def _mean(self, near: Any) -> Floats:
        """Return [n, m] the models' mean scores, given which neighbours [n, training] count."""
        counts = np.diff(near.indptr)[:, None] if self.known is None else near @ self.known
        return self._shrunk(near @ self.scores, counts)

    @cached_property
    def _mean_of_all(self) -> Floats:
        """Return [m] the prediction where every training query counts."""
        n = len(self.scores) if self.known is None else self.known.sum(axis=0)
        return self._shrunk(self.scores.sum(axis=0), n)

    def _shrunk(self, sums: Floats, counts: Floats | int) -> Floats:
        if self.known is None:
            return sums / counts
        return (sums + _DOUBT * self.prior) / (counts + _DOUBT)
