"""Pairs of models made from scores, and expected scores calibrated from pair scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.records import Floats, Ints, Mask

# Utilities this close are equal: w_p · score − w_c · cost is a sum of floats.
_TIE = 1e-9
_ENOUGH = 20
# Strength of the calibration's priors, in variances of δ (see `calibrate`).
_SLOPE, _EASE = 10.0, 30.0


@dataclass(frozen=True)
class Pairs:
    """Comparisons of two models on one query, as arrays of one length."""

    query: Ints
    """Row of the query."""
    winner: Ints
    """Column of the better model."""
    loser: Ints
    """Column of the worse model."""
    weight: Floats
    """Weight of the comparison; the mean weight is 1."""

    def __len__(self) -> int:
        return len(self.query)

    def loss(self, delta: Floats) -> float:
        """Return the weighted mean logistic loss of pair scores δ [n, m]; 0 without pairs."""
        if not len(self):
            return 0.0
        gap = delta[self.query, self.winner] - delta[self.query, self.loser]
        return float(np.average(np.logaddexp(0.0, -gap), weights=self.weight))


def worth(utility: Floats, score: Floats) -> Floats:
    """Return [n, m] the utility to make pairs from; NaN for missing cells and failed queries.

    A query is failed where no model scores above 0.
    """
    failed = ~np.any(np.nan_to_num(score, nan=-np.inf) > 0, axis=1, keepdims=True)
    values: Floats = np.where(np.isnan(score) | failed, np.nan, utility)
    return values


def strict_pairs(values: Floats) -> Pairs:
    """Return all pairs of models whose values [n, m] differ, weighted by the difference.

    NaN is a missing cell. Ties make no pair.
    """
    found = []
    for column in range(values.shape[1]):
        gap = values[:, [column]] - values
        query, loser = np.nonzero(gap > _TIE)
        found.append((query, np.full(len(query), column), loser, gap[query, loser]))
    query, winner, loser, weight = (np.concatenate([part[i] for part in found]) for i in range(4))
    return Pairs(query, winner, loser, weight / weight.mean() if len(weight) else weight)


def winner_pairs(values: Floats, rng: np.random.Generator) -> Pairs:
    """Return pairs of one best model per query, drawn among ties, and every strictly worse one."""
    known = np.nan_to_num(values, nan=-np.inf)
    top = known.max(axis=1, keepdims=True)
    tied = np.isfinite(known) & (known >= top - _TIE)
    drawn = np.where(tied, rng.random(values.shape), -1.0).argmax(axis=1)
    gap = values[np.arange(len(values)), drawn][:, None] - values
    query, loser = np.nonzero(gap > _TIE)
    return Pairs(query, drawn[query], loser, np.ones(len(query)))


def share_of_ties(utility: Floats) -> float:
    """Return the share of ties among pairs of models both known on a query; 0 without pairs."""
    tied = pairs = 0
    for column in range(utility.shape[1] - 1):
        gap = utility[:, [column]] - utility[:, column + 1 :]
        tied += int((np.abs(gap) <= _TIE).sum())
        pairs += int(np.isfinite(gap).sum())
    return tied / pairs if pairs else 0.0


def known_enough(ok: Mask) -> Mask:
    """Return [m] whether each model has enough known cells [n, m] to be compared.

    Enough is 20, or half as many as the model with the most if that is less.
    """
    counts = ok.sum(axis=0)
    enough: Mask = counts >= max(1, min(_ENOUGH, int(counts.max()) // 2))
    return enough if enough.any() else np.ones_like(enough)


@dataclass(frozen=True)
class Calibration:
    """Calibrated scores: low + (high − low) · σ(shift + slope · δ + ease · δ(all models)).

    δ are pair scores less their mean over the models, as pairs do not identify a term common to
    all models. The ease of a query is shared by all models, so that the order of expected
    scores is that of δ (with prices in the objective: of δ and `shift`, one per model).
    """

    shift: Floats
    """[m]"""
    slope: float
    ease: Floats
    """[m]"""
    low: float
    high: float

    def __call__(self, delta: Floats) -> Floats:
        """Return [n, m] the expected scores for pair scores [n, m]."""
        centred = _centred(delta)
        logit = self.shift + self.slope * centred + (centred @ self.ease)[:, None]
        expected: Floats = self.low + (self.high - self.low) * _sigmoid(logit)
        return expected


def calibrate(delta: Floats, score: Floats, cost: Floats | None, bounds: Floats) -> Calibration:
    """Fit a calibration to validation: logistic regression on cells, by Newton's method.

    `delta` and `score` are [n, m], NaN in missing cells; `cost` [m] is given where δ orders by
    score and cost, so that the effect of cost is removed; scores lie in `bounds`. Ridge priors
    (slope 1, ease 0) regularise the fit where validation has few rows. If models were right
    independently of each other, slope 1 would be exact.
    """
    low, high = float(min(0.0, *bounds)), float(max(1.0, *bounds))
    known = np.isfinite(score)
    target = np.where(known, (np.nan_to_num(score) - low) / (high - low), 0.0)
    centred = _centred(delta)
    rate = (target.sum() + 0.5) / (known.sum() + 1.0)
    own = [np.ones_like(centred), centred]
    if cost is not None:
        own.append(np.broadcast_to(cost - cost.mean(), centred.shape))
    m = centred.shape[1]
    prior = np.zeros(len(own) + m)
    prior[:2] = np.log(rate / (1 - rate)), 1.0
    spread = centred.var() + 1e-9
    ridge = np.array([1.0, _SLOPE * spread, *[1.0] * (len(own) - 2), *[_EASE * spread] * m])
    fitted = _newton(own, centred, target, known, prior, ridge)
    shift = fitted[0] + (0.0 if cost is None else fitted[2] * (cost - cost.mean()))
    # A slope that is not positive means that δ is uninformative; its order is kept nevertheless.
    slope = max(float(fitted[1]), 0.01)
    return Calibration(np.broadcast_to(shift, m).copy(), slope, fitted[len(own) :], low, high)


def _newton(
    own: list[Floats], rows: Floats, target: Floats, known: Mask, prior: Floats, ridge: Floats
) -> Floats:
    """Fit a logistic regression on features of a cell (each [n, m]) and of its row [n, d].

    The Hessian is summed over each row first: cells by features would not fit into memory.
    """
    k, fitted = len(own), prior.copy()
    for _ in range(30):
        logit = sum(f * w for f, w in zip(own, fitted, strict=False)) + (rows @ fitted[k:])[:, None]
        rate = np.where(known, _sigmoid(logit), 0.0)
        residual, weight = rate - target, rate * (1 - rate)
        sums = np.stack([(weight * f).sum(axis=1) for f in own])  # [k, n]
        hessian = np.diag(ridge + 1e-9)
        hessian[:k, :k] += [[(weight * f * g).sum() for g in own] for f in own]
        hessian[:k, k:] += sums @ rows
        hessian[k:, :k] += (sums @ rows).T
        hessian[k:, k:] += (rows * sums[0][:, None]).T @ rows
        gradient = np.array([(residual * f).sum() for f in own] + list(residual.sum(axis=1) @ rows))
        step = np.linalg.solve(hessian, gradient + ridge * (fitted - prior))
        fitted = fitted - step
        if np.abs(step).max() < 1e-9:
            break
    return fitted


def _centred(delta: Floats) -> Floats:
    centred: Floats = delta - delta.mean(axis=1, keepdims=True)
    return centred


def _sigmoid(logit: Floats) -> Floats:
    rate: Floats = 1.0 / (1.0 + np.exp(-np.clip(logit, -40.0, 40.0)))
    return rate
