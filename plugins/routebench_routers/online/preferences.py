"""What preferences between models tell: a space of queries, and the models' places in it."""

from __future__ import annotations

import numpy as np

from routebench.records import Floats

_BATCH, _RATE = 256, 0.05
_SHARPNESS = 5.0  # of the logistic in cosines, which differ by tenths


def unit(vectors: Floats) -> Floats:
    """Return vectors [n, k] of length 1; zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Floats = vectors / np.where(length > 0, length, 1.0)
    return made


def learn_space(
    vectors: Floats,
    score: Floats,
    start: Floats,
    rng: np.random.Generator,
    steps: int,
    margin: float,
) -> Floats:
    """Return a linear map [d, k] by triplets: queries with the same best model lie together.

    `score` is [n, m], NaN where unknown. Queries on which all models score alike prefer none, and
    are left out. The loss is max(0, margin − cos(a, p) + cos(a, n)), descended by Adam.
    """
    top = np.where(np.isnan(score), -np.inf, score)
    best = top == top.max(axis=1, keepdims=True)
    told = np.flatnonzero(best.any(axis=1) & ~best.all(axis=1))
    if len(told) < 3:
        return start
    space, adam = start.copy(), _Adam(start)
    for _ in range(steps):
        anchor, other, third = rng.choice(told, size=(3, _BATCH))
        # One of the two shares a best model with the anchor, the other none.
        fits = (best[anchor] & best[other]).any(axis=1) & ~(best[anchor] & best[third]).any(axis=1)
        if not fits.any():
            continue
        a, p, n = (vectors[rows[fits]] for rows in (anchor, other, third))
        gradient = np.zeros_like(space)
        near, to_a, to_p = _cosine(a @ space, p @ space)
        far, away_a, away_n = _cosine(a @ space, n @ space)
        active = (margin - near + far > 0)[:, None]
        gradient += a.T @ (active * (away_a - to_a))
        gradient += n.T @ (active * away_n) - p.T @ (active * to_p)
        space -= adam.step(gradient / len(a))
    return space


def learn_models(features: Floats, score: Floats, rng: np.random.Generator, steps: int) -> Floats:
    """Return a weight vector per model [m, d], on the scale of scores.

    P(i is better than j) = σ(s · (θ_i − θ_j)ᵀx) is fitted to pairs with different scores, by
    Adam; then score = a + b · θᵀx over all cells by least squares. The last feature is a constant.
    """
    m = score.shape[1]
    theta = np.zeros((m, features.shape[1]))
    adam = _Adam(theta)
    for _ in range(steps):
        row = rng.integers(len(features), size=_BATCH)
        x, lead = features[row], score[row, :, None] - score[row, None, :]
        told = ~np.isnan(lead) & (lead != 0)
        if not told.any():
            continue
        worth = x @ theta.T
        said = 1 / (1 + np.exp(-_SHARPNESS * (worth[:, :, None] - worth[:, None, :])))
        # Each pair is there twice, from either side: the gradient by i is a half of all.
        slope = np.where(told, said - (lead > 0), 0.0).sum(axis=2)
        theta -= adam.step(slope.T @ x * (2 * _SHARPNESS / told.sum()))
    known = ~np.isnan(score)
    values = (features @ theta.T)[known]
    line = np.column_stack([values, np.ones(len(values))])
    (slope_of, level), *_ = np.linalg.lstsq(line, score[known], rcond=None)
    theta *= max(float(slope_of), 0.0)
    theta[:, -1] += float(level)
    return theta


def _cosine(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the cosines [n] of rows, and their gradients by each."""
    lengths = [np.maximum(np.linalg.norm(w, axis=1, keepdims=True), 1e-12) for w in (u, v)]
    one, other = u / lengths[0], v / lengths[1]
    cosine = np.einsum("nk,nk->n", one, other)[:, None]
    return cosine[:, 0], (other - cosine * one) / lengths[0], (one - cosine * other) / lengths[1]


class _Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980) on one array."""

    def __init__(self, like: Floats) -> None:
        self._mean, self._square, self._t = np.zeros_like(like), np.zeros_like(like), 0

    def step(self, gradient: Floats) -> Floats:
        """Return what is to be subtracted."""
        self._t += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        mean, square = self._mean / (1 - 0.9**self._t), self._square / (1 - 0.999**self._t)
        made: Floats = _RATE * mean / (np.sqrt(square) + 1e-8)
        return made
