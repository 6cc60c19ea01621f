"""A linear classifier from a query's vector to the task that it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.records import Floats, Strings


@dataclass(frozen=True)
class TaskClassifier:
    """Multinomial logistic regression: P(task | vector), over the tasks seen in training."""

    names: list[str]
    coefficients: Floats
    """[tasks, d]"""
    intercepts: Floats
    """[tasks]"""

    @classmethod
    def learn(cls, vectors: Floats, tasks: Strings, inverse_penalty: float) -> TaskClassifier:
        """Fit to vectors [n, d] and the tasks [n] that are known; one class if none is."""
        from sklearn.linear_model import LogisticRegression

        known = np.array([task is not None for task in tasks], dtype=np.bool_)
        labels = tasks[known].astype(str)
        names = sorted(set(labels)) or [""]
        if len(names) < 2:
            return cls(names, np.zeros((1, vectors.shape[1])), np.zeros(1))
        fitted = LogisticRegression(C=inverse_penalty, max_iter=2000).fit(vectors[known], labels)
        coefficients, intercepts = fitted.coef_, fitted.intercept_
        if len(names) == 2:  # sklearn has one row, of the second task against the first
            coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
            intercepts = np.concatenate([[0.0], intercepts])
        return cls(names, coefficients, intercepts)

    def probabilities(self, vectors: Floats) -> Floats:
        """Return [n, tasks] the probability of every task, for vectors [n, d]."""
        logit = vectors @ self.coefficients.T + self.intercepts
        share = np.exp(logit - logit.max(axis=1, keepdims=True))
        rates: Floats = share / share.sum(axis=1, keepdims=True)
        return rates

    def indicators(self, tasks: Strings) -> Floats:
        """Return [n, tasks] 1 for each query's own task; zeros for one that is not known."""
        return np.array([[task == name for name in self.names] for task in tasks], np.float64)
