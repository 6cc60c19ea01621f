"""Exact search of the nearest vectors, all that tie with the last one included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.records import Floats, Ints, Mask

# Similarities this close are equal: float sums differ between a batch and a single query.
_TIE = 1e-9
_ROWS, _CELLS = 256, 2**21  # queries, and similarities of them, at a time: they stay in the cache
_MOST = 2**22  # candidates; where more are tied, fewer queries are searched at a time


@dataclass(frozen=True)
class Candidates:
    """Vectors that may be among the nearest of some queries: by query, then by vector."""

    row: Ints
    column: npt.NDArray[np.int32]
    similarity: Floats
    shape: tuple[int, int]
    """Queries, and all vectors that there are."""

    @property
    def ends(self) -> Ints:
        """Return where the candidates of each query end, after a 0."""
        return np.append(0, np.cumsum(np.bincount(self.row, minlength=self.shape[0])))

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return those of several parts, of which each has other vectors than the one before."""
        row = np.concatenate([part.row for part in parts])
        order = np.argsort(row.astype(np.int16), kind="stable")  # in one go for short integers
        column = np.concatenate([part.column for part in parts])[order]
        similarity = np.concatenate([part.similarity for part in parts])[order]
        return cls(row[order], column, similarity, parts[0].shape)

    def within(self, limit: Floats) -> Candidates:
        """Return those that reach their query's limit."""
        near: Mask = self.similarity >= limit[self.row]
        return Candidates(self.row[near], self.column[near], self.similarity[near], self.shape)

    def sparse(self) -> Any:
        """Return a sparse matrix [queries, vectors] with a 1 for each."""
        from scipy.sparse import csr_matrix

        parts = np.ones(len(self.row)), self.column, self.ends
        return csr_matrix(parts, self.shape)


def nearest(
    queries: Floats, vectors: Floats, ks: Sequence[int]
) -> Iterator[tuple[slice, list[Any]]]:
    """Yield some queries at a time, and for each k a sparse [queries, vectors] of their nearest.

    `ks` go from the largest on, which is less than the number of vectors. Nearest by inner product
    are the k best, and all as similar as the k-th.
    """
    starts = range(0, len(queries), _ROWS)
    pending = [slice(start, min(start + _ROWS, len(queries))) for start in starts][::-1]
    while pending:
        rows = pending.pop()
        block = queries[rows]
        found = _search(block, vectors, ks[0])
        if found is None:
            middle = rows.start + len(block) // 2
            pending += [slice(middle, rows.stop), slice(rows.start, middle)]
            continue
        limits = _limits(found.similarity, found.ends, ks[1:])
        yield rows, [found.sparse(), *((found := found.within(each)).sparse() for each in limits)]


def _search(block: Floats, vectors: Floats, k: int) -> Candidates | None:
    """Return the k nearest and all tied with the last; None where these are too many at once.

    What is less similar than the k-th best so far is left out at once: of many vectors, nearly all.
    """
    width = min(max(_CELLS // len(block), 2 * k), len(vectors))
    memory = np.empty(len(block) * width)
    shape = len(block), len(vectors)
    found: list[Candidates] = []
    for number, start in enumerate(range(0, len(vectors), width), 1):
        part = vectors[start : start + width]
        flat = memory[: len(block) * len(part)]
        similarity = flat.reshape(len(block), len(part))
        np.matmul(block, part.T, out=similarity)
        if not found:
            (limit,) = _limits(flat, np.arange(len(block) + 1) * len(part), [k])
        near = similarity >= limit[:, None]
        place = np.flatnonzero(near)
        row = np.repeat(np.arange(len(block)), np.count_nonzero(near, axis=1))
        column = (place - row * len(part) + start).astype(np.int32)
        found.append(Candidates(row, column, flat[place], shape))
        if sum(len(part.row) for part in found) > _MOST and len(block) > 1:
            return None
        last = start + width >= len(vectors)
        # At twice as many vectors there are about twice as many candidates.
        if number > 1 and (last or number & (number - 1) == 0):
            joined = Candidates.joined(found)
            (limit,) = _limits(joined.similarity, joined.ends, [k])
            found = [joined.within(limit)]
    return found[0]


def _limits(similarity: Floats, ends: Ints, ks: Sequence[int]) -> Floats:
    """Return [ks, queries] what counts as tied with the k-th best of each query's candidates."""
    limits = np.empty((len(ks), len(ends) - 1))
    places = [-k for k in ks]
    for query, (start, end) in enumerate(pairwise(ends.tolist())) if ks else ():
        ranked = similarity[start:end].copy()
        if len(ks) > 1:
            ranked.sort()
        else:
            ranked.partition(end - start - ks[0])
        limits[:, query] = ranked[places]
    return limits - _TIE
