"""A ridge regression per model that learns row by row, with the width of its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.records import Floats, Ints


@dataclass
class LinearBandit:
    """Of every model A = λI + Σ xxᵀ, its inverse, and b = λθ⁰ + Σ r x: θ = A⁻¹b.

    With a discount γ each further outcome, of whichever model, multiplies what all models have
    learned by γ; λI and λθ⁰ stay (Russac et al. 2019).
    """

    prior: Floats
    """[m, d] λθ⁰"""
    gram: Floats
    """[m, d, d] Σ xxᵀ"""
    moment: Floats
    """[m, d] Σ r x"""
    inverse: Floats
    """[m, d, d] A⁻¹"""
    ridge: float
    discount: float

    @classmethod
    def new(cls, theta: Floats, ridge: float, discount: float = 1.0) -> LinearBandit:
        """Return a bandit that has learned nothing, around θ⁰ [m, d]."""
        m, d = theta.shape
        return cls(
            ridge * theta, np.zeros((m, d, d)), np.zeros((m, d)),
            np.tile(np.eye(d) / ridge, (m, 1, 1)), ridge, discount,
        )  # fmt: skip

    def theta(self) -> Floats:
        """Return [m, d] the weights of every model."""
        weights: Floats = np.einsum("mij,mj->mi", self.inverse, self.prior + self.moment)
        return weights

    def width(self, features: Floats) -> Floats:
        """Return [n, m] √(xᵀA⁻¹x), for features [n, d]."""
        spread = np.matmul(features[None], self.inverse)
        squares: Floats = np.maximum(np.einsum("mni,ni->nm", spread, features), 0.0)
        return np.sqrt(squares)

    def learn(self, features: Floats, choice: Ints, reward: Floats) -> None:
        """Learn rewards [n] of the chosen models, as if one after the other."""
        n = len(choice)
        weight = self.discount ** np.arange(n)[::-1]
        if self.discount < 1:
            self.gram *= self.discount**n
            self.moment *= self.discount**n
        for model in np.unique(choice):
            own = choice == model
            x, r, w = features[own], reward[own], weight[own]
            self.gram[model] += (x * w[:, None]).T @ x
            self.moment[model] += (x * w[:, None]).T @ r
            if self.discount == 1:
                self.inverse[model] = self._inverted(int(model), x)
        if self.discount < 1:
            whole = self.gram + self.ridge * np.eye(features.shape[1])
            self.inverse = np.asarray(np.linalg.inv(whole), dtype=np.float64)

    def _inverted(self, model: int, x: Floats) -> Floats:
        """Return A⁻¹ after further rows [k, d]: by Woodbury's identity where they are few."""
        if len(x) > x.shape[1] // 2:
            whole: Floats = np.linalg.inv(self.gram[model] + self.ridge * np.eye(x.shape[1]))
            return whole
        before = self.inverse[model]
        left = before @ x.T
        made: Floats = before - left @ np.linalg.solve(np.eye(len(x)) + x @ left, left.T)
        return (made + made.T) / 2
