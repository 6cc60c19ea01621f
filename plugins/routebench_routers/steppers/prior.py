"""Predict each model's score before any answer is seen, by ridge regression on query vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.hookspecs import FittedEncoder
from routebench.records import Floats, Mask

_PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e6)
_CACHED = 100_000


@dataclass(frozen=True)
class Prior:
    """Vectors [n, d] to expected scores [n, k]."""

    centre: Floats
    weights: Floats
    """[d, k]"""
    mean: Floats
    """[k]"""

    def __call__(self, vectors: Floats) -> Floats:
        # One by one: a matrix product over another number of rows may round differently.
        products = np.einsum("nd,dk->nk", vectors - self.centre, self.weights)
        expected: Floats = self.mean + products
        return expected

    @classmethod
    def learn(cls, vectors: Floats, score: Floats, ok: Mask) -> tuple[Prior, Floats]:
        """Return the regression, and what it expects [n, k] of each row without that row.

        The penalty has the least squared error of rows left out. A missing score is its model's
        mean.
        """
        mean = np.where(ok, score, 0).sum(axis=0) / np.maximum(ok.sum(axis=0), 1)
        residual = np.where(ok, score - mean, 0.0)
        centre = vectors.mean(axis=0)
        left, singular, right = np.linalg.svd(vectors - centre, full_matrices=False)
        part = left.T @ residual
        best = np.inf
        for penalty in _PENALTIES:
            kept = singular**2 / (singular**2 + penalty)
            fitted = (left * kept) @ part
            leverage = (left**2) @ kept + 1 / len(vectors)
            error = (residual - fitted) / np.maximum(1 - leverage, 1e-9)[:, None]
            squared = float(((error**2) * ok).sum())
            if squared <= best:
                best, chosen, loss = squared, penalty, error
        scale = singular / (singular**2 + chosen)
        weights = right.T @ (scale[:, None] * part)
        return cls(centre, weights, mean), mean + residual - loss


class KnownPriors:
    """Expected scores by text: a router is stepped through the same queries again and again."""

    def __init__(self, encoder: FittedEncoder, prior: Prior) -> None:
        self._encoder = encoder
        self._prior = prior
        self._known: dict[str, Floats] = {}

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return [n, k] what the prior expects of the texts, each of which is encoded once."""
        if len(self._known) > _CACHED:
            self._known.clear()
        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            vectors = np.asarray(self._encoder.encode(new), dtype=np.float64)
            self._known.update(zip(new, self._prior(vectors), strict=True))
        return np.array([self._known[text] for text in texts])
