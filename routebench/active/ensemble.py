"""An ensemble of cheap predictors: draws of the linear models that fit the known outcomes.

Bayesian linear regression of all models' scores on the queries' vectors, errors of one query
correlated across models. Its draws disagree where little is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from routebench.records import Floats

_CONSTANT = 3.0
"""The feature that all queries share; its weight so is shrunk a ninth as much as the others."""
_DRAWS = 16


def features(vectors: Floats) -> Floats:
    """Return vectors [n, d] of unit length, scaled to a prior of weight 1, beside a constant."""
    scaled = vectors * (math.sqrt(vectors.shape[1]) / 2)
    made: Floats = np.hstack([scaled, np.full((len(vectors), 1), _CONSTANT)]).astype(np.float64)
    return made


@dataclass(frozen=True)
class LinearEnsemble:
    """The distribution of weights [d, m], given what is known."""

    mean: Floats
    covariance: Floats
    """[d, d] of each model's weights, for errors of variance 1."""
    errors: Floats
    """[m, m] covariance of the errors of one query."""

    @classmethod
    def learn(cls, known: Floats, score: Floats) -> LinearEnsemble:
        """Learn from features [n, d] and scores [n, m]."""
        covariance: Floats = np.linalg.inv(known.T @ known + np.eye(known.shape[1])).astype(
            np.float64
        )
        mean: Floats = covariance @ (known.T @ score)
        left: Floats = score - known @ mean
        return cls(mean, covariance, left.T @ left / max(len(known) - 1, 1))

    def expected_regret(self, queries: Floats, rng: np.random.Generator) -> Floats:
        """Return [n] what the draws expect to lose by the choice that their mean makes."""
        root = np.linalg.cholesky(self.covariance + 1e-9 * np.eye(len(self.covariance)))
        across = np.linalg.cholesky(self.errors + 1e-6 * np.eye(len(self.errors)))
        middle = queries @ self.mean
        chosen = np.arange(len(queries)), middle.argmax(axis=1)
        lost = np.zeros(len(queries))
        for _ in range(_DRAWS):
            drawn = root @ rng.standard_normal(self.mean.shape) @ across.T
            quality = middle + queries @ drawn
            lost += quality.max(axis=1) - quality[chosen]
        return lost / _DRAWS
