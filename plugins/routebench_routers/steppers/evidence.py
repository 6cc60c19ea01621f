"""The features of what was bought, and regressions on them for every set of bought models."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from routebench.records import Floats, Ints, Mask

_PENALTY = 1e-4
"""Of the mean squared feature: it keeps a regression on equal columns defined."""


def features(prior: Floats, centre: Floats, agree: Mask, silent: Mask) -> Floats:
    """Return [n, p] features of what was bought of k models.

    The expected scores [n, k] before any answer, less their mean `centre`; for each pair whether
    its answers agree [n, k, k], alone and times how easy the query is expected to be; and which
    answers are there, but say nothing [n, k]. What was not bought is 0.
    """
    expected = prior - centre
    easy = expected.mean(axis=1, keepdims=True)
    first, second = np.triu_indices(prior.shape[1], 1)
    pairs = agree[:, first, second].astype(np.float64)
    one = np.ones((len(prior), 1))
    return np.concatenate([one, expected, pairs, pairs * easy, silent.astype(np.float64)], axis=1)


def known_columns(k: int) -> Mask:
    """Return [2^k, p] the features that are known with each set of bought models.

    Bit i of a set's number is model i.
    """
    pairs = list(combinations(range(k), 2))
    sets = np.arange(1 << k)[:, None] >> np.arange(k) & 1 == 1
    both = np.array([sets[:, i] & sets[:, j] for i, j in pairs], dtype=np.bool_)
    both = both.reshape(len(pairs), len(sets)).T
    always = np.ones((len(sets), 1 + k), dtype=np.bool_)
    return np.concatenate([always, both, both, sets], axis=1)


class Regressions:
    """Least squares on the columns known with a set, from one matrix of products."""

    def __init__(self, rows: Floats, known: Mask) -> None:
        self._rows = rows
        self._known = known
        products = rows.T @ rows
        products[np.diag_indices_from(products)] += _PENALTY * len(rows)
        self._products = products

    def fit(self, bought: int, targets: Floats) -> Floats:
        """Return [p, t] coefficients of targets [n, t] on what is known with a set; 0 elsewhere."""
        known = np.flatnonzero(self._known[bought])
        found = np.zeros((self._rows.shape[1], targets.shape[1]))
        matrix = self._products[np.ix_(known, known)]
        found[known] = np.linalg.solve(matrix, self._rows[:, known].T @ targets)
        return found


def sets_of(asked: Mask) -> Ints:
    """Return [n] the number of the set of asked models [n, k]."""
    number: Ints = asked @ (1 << np.arange(asked.shape[1]))
    return number
