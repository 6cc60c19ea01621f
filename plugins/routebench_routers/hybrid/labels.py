"""The three kinds of label of Hybrid LLM (arXiv 2404.14618): is a small model good enough?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from routebench.records import Floats, Ints, Strings, Table

Mode = Literal["deterministic", "probabilistic", "transformed"]

# Scores this close are equal: means of samples are sums of floats.
_EQUAL = 1e-9
_STEPS = 100
MAX_DROP = 1.0
"""Percent of the large model's quality that validation may lose: the source's protocol."""


@dataclass(frozen=True)
class Samples:
    """Scores of two models on the queries where both are known."""

    rows: Ints
    """[n] row numbers in the table."""
    small: Floats
    """[n, k] scores of the small model's answers; NaN where there are fewer than k."""
    large: Floats
    """[n, k]"""

    @property
    def gap(self) -> Floats:
        """Return [n] the mean score of the small model less that of the large one."""
        difference: Floats = np.nanmean(self.small, axis=1) - np.nanmean(self.large, axis=1)
        return difference

    def take(self, order: Ints) -> Samples:
        return Samples(self.rows[order], self.small[order], self.large[order])

    def ordered(self, text: Strings) -> Samples:
        """Sort by the text of the queries; `text` has one per row of the table."""
        texts = text[self.rows]
        return self.take(np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64))


def samples_of(table: Table, small: int, large: int) -> Samples:
    """Return all samples of two models; where a cell has none, its score is the only sample."""
    outcomes = table.outcomes
    rows = np.flatnonzero(outcomes.ok[:, small] & outcomes.ok[:, large])
    both = []
    for model in (small, large):
        score = outcomes.score[rows, model][:, None]
        if outcomes.samples is None:
            both.append(score)
            continue
        samples = outcomes.samples[rows, model].copy()
        none = np.isnan(samples).all(axis=1)
        samples[none, 0] = score[none, 0]
        both.append(samples)
    return Samples(rows, both[0], both[1])


def labels(mode: Mode, samples: Samples, tau: float, margin: float) -> Floats:
    """Return [n] the degree, in [0, 1], to which the small model is good enough."""
    if mode == "deterministic":
        return (samples.gap >= -_EQUAL).astype(np.float64)
    shares = share_good_enough(samples, margin)
    if mode == "transformed":
        return shares
    counts = [np.isfinite(scores).sum(axis=1) for scores in (samples.small, samples.large)]
    single = (counts[0] == 1) & (counts[1] == 1)
    soft = 1.0 / (1.0 + np.exp(-np.clip(samples.gap / tau, -500.0, 500.0)))
    return np.where(single, soft, shares)


def share_good_enough(samples: Samples, margin: float) -> Floats:
    """Return [n] Pr[q_S ≥ q_L − margin] over all pairs of a small and a large sample."""
    small, large = samples.small[:, :, None], samples.large[:, None, :]
    known = np.isfinite(small) & np.isfinite(large)
    good = known & (np.nan_to_num(small) >= np.nan_to_num(large) - margin - _EQUAL)
    share: Floats = good.sum(axis=(1, 2)) / known.sum(axis=(1, 2))
    return share


def margin(samples: Samples) -> float:
    """Return the margin t* at which the labels differ most from each other; of equals the least.

    The grid has 101 steps from 0 to the largest lead of the large model.
    """
    lead = float(np.nanmax(np.nanmax(samples.large, axis=1) - np.nanmin(samples.small, axis=1)))
    grid = np.linspace(0.0, max(0.0, lead), _STEPS + 1)
    spreads = np.array([spread(share_good_enough(samples, t)) for t in grid])
    return float(grid[np.flatnonzero(spreads >= spreads.max() - 1e-12)[0]])


def spread(values: Floats) -> float:
    """Return the mean |y_i − y_j| over all i and j; for labels 0 and 1 this is 2p(1 − p)."""
    n = len(values)
    rank = 2 * np.arange(n) - n + 1
    return float(2 * (rank * np.sort(values)).sum() / n**2)


def threshold_for(options: Any, predicted: Floats, samples: Samples, spare: float = 0.0) -> float:
    """Return the threshold: found on validation by `call_share` or `max_drop`, else as given.

    Where nothing sets it, validation may lose 1%, the source's protocol. Of the thresholds at
    which, and above which, validation keeps the drop: the one with the most calls to the small
    model (a lower one that keeps it by luck, beyond others that do not, is not taken). Of those
    equally near to the share of calls, the one with fewer calls to the large model. The drop is
    kept with `spare` standard errors of it to spare.
    """
    drop = options.max_drop
    if drop is None and options.call_share is None:
        if options.threshold is not None:
            return float(options.threshold)
        drop = MAX_DROP
    if not len(predicted):
        return 0.5
    values = np.unique(predicted)
    # Cut between two predictions, so that rounding cannot move a query across the threshold.
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [values[-1] + 1e-3]])
    to_large = np.searchsorted(np.sort(predicted), cuts)  # predictions below each cut
    if options.call_share is not None:
        return float(cuts[np.abs(to_large / len(predicted) - options.call_share).argmin()])
    order = np.argsort(predicted, kind="stable")
    lost, squares = (
        np.append(0.0, values[order].cumsum())[to_large] for values in (samples.gap, samples.gap**2)
    )
    # Queries below the cut go to the large model; on the others the total changes by their gap.
    gain, squares = samples.gap.sum() - lost, (samples.gap**2).sum() - squares
    gain = gain - spare * np.sqrt(np.maximum(squares - gain**2 / len(predicted), 0.0))
    large = np.nanmean(samples.large, axis=1).sum()
    # Of rewards, whose sum may be below zero, the share is of its size. Where all go to the large
    # model nothing is lost.
    lost_too_much = np.flatnonzero(gain[:-1] < -drop / 100 * abs(large) - _EQUAL)
    return float(cuts[lost_too_much[-1] + 1 if len(lost_too_much) else 0])
