"""A confidence sequence for the mean difference: valid however often one looks.

Differing queries are drawn one by one in random order without replacement, each with a difference
y in [−C, C]. Under the hypothesis that the difference over all traffic of N requests is δ, the
remaining ones have the mean m = (N δ − what has been seen) / R. With any prediction g of y that was
made before the draw, z = (y − g) + mean of g over the remaining − m has mean 0, so the wealth
Π (1 + λ z) of bets λ that were fixed before each draw is a non-negative martingale: it ever reaches
1 / α with probability α at most (Ville). The δ whose wealth has not are the interval (betting,
Waudby-Smith and Ramdas, 2023; without replacement, the same, 2020). g is the mean of the stratum so
far; three bets are held at once, each as large as grows fastest if the truth lies half a margin,
one or two away from the hypothesis.

All arrays may have leading axes: worlds of a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.metrics.statistics import TAIL
from routebench.records import Floats, Ints

STEPS = (0.5, 1.0, 2.0)
"""Margins between the hypothesis and the truths that the bets are made for."""
BOLD = 0.75
"""A bet loses at most this share of the wealth."""
_PRIOR = 20.0
"""Draws' worth of a stratum's predicted mean, and of the mean of all."""
_PRIOR_SPREAD = 5.0
ENOUGH = float(np.log(1.0 / TAIL))
"""Logarithm of the wealth that rejects a hypothesis, at 2.5% a side."""


@dataclass(frozen=True)
class Sequence:
    """Draws in their order, and what was predicted of them."""

    outcome: Floats
    """[..., t] reward of the candidate less that of the log, times the requests it stands for."""
    stratum: Ints
    """[..., t]"""
    sizes: Ints
    """[..., h] queries of each stratum that could be drawn."""
    predicted: Floats
    """[..., h] mean outcome that the log suggests."""
    spread: float
    """Standard deviation that the log suggests."""
    largest: float
    """C."""
    events: int
    """N."""
    known: Floats | float = 0.0
    """[...] sum of outcomes that are known besides: of queries bought for certain."""


@dataclass(frozen=True)
class _Bets:
    """What is known before each draw."""

    left: Floats
    """[..., t] queries not drawn yet."""
    seen: Floats
    """[..., t] sum of outcomes before."""
    centred: Floats
    """[..., t] y − g + mean of g over the remaining."""
    variance: Floats
    largest: Floats
    """The most that a bet may be."""


def _before(values: Floats) -> Floats:
    """Return the running sums before each place."""
    made = np.cumsum(values, axis=-1)
    made[..., 1:] = made[..., :-1].copy()
    made[..., 0] = 0.0
    return made


def bets(draws: Sequence) -> _Bets:
    """Return the bets' parts; none of them looks at its own draw or later ones."""
    y, t = draws.outcome, np.arange(draws.outcome.shape[-1])
    left = draws.sizes.sum(axis=-1)[..., None] - t
    own, overall, most = np.zeros(y.shape), np.zeros(y.shape), np.full(y.shape, -np.inf)
    for h in range(draws.sizes.shape[-1]):
        mine = draws.stratum == h
        drawn = _before(mine.astype(float))
        mean = (_before(np.where(mine, y, 0.0)) + _PRIOR * draws.predicted[..., h, None]) / (
            drawn + _PRIOR
        )
        own = np.where(mine, mean, own)
        remaining = draws.sizes[..., h, None] - drawn
        overall += remaining * mean
        most = np.where(remaining > 0, np.maximum(most, np.abs(mean)), most)
    overall /= left
    residual = y - own
    variance = (_PRIOR_SPREAD * draws.spread**2 + _before(residual**2)) / (_PRIOR_SPREAD + t)
    cap = BOLD / (2 * draws.largest + most + np.abs(overall))
    return _Bets(left, _before(y), residual + overall, np.maximum(variance, 1e-6), cap)


def log_wealth(
    draws: Sequence, at: _Bets, delta: Floats | float, side: int, margin: float
) -> Floats:
    """Return [..., t] the largest log wealth so far against a difference of δ.

    `side` 1 bets that the truth is above, −1 that it is below. `delta` [...] or one number.
    """
    total = np.asarray(delta)[..., None] * draws.events - np.asarray(draws.known)[..., None]
    off = at.centred - (total - at.seen) / at.left
    made = []
    for step in STEPS:
        size = np.minimum(step * margin * draws.events / at.left / at.variance, at.largest)
        made.append(np.cumsum(np.log(np.maximum(1.0 + side * size * off, 1e-300)), axis=-1))
    mixed = np.logaddexp.reduce(made, axis=0) - np.log(len(STEPS))
    return np.asarray(np.maximum.accumulate(mixed, axis=-1))


def interval(draws: Sequence, margin: float) -> tuple[float, float]:
    """Return the ends of the 95% confidence sequence after the last draw, of one sequence."""
    left = float(draws.sizes.sum()) - len(draws.outcome)
    seen = float(draws.outcome.sum() + draws.known)
    sure = (
        (seen - left * draws.largest) / draws.events,
        (seen + left * draws.largest) / draws.events,
    )
    if not len(draws.outcome) or left <= 0:
        return sure
    at = bets(draws)
    ends = []
    for side, start in ((1, sure[0]), (-1, sure[1])):
        out, kept = start, sure[1] if side == 1 else sure[0]
        if log_wealth(draws, at, out, side, margin)[-1] < ENOUGH:
            ends.append(out)
            continue
        for _ in range(40):
            middle = (out + kept) / 2
            if log_wealth(draws, at, middle, side, margin)[-1] >= ENOUGH:
                out = middle
            else:
                kept = middle
        ends.append(out)
    return ends[0], ends[1]
