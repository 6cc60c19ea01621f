"""Statistics of one seed on resampled counts, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from routebench.metrics.bootstrap import CHUNK, Bytes, Packed
from routebench.metrics.statistics import ratio
from routebench.records import Floats

Sample = Callable[[int, Bytes], Floats]
"""A statistic of one seed on counts [B, n]: [B], or [B, k] for several."""


def remembered(statistics: Sample) -> Sample:
    """Return the statistics with a cache, so that each is computed once."""
    known: dict[tuple[int, int], tuple[Bytes, Floats]] = {}

    def once(seed: int, counts: Bytes) -> Floats:
        key = seed, id(counts)
        if key not in known:
            known[key] = counts, statistics(seed, counts)  # kept, so that the id stays theirs
        return known[key][1]

    return once


def means_of(columns: Iterable[Floats], counts: Bytes) -> Sample:
    """Return the [B, k] means of each seed's columns [k, n], remembered; NaN without a draw.

    They are to be taken on these counts, or on every query once.
    """
    draws = max(counts.shape[1], int(counts.sum(axis=1, dtype=np.uint32).max()))
    packed = [Packed.of(list(each), draws) for each in columns]

    def means(seed: int, drawn: Bytes) -> Floats:
        chunks = (drawn[start : start + CHUNK] for start in range(0, len(drawn), CHUNK))
        return ratio(packed[seed].sums(chunks), drawn.sum(axis=1, dtype=np.uint32)[:, None])

    return remembered(means)


@lru_cache(maxsize=8)
def each_once(n: int) -> Bytes:
    """Return [1, n] counts that give the point value; the same array for the same n."""
    return np.ones((1, n), dtype=np.uint8)
