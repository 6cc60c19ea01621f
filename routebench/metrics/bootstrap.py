"""The paired percentile bootstrap: one set of resamples for every router and metric of a run.

A resample draws G of the G clusters with replacement. Only the number of times each is drawn
matters, so all means of a chunk of resamples are one matrix product of counts with the columns.
Its sums are exact, so that no machine's order of additions shows in a board.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.metrics.statistics import ratio
from routebench.records import Floats, Ints

Bytes = npt.NDArray[np.uint8]
Sample = Callable[[int, Bytes], Floats]
"""A statistic of one seed on counts [B, n]: [B], or [B, k] for several."""
Column = npt.NDArray[Any]
"""[n] one value per query, or [S, n] one per seed and query; of any real type."""

CHUNK = 128  # resamples per matrix product
BATCH = 1 << 17  # counts drawn at a time: they and their random bits stay in the cache
BLOCK = 2048  # clusters per matrix product
KEPT = 1 << 25  # bytes of counts that are kept for the next call
CROSSED_SEEDS = 3  # from this many seeds on, they are resampled too


def bootstrap_means(
    columns: Sequence[Column],
    clusters: Ints | None = None,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    stream: int = 0,
) -> Floats:
    """Return [B, k] means of k columns over B resamples of the queries.

    Clusters (an integer group per row; by default each row its own) are drawn with replacement
    and the sum over the drawn rows is divided by their number. For a column [S, n] of three or
    more seeds the seeds are drawn as well, the same ones for all columns of a resample; with
    fewer they are averaged. What is drawn depends on `seed`, `stream` and the number of
    clusters alone (and of seeds, whatever the stream), never on the columns: calls agree.
    """
    means, at = distinct_means(columns, clusters, resamples=resamples, seed=seed, stream=stream)
    return means[at].T


def distinct_means(
    columns: Sequence[Column],
    clusters: Ints | None = None,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    stream: int = 0,
) -> tuple[Floats, list[int]]:
    """Return the [d, B] means of the distinct columns, and which of them are each column's."""
    groups = Groups.of(clusters, columns[0].shape[-1] if columns else 0)
    if not groups.count:
        raise ValueError("nothing to resample")
    vectors, places = _vectors(columns)
    summed = [groups.sum(vector) for vector in vectors]
    packed = Packed.of([*summed, groups.size] if groups.size is not None else summed, groups.count)
    sums = packed.sums(_chunks(groups.count, resamples, seed, stream))
    size = sums[:, -1] if groups.size is not None else np.float64(groups.count)
    weights = {s: seed_weights(s, resamples, seed) for s in {len(place) for place in places}}
    distinct = {place: i for i, place in enumerate(dict.fromkeys(places))}
    means = np.empty((len(distinct), resamples))
    for place, mean in zip(distinct, means, strict=True):
        if len(place) == 1:
            total = sums[:, place[0]]
        else:
            total = (sums[:, place] * weights[len(place)]).sum(axis=1)
        np.divide(total, size, out=mean)
    return means, [distinct[place] for place in places]


def _chunks(groups: int, resamples: int, seed: int, stream: int) -> Iterable[Bytes]:
    """Return the counts of all resamples, a few at a time; those drawn last are kept if small."""
    small = groups * resamples <= KEPT
    return (_kept if small else _drawn)(groups, resamples, seed, stream)


def _drawn(groups: int, resamples: int, seed: int, stream: int) -> Iterator[Bytes]:
    draw, rng = Draw(groups), _rng(seed, 0, stream)
    for start in range(0, resamples, CHUNK):
        yield draw.counts(min(CHUNK, resamples - start), rng)


@lru_cache(maxsize=1)
def _kept(*drawn: int) -> tuple[Bytes, ...]:
    return tuple(_drawn(*drawn))


def one_thread() -> AbstractContextManager[Any]:
    """Hold NumPy to one thread: on matrices this small more cost time."""
    limit: AbstractContextManager[Any] = _thread_pools().limit(limits=1)
    return limit


@cache
def _thread_pools() -> Any:
    # Looking for the libraries takes longer than a small resampling; NumPy's is there by now.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def resampled_counts(clusters: Ints, resamples: int, seed: int, stream: int = 0) -> Bytes:
    """Return [B, n] the draws of each row, for statistics that are no means; clusters whole."""
    groups = Groups.of(clusters, len(clusters))
    counts = Draw(groups.count).counts(resamples, _rng(seed, 2, stream))
    return counts if groups.label is None else counts[:, groups.label]


@dataclass(frozen=True)
class Groups:
    """Groups of rows that are drawn together."""

    count: int
    label: Ints | None
    """[n] group number of each row; None where each row is its own."""
    size: Floats | None
    """[G] rows in each group; None where all hold one."""

    @classmethod
    def of(cls, clusters: Ints | None, n: int) -> Groups:
        if clusters is None:
            return cls(n, None, None)
        if len(clusters) != n:
            raise ValueError(f"{len(clusters)} cluster ids for {n} rows")
        ids, label = np.unique(clusters, return_inverse=True)
        if len(ids) == n:
            return cls(n, None, None)
        return cls(len(ids), label, np.bincount(label).astype(np.float64))

    def sum(self, vector: Column) -> Column:
        """Return [G] sums over the rows of each group."""
        if self.label is None:
            return vector
        return np.bincount(self.label, weights=vector, minlength=self.count)


@dataclass(frozen=True)
class Packed:
    """Vectors as columns whose sums over a resample are exact, in whatever order they are added.

    Several vectors of whole numbers share a column, each in bits of its own: sums of 0/1 vectors
    (scores, usage) stay below 2^b, so 53 // b of them fit in one float64. That is most of the work
    of the product saved. Any other vector is two columns, its leading bits and the rest, each of
    so few bits that no sum needs rounding.
    """

    matrix: Floats
    """[columns, G]."""
    bits: int
    slots: tuple[tuple[int, int], ...]
    """Per vector: its column and its position there; -1 for two columns of its own."""

    @classmethod
    def of(cls, vectors: Sequence[Column], draws: int) -> Packed:
        """Pack vectors [G] for resamples whose counts sum to at most `draws`."""
        whole = [_is_count(vector) for vector in vectors]
        top = max((int(v.max()) for v, w in zip(vectors, whole, strict=True) if w), default=1)
        bits = max(1, (draws * max(top, 1)).bit_length())
        slots = _slots(whole, 53 // bits)
        width = max(column + (1 if position >= 0 else 2) for column, position in slots)
        matrix = np.zeros((width, len(vectors[0])))
        for vector, (column, position) in zip(vectors, slots, strict=True):
            if position < 0:
                matrix[column : column + 2] = _halves(np.asarray(vector, np.float64), draws)
            else:
                matrix[column] += vector * 2.0 ** (bits * position)
        return cls(matrix, bits, slots)

    def sums(self, chunks: Iterable[Bytes]) -> Floats:
        """Return [B, vectors] sums over resamples; counts [B, G] come in chunks."""
        products = []
        with one_thread():
            for counts in chunks:
                product = np.zeros((len(counts), len(self.matrix)))
                for left in range(0, counts.shape[1], BLOCK):
                    block = counts[:, left : left + BLOCK].astype(np.float64)
                    product += block @ self.matrix[:, left : left + BLOCK].T
                products.append(product)
        return self._unpacked(np.concatenate(products))

    def _unpacked(self, sums: Floats) -> Floats:
        """Return [B, vectors] from [B, columns]."""
        out = np.empty((len(self.slots), len(sums)))
        by_column = np.ascontiguousarray(sums.T)
        for (column, position), sum_of in zip(self.slots, out, strict=True):
            if position < 0:
                np.add(by_column[column], by_column[column + 1], out=sum_of)
            else:
                shifted = by_column[column].astype(np.int64) >> (self.bits * position)
                sum_of[:] = shifted & ((1 << self.bits) - 1)
        return out.T


def _halves(vector: Floats, draws: int) -> tuple[Floats, Floats]:
    """Return the leading bits of a vector and its rest, for exact sums of up to `draws` of each.

    Multiples of one unit add up without rounding while sums stay below 2^53 units.
    """
    bits = 53 - draws.bit_length()
    top = np.abs(vector[np.isfinite(vector)]).max(initial=0.0)
    exponent = max(int(np.frexp(top)[1]), -800)  # units must not underflow
    unit = np.ldexp(1.0, exponent - bits)
    leading = np.rint(vector / unit) * unit
    unit = np.ldexp(1.0, exponent - 2 * bits)
    return leading, np.rint((vector - leading) / unit) * unit


def _slots(whole: Sequence[bool], room: int) -> tuple[tuple[int, int], ...]:
    slots, used, open_column, filled = [], 0, -1, room
    for packable in whole:
        if not packable or room < 2:
            slots.append((used, -1))
            used += 2
            continue
        if filled == room:
            open_column, filled = used, 0
            used += 1
        slots.append((open_column, filled))
        filled += 1
    return tuple(slots)


def _is_count(vector: Column) -> bool:
    if vector.dtype.kind in "bu":
        return True
    return bool(vector.min() >= 0 and vector.max() < 2**15 and (vector == np.floor(vector)).all())


def _vectors(columns: Sequence[Column]) -> tuple[list[Column], list[tuple[int, ...]]]:
    """Return distinct vectors [n], and which of them (one per crossed seed) make up each column.

    Equal columns share a vector, so that equal routers get equal numbers to the last bit.
    """
    vectors: list[Column] = []
    known: dict[bytes, int] = {}
    places = []
    for column in columns:
        rows = _rows(column)
        place = []
        for row in rows:
            key = hashlib.blake2b(np.ascontiguousarray(row, np.float64).data).digest()
            if key not in known:
                known[key] = len(vectors)
                vectors.append(row)
            place.append(known[key])
        places.append(tuple(place))
    return vectors, places


def _rows(column: Column) -> list[Column]:
    if column.ndim == 1:
        return [column]
    if (column == column[0]).all():
        return [column[0]]
    if len(column) < CROSSED_SEEDS:
        return [column.mean(axis=0)]
    return list(column)


def _rng(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def seed_weights(seeds: int, resamples: int, seed: int) -> Floats:
    """Return [B, S] share of each seed in a resample."""
    if seeds == 1:
        return np.ones((1, 1))
    drawn = _rng(seed, 1, seeds).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    return drawn / seeds


class Draw:
    """The counts of each of G clusters in G draws: exactly multinomial, drawn fast.

    Independent Poisson counts, given their sum N, are the counts of N uniform draws. So: draw
    Poisson counts with a mean a little under one, by table from 16 random bits each, and draw
    the missing G - N one by one. Where N exceeds G, which is rare, all G are drawn one by one.
    """

    def __init__(self, groups: int) -> None:
        self.groups = groups
        self.mean = max(0.0, 1 - 4 / math.sqrt(groups))
        chance = [math.exp(-self.mean) * self.mean**k / math.factorial(k) for k in range(24)]
        entries = [math.floor(p * 65536) for p in chance[:7]]
        self.steps = np.cumsum(entries).tolist()
        # What 16 bits cannot resolve, and counts above six, are drawn in full precision.
        rest = [p - e / 65536 for p, e in zip(chance, entries + [0] * 17, strict=True)]
        self.rest = np.cumsum(rest) / sum(rest) if self.mean else np.ones(1)

    def counts(self, rows: int, rng: np.random.Generator) -> Bytes:
        """Draw [rows, G] counts; each row sums to G."""
        out = np.zeros((rows, self.groups), dtype=np.uint8)
        step = max(1, BATCH // self.groups)
        for start in range(0, rows, step):
            part = out[start : start + step]
            totals = self._poisson(part, rng) if self.mean else np.zeros(len(part), np.int64)
            over = totals > self.groups
            part[over], totals[over] = 0, 0
            self._complete(part, self.groups - totals, rng)
        return out

    def _poisson(self, part: Bytes, rng: np.random.Generator) -> Ints:
        """Fill with Poisson counts; returns the [rows] totals."""
        words = rng.integers(0, 2**64, size=-(-part.size // 4), dtype=np.uint64)
        bits = words.astype("<u8", copy=False).view("<u2")[: part.size].reshape(part.shape)
        above = np.empty(part.shape, dtype=np.bool_)
        for step in self.steps[:-1]:
            np.greater_equal(bits, np.uint16(step), out=above)
            np.add(part, above.view(np.uint8), out=part)
        np.greater_equal(bits, np.uint16(self.steps[-1]), out=above)
        flat, place = part.reshape(-1), np.flatnonzero(above)
        flat[place] = np.searchsorted(self.rest, rng.random(len(place)), side="right")
        totals: Ints = part.sum(axis=1, dtype=np.uint32).astype(np.int64)
        return totals

    def _complete(self, part: Bytes, missing: Ints, rng: np.random.Generator) -> None:
        row = np.repeat(np.arange(len(part)), missing)
        place = row * self.groups + rng.integers(0, self.groups, size=len(row))
        np.add.at(part.reshape(-1), place, np.uint8(1))


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
        return ratio(packed[seed].sums(chunks).T, drawn.sum(axis=1, dtype=np.uint32)).T

    return remembered(means)


@lru_cache(maxsize=8)
def each_once(n: int) -> Bytes:
    """Return [1, n] counts that give the point value; the same array for the same n."""
    return np.ones((1, n), dtype=np.uint8)
