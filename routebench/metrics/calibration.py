"""Calibration of a router's confidence in [0, 1] that its chosen model is right.

`counts` [B, n] says how often each query is drawn in each of B resamples; ones([1, n]) gives the
point value. NaN where nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from routebench.metrics.bootstrap import Column
from routebench.metrics.curves import Ranked, as_whole
from routebench.metrics.statistics import ratio
from routebench.records import Floats

BINS = 15


def brier(confidence: Floats, score: Floats, counts: Column) -> Floats:
    """Return [B] mean squared difference of confidence and score, both [n] (Brier 1950)."""
    error = np.subtract(confidence, score, dtype=np.float64) ** 2
    total = np.einsum("bn,n->b", counts, error, dtype=np.float64)
    return ratio(total, counts.sum(axis=1, dtype=np.float64))


def ece(confidence: Floats, score: Floats, counts: Column, bins: int = BINS) -> Floats:
    """Return the [B] mean over bins, by mass, of |mean confidence − mean score| (Guo et al. 2017).

    Bins of equal mass over all n queries, the same ones in every resample. Equal confidences
    share the bin that the middle of their ranks falls into, so bins may differ in mass.
    """
    ranked = Ranked.of(confidence)
    n = len(ranked.order)
    stop = ranked.ends + 1
    start = np.append(0, stop)[:-1]
    bin_of = bins * (start + stop) // (2 * max(n, 1))
    first = start[np.append(True, bin_of[1:] != bin_of[:-1])[: len(start)]]
    excess = np.subtract(confidence, score, dtype=np.float64)[ranked.order]
    values = np.empty(len(counts))
    for rows, drawn in ranked.blocks(counts):
        off = np.abs(np.add.reduceat(drawn * excess, first, axis=1)).sum(axis=1)
        values[rows] = ratio(off, drawn.sum(axis=1, dtype=np.float64))
    return values


def reflected(value: float, samples: Floats) -> Floats:
    """Return [B] resampled ECEs, so that their percentiles are an interval for the true one.

    Chance adds the square of a bin's noise to its squared error, once in the data and once more
    in a resample. So the interval is the basic bootstrap's on the scale of squares: percentiles
    of the resamples themselves lie above the truth, and often above the value.
    """
    squares: Floats = np.maximum(0, 2 * value**2 - samples**2)
    return np.sqrt(squares)


@dataclass(frozen=True)
class RiskCoverage:
    """Risk of the answers over the share of queries answered, the most confident ones first."""

    ranked: Ranked
    loss: Column
    """[n] 1 − score, in rank order."""

    @classmethod
    def of(cls, confidence: Floats, score: Floats) -> RiskCoverage:
        """Rank queries by [n] confidences; [n] scores give their losses."""
        if confidence.shape != score.shape:
            raise ValueError(f"{confidence.shape} and {score.shape} for one set of queries")
        ranked = Ranked.of(confidence)
        return cls(ranked, as_whole(np.subtract(1, score, dtype=np.float64)[ranked.order]))

    def points(self, counts: Column | None = None) -> tuple[Floats, Floats]:
        """Return coverage and risk at every confidence that occurs, up to coverage 1.

        For one weighting [n]; confidences of no drawn query are left out.
        """
        weights = np.ones((1, len(self.loss))) if counts is None else np.reshape(counts, (1, -1))
        ((_, drawn),) = self.ranked.blocks(weights)
        answered, lost = (self.ranked.running(v)[0] for v in (drawn, drawn * self.loss))
        moved = 1 + np.flatnonzero(np.diff(answered) > 0)
        return answered[moved] / answered[-1], lost[moved] / answered[moved]

    def area(self, counts: Column) -> Floats:
        """Return the [B] AURC: mean risk among the first i answered, i = 1 … N (Geifman 2017).

        Of equal confidences every order is equally likely and the expectation is taken: with M
        queries of loss L before a tie of m queries of mean loss l, the j-th of them adds
        (L + jl) / (M + j). Summed over j that is ml + (L − lM)(H(M + m) − H(M)), H the harmonic
        numbers. A query drawn twice is a tie of two. A constant confidence has the overall risk.
        """
        values = np.empty(len(counts))
        for rows, drawn in self.ranked.blocks(counts):
            answered, lost = self.ranked.running(drawn), self.ranked.running(drawn * self.loss)
            ties = np.diff(answered)
            mean = np.diff(lost)
            mean /= np.maximum(ties, 1)
            excess = lost[:, :-1] - mean * answered[:, :-1]
            tied = np.einsum("bk,bk->b", excess, np.diff(_harmonic(answered)))
            values[rows] = ratio(lost[:, -1] + tied, answered[:, -1])
        return values


def _harmonic(x: Floats) -> Floats:
    """Return the harmonic numbers H(x), for running counts x [b, k] from 0; whole ones by table."""
    from scipy import special

    place = x.astype(np.int64)
    if (place != x).any():
        return np.asarray(special.psi(x + 1) - special.psi(1), np.float64)
    return _harmonic_numbers(int(place.max()).bit_length())[place]


@cache
def _harmonic_numbers(bits: int) -> Floats:
    """Return H(0) … H(2^bits), added up with more digits than they are kept with."""
    parts = 1 / np.arange(1, 2**bits + 1, dtype=np.longdouble)
    return np.append(0.0, np.cumsum(parts).astype(np.float64))
