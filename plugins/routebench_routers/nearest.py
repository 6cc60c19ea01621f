"""Exact search of the nearest vectors, all that tie with the last one included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.records import Floats, Ints, Vectors

# Similarities this close are equal: float sums differ between a batch and a single query.
_TIE = 1e-9
_ROWS, _CELLS = 256, 2**21  # queries, and similarities of them, at a time: they stay in the cache
_PAIRS = 2**13
"""Similarities in float64 at a time."""
_MOST = 2**22  # candidates; where more are tied, fewer queries are searched at a time


@dataclass(frozen=True)
class Candidates:
    """Vectors that may be among the nearest of some queries: by query, then by vector."""

    counts: Ints
    """[queries] how many each has; none has no candidate."""
    column: npt.NDArray[np.int32]
    similarity: Vectors

    @cached_property
    def ends(self) -> Ints:
        """Return where the candidates of each query end, after a 0."""
        return np.append(0, np.cumsum(self.counts))

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return those of several parts, of which each has other vectors than the one before."""
        counts = np.array([part.counts for part in parts])
        # Short integers are sorted in one go.
        queries = np.tile(np.arange(counts.shape[1], dtype=np.int16), len(parts))
        order = np.argsort(np.repeat(queries, counts.ravel()), kind="stable")
        column = np.concatenate([part.column for part in parts])[order]
        similarity = np.concatenate([part.similarity for part in parts])[order]
        return cls(counts.sum(axis=0), column, similarity)

    def within(self, limit: Vectors) -> Candidates:
        """Return those that reach their query's limit, which one of them does at least."""
        near = self.similarity >= np.repeat(limit, self.counts)
        counts = np.add.reduceat(near, self.ends[:-1], dtype=np.int64)
        place = np.flatnonzero(near)
        return Candidates(counts, self.column[place], self.similarity[place])

    def without(self, places: Ints, queries: Ints) -> Candidates:
        """Return all but those at some places, given the query of each."""
        kept = np.ones(len(self.column), dtype=bool)
        kept[places] = False
        counts = self.counts - np.bincount(queries, minlength=len(self.counts))
        return Candidates(counts, self.column[kept], self.similarity[kept])

    def sparse(self, vectors: int) -> Any:
        """Return a sparse matrix [queries, vectors] with a 1 for each."""
        from scipy.sparse import csr_matrix

        parts = np.ones(len(self.column)), self.column, self.ends
        return csr_matrix(parts, (len(self.counts), vectors))


@dataclass(frozen=True)
class Index:
    """Vectors to search: in float32, and in float64 where that does not tell which is nearer."""

    vectors: Vectors | Floats

    def nearest(self, queries: Floats, ks: Sequence[int]) -> Iterator[tuple[slice, list[Any]]]:
        """Yield some queries at a time, and their nearest for each k.

        These are sparse [queries, vectors]. `ks` go from the largest on, which is less than the
        number of vectors. Nearest by inner product are the k best, and all as similar as the k-th.
        """
        starts = range(0, len(queries), _ROWS)
        pending = [slice(start, min(start + _ROWS, len(queries))) for start in starts][::-1]
        # One piece for all blocks: fresh memory costs as much as the product that fills it.
        most, width = min(len(queries), _ROWS), len(self.vectors)
        memory = np.empty(min(max(_CELLS, 2 * ks[0] * most), width * most), dtype=np.float32)
        while pending:
            rows = pending.pop()
            block = queries[rows]
            margin = self._margin(block)
            near = self._search(block, ks[0], margin, memory)
            if near is None:
                middle = rows.start + len(block) // 2
                pending += [slice(middle, rows.stop), slice(rows.start, middle)]
                continue
            selected = []
            for k, limit in zip(ks, _kth(near.similarity, near.ends, ks), strict=True):
                within = near.within(_below(limit, margin))
                near = self._settled(within, k, -_below(-limit, margin), block)
                selected.append(near.sparse(len(self.vectors)))
            yield rows, selected

    @cached_property
    def _single(self) -> Vectors:
        return np.asarray(self.vectors, dtype=np.float32)

    @cached_property
    def _longest(self) -> float:
        return float(np.sqrt(np.einsum("ij,ij->i", self._single, self._single).max()))

    def _margin(self, block: Floats) -> Floats:
        """Return how far apart two similarities in float32 are at most where they are equal.

        A sum of d products is off by d roundings at most (Higham 2002, section 3.1).
        """
        roundings = block.shape[1] + 8  # and those of the vectors themselves
        off = roundings * np.finfo(np.float32).eps / 2 * self._longest
        margin: Floats = 2 * off * np.linalg.norm(block, axis=1) + _TIE
        return margin

    def _search(self, block: Floats, k: int, margin: Floats, memory: Vectors) -> Candidates | None:
        """Return all that may be of the k nearest; None where these are too many at once.

        What is less similar than the k-th best so far is left out at once: of many vectors, nearly
        all.
        """
        width = len(memory) // len(block)
        queries = block.astype(np.float32)
        found: list[Candidates] = []
        for number, start in enumerate(range(0, len(self.vectors), width), 1):
            part = self._single[start : start + width]
            flat = memory[: len(block) * len(part)]
            similarity = flat.reshape(len(block), len(part))
            np.matmul(queries, part.T, out=similarity)
            if not found:
                (kth,) = _kth(flat, np.arange(len(block) + 1) * len(part), [k])
                limit = _below(kth, margin)
            near = similarity >= limit[:, None]
            place, counts = np.flatnonzero(near), np.count_nonzero(near, axis=1)
            before = np.arange(len(block)) * len(part) - start
            column = (place - np.repeat(before, counts)).astype(np.int32)
            found.append(Candidates(counts, column, flat[place]))
            if sum(len(part.column) for part in found) > _MOST and len(block) > 1:
                return None
            last = start + width >= len(self.vectors)
            # At twice as many vectors there are about twice as many candidates.
            if number > 1 and (last or number & (number - 1) == 0):
                joined = Candidates.joined(found)
                (kth,) = _kth(joined.similarity, joined.ends, [k])
                limit = _below(kth, margin)
                found = [joined.within(limit)]
        return found[0]

    def _settled(self, near: Candidates, k: int, sure: Vectors, block: Floats) -> Candidates:
        """Return the k nearest and all tied with the last, of those that may be.

        Those more similar than `sure` [queries] are, and count among the k.
        """
        place = np.flatnonzero(near.similarity <= np.repeat(sure, near.counts))
        query = np.searchsorted(near.ends, place, side="right") - 1
        doubtful = np.bincount(query, minlength=len(block))
        missing = k - (near.counts - doubtful)
        several = (doubtful > missing)[query]
        if not several.any():
            return near
        place, query = place[several], query[several]
        similarity = self._exact(block, query, near.column[place])
        ranked = np.lexsort((-similarity, query))
        rows = np.unique(query)
        kth = np.empty(len(block))
        kth[rows] = similarity[ranked][np.searchsorted(query, rows) + missing[rows] - 1]
        less = similarity < kth[query] - _TIE
        return near.without(place[less], query[less])

    def _exact(self, block: Floats, query: Ints, column: npt.NDArray[np.int32]) -> Floats:
        """Return the similarities of pairs in float64, each the same in whatever company."""
        similarity = np.empty(len(query))
        for start in range(0, len(query), _PAIRS):
            some = slice(start, start + _PAIRS)
            vectors = self.vectors[column[some]].astype(np.float64)
            similarity[some] = np.einsum("ij,ij->i", block[query[some]], vectors)
        return similarity


def _below(similarity: Vectors, margin: Floats) -> Vectors:
    """Return similarities less a margin, rounded down to float32."""
    rounded = (similarity - margin).astype(np.float32)
    return np.nextafter(rounded, np.float32(-np.inf))


def _kth(similarity: Vectors, ends: Ints, ks: Sequence[int]) -> Vectors:
    """Return [ks, queries] the k-th best similarity of each query's candidates."""
    found = np.empty((len(ks), len(ends) - 1), dtype=np.float32)
    places = [-k for k in ks]
    for query, (start, end) in enumerate(pairwise(ends.tolist())):
        ranked = similarity[start:end].copy()
        if len(ks) > 1:
            ranked.sort()
        else:
            ranked.partition(end - start - ks[0])
        found[:, query] = ranked[places]
    return found
