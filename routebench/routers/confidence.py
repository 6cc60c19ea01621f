"""Confidence of a router: predicted quality, calibrated to the probability of being right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.records import Floats, Ints, Table

_FEW = 20


@dataclass(frozen=True)
class Confidence:
    """σ(shift + slope · logit of the expected score), fitted on validation (Platt 1999).

    The highest of several estimates is too high on average, however good each of them is.
    """

    shift: float = 0.0
    slope: float = 1.0

    @classmethod
    def learn(cls, expected: Floats, choice: Ints, validation: Table) -> Confidence:
        """Fit to expected scores [n, m] and choices [n]; keep the default without enough data."""
        from sklearn.linear_model import LogisticRegression

        rows = np.arange(len(choice))
        score = np.clip(validation.outcomes.score[rows, choice], 0.0, 1.0)
        known = np.isfinite(score)
        score, x = score[known], _logit(expected[rows, choice][known])
        if len(score) < _FEW or min(score.sum(), (1 - score).sum()) < 1:
            return cls()
        # A score between 0 and 1 counts as both classes, weighted.
        fitted = LogisticRegression(C=100.0).fit(
            np.concatenate([x, x])[:, None],
            np.repeat([1, 0], len(x)),
            sample_weight=np.concatenate([score, 1 - score]),
        )
        slope = float(fitted.coef_[0, 0])
        if slope <= 0:  # the prediction is uninformative: use the mean score
            return cls(float(_logit(score.mean())), 0.0)
        return cls(float(fitted.intercept_[0]), slope)

    def __call__(self, expected: Floats, choice: Ints) -> Floats:
        """Return [n] the probability that the chosen model is right."""
        own = expected[np.arange(len(choice)), choice]
        if self == Confidence():
            return np.clip(own, 0.0, 1.0)
        sure: Floats = 1 / (1 + np.exp(-(self.shift + self.slope * _logit(own))))
        return sure


def _logit(probability: Floats) -> Floats:
    p = np.clip(probability, 1e-3, 1 - 1e-3)
    logit: Floats = np.log(p / (1 - p))
    return logit
