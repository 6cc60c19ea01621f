"""Features of linear bandits: principal components of the encoder's vectors, and a constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.records import Floats


@dataclass(frozen=True)
class Components:
    """A centred, scaled projection: features have a mean squared length of 2, the constant's 1."""

    mean: Floats
    """[d]"""
    directions: Floats
    """[d, k]"""

    @classmethod
    def learn(cls, vectors: Floats, k: int) -> Components:
        """Return the first k principal components of vectors [n, d]; fewer where there are."""
        mean = vectors.mean(axis=0)
        _, values, across = np.linalg.svd(vectors - mean, full_matrices=False)
        k = max(1, min(k, int((values > 1e-9 * max(float(values[0]), 1e-300)).sum())))
        scale = np.sqrt((values[:k] ** 2).sum() / len(vectors))
        return cls(mean, across[:k].T / (scale if scale > 0 else 1.0))

    def __call__(self, vectors: Floats) -> Floats:
        """Return [n, k + 1] the features of vectors [n, d]."""
        return np.column_stack([(vectors - self.mean) @ self.directions, np.ones(len(vectors))])
