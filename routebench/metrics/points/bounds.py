"""One-sided bounds and p of a paired difference in score, at any level.

Where each query has a single 0/1 score on both sides and is drawn by itself they are exact; else
they come from resampled weights of the queries. Both are those of the gate's `effects`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from routebench.metrics.bootstrap import Groups
from routebench.metrics.effects import Differences, chance_below, lower_bound, resampled
from routebench.records import Floats, Ints


class Bounds(Protocol):
    """The bounds of one true difference."""

    @property
    def value(self) -> float:
        """Return the observed difference."""

    @property
    def error(self) -> float:
        """Return its standard error."""

    def p_at_most(self, at: float) -> float:
        """Return p of the hypothesis that the true difference is `at` or less."""

    def p_at_least(self, at: float) -> float:
        """Return p of the hypothesis that the true difference is `at` or more."""

    def low(self, tail: float) -> float:
        """Return the lower bound, above `at` exactly where p_at_most(at) is below `tail`."""

    def high(self, tail: float) -> float:
        """Return the upper bound, below `at` exactly where p_at_least(at) is below `tail`."""


@dataclass(frozen=True)
class ExactBounds:
    """So many queries lost and gained out of n."""

    losses: int
    gains: int
    n: int

    @property
    def value(self) -> float:
        return (self.gains - self.losses) / self.n

    @property
    def error(self) -> float:
        # One flip more than was seen: a sample without any is not infinitely sure.
        return math.sqrt(((self.losses + self.gains + 1) / self.n - self.value**2) / self.n)

    def p_at_most(self, at: float) -> float:
        return chance_below(self.losses, self.gains, self.n, at)

    def p_at_least(self, at: float) -> float:
        return chance_below(self.gains, self.losses, self.n, -at)

    def low(self, tail: float) -> float:
        return lower_bound(self.losses, self.gains, self.n, tail)

    def high(self, tail: float) -> float:
        return -lower_bound(self.gains, self.losses, self.n, tail)


@dataclass(frozen=True)
class ResampledBounds:
    """A difference on B resamples, each with the worst or the best query that may be unseen."""

    value: float
    lows: Floats
    highs: Floats

    @property
    def error(self) -> float:
        return float(self.lows.std())

    def p_at_most(self, at: float) -> float:
        return float((1 + np.count_nonzero(self.lows <= at)) / (len(self.lows) + 1))

    def p_at_least(self, at: float) -> float:
        return float((1 + np.count_nonzero(self.highs >= at)) / (len(self.highs) + 1))

    def low(self, tail: float) -> float:
        return _bound(self.lows, tail)

    def high(self, tail: float) -> float:
        return -_bound(-self.highs, tail)


def _bound(samples: Floats, tail: float) -> float:
    """Return the sample that is above a value exactly where the value's p is below `tail`."""
    # p of x is (1 + number of samples at or below x) / (B + 1).
    rank = math.ceil(tail * (len(samples) + 1)) - 2
    return float(np.partition(samples, rank)[rank]) if rank >= 0 else -1.0


def bounds(
    columns: Sequence[Floats], clusters: Ints, resamples: int = 10_000, seed: int = 0
) -> list[Bounds]:
    """Return the bounds of differences in score [S, n], each of the same n queries."""
    alone = Groups.of(clusters, len(clusters)).size is None
    exact = [alone and _single(column) for column in columns]
    drawn = resampled(
        [Differences(c, -1.0, 1.0) for c, e in zip(columns, exact, strict=True) if not e],
        clusters,
        resamples,
        seed,
    )
    rest = iter(drawn)
    made: list[Bounds] = []
    for column, is_exact in zip(columns, exact, strict=True):
        if is_exact:
            losses, gains = (int((column[0] == sign).sum()) for sign in (-1, 1))
            made.append(ExactBounds(losses, gains, column.shape[1]))
        else:
            one = next(rest)
            assert one is not None, "every query counts for one"
            made.append(ResampledBounds(one.value, one.lows, one.highs))
    return made


def _single(column: Floats) -> bool:
    """Return whether all seeds have the same differences, of 0/1 scores."""
    return bool((column == column[0]).all() and np.isin(column[0], (-1, 0, 1)).all())
