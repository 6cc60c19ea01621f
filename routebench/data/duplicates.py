"""Duplicate queries: exact ones, and near ones at a Jaccard index of .95.

Near: the sets of character 5-grams overlap to at least .95, and the sets of numbers and of
capitalised words are equal, so that "… in 2018" and "… in 2008" stay apart. Every near pair is
found. Two filters, neither of which can lose a pair, keep the work far from quadratic:

- Prefix: with all grams in one order, rarest first, a pair must share one of each text's first
  few (Chaudhuri et al. 2006, "A primitive operator for similarity joins in data cleaning").
- Parts: a pair differs in at most k grams, so of k + 1 parts of the gram space at least one
  holds the same grams in both (Arasu et al. 2006, "Efficient exact set-similarity joins").
  Used where many texts share a prefix gram, as questions written to one template do.

A product of sparse matrices would find the same pairs, as fast among varied questions, but its
work grows with the square of the number of questions written to one template.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.data.grams import GRAM, WORDS, Grams, Hashes, mix
from routebench.data.texts import normalise
from routebench.records import Ints, Mask

_NEAR, _OF = 19, 20  # the threshold .95 as a fraction, so that no rounding decides
# What is worked on at a time; together they bound memory to about 1 GB besides texts and pairs.
_CHARS_AT_ONCE = 8_000_000
_POSTS_AT_ONCE = 4_000_000
_PAIRS_AT_ONCE = 2_000_000
_LONG = 48  # a gram shared by more texts than this is looked at part by part
_MANY = 12  # with more parts than this, a part alone is rare enough
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Duplicates among n texts, without a pair for every two copies.

    Texts i and j are duplicates if `exact[i] == exact[j]`, or if (`unit[i]`, `unit[j]`), the
    smaller first, is one of `pairs`. Near duplication is not transitive.
    """

    exact: Ints
    """[n] equal where the normalised texts are equal."""
    unit: Ints
    """[n] equal where normalised texts, numbers and capitalised words are equal."""
    pairs: Ints
    """[k, 2] pairs of units, smaller first, sorted, that are near duplicates."""

    def hits(self, rows: Mask) -> Mask:
        """Return [n] whether a text duplicates any of the given rows; the rows themselves too."""
        exact = np.zeros(len(self.exact), dtype=bool)
        exact[self.exact[rows]] = True
        marked = np.zeros(len(self.exact), dtype=bool)
        marked[self.unit[rows]] = True
        near = np.zeros(len(self.exact), dtype=bool)
        left, right = self.pairs[:, 0], self.pairs[:, 1]
        near[right[marked[left]]] = True
        near[left[marked[right]]] = True
        found: Mask = exact[self.exact] | near[self.unit]
        return found

    def groups(self) -> Ints:
        """Return [n] equal numbers for texts that are duplicates, or by others between them."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        units = int(self.unit.max(initial=-1)) + 1
        size = units + int(self.exact.max(initial=-1)) + 1
        one = np.concatenate([self.unit, self.pairs[:, 0]])
        other = np.concatenate([units + self.exact, self.pairs[:, 1]])
        edges = coo_matrix((np.ones(len(one), dtype=np.int8), (one, other)), shape=(size, size))
        component: Ints = connected_components(edges, directed=False)[1][self.unit]
        return component


def near_pairs(texts: Sequence[str]) -> Duplicates:
    """Return all duplicates among the texts, exact and near."""
    exact, unit, normal, signature = _units(texts)
    found = [_near(batch, normal, signature) for batch in _batches(normal, signature)]
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *found])
    return Duplicates(exact, unit, pairs[np.lexsort(pairs.T[::-1])])


def _units(texts: Sequence[str]) -> tuple[Ints, Ints, list[str], list[int]]:
    """Return ids per text; then normalised text and number of the signature, per unit."""
    normals: dict[str, int] = {}
    signatures: dict[Any, int] = {}
    units: dict[tuple[int, int], int] = {}
    exact, unit = np.empty(len(texts), dtype=np.int64), np.empty(len(texts), dtype=np.int64)
    normal: list[str] = []
    signature: list[int] = []
    for row, text in enumerate(texts):
        clean = normalise(text)
        exact[row] = normals.setdefault(clean, len(normals))
        sign = signatures.setdefault(_signature(text), len(signatures))
        unit[row] = units.setdefault((int(exact[row]), sign), len(units))
        if unit[row] == len(normal):
            normal.append(clean)
            signature.append(sign)
    return exact, unit, normal, signature


def _signature(text: str) -> tuple[frozenset[str], frozenset[str]]:
    composed = unicodedata.normalize("NFKC", text)
    capitalised = frozenset(word for word in _WORD.findall(composed) if word[0].isupper())
    return frozenset(_NUMBER.findall(composed)), capitalised


def _batches(normal: list[str], signature: list[int]) -> Iterator[list[int]]:
    """Yield units that can have a near duplicate, signatures together.

    In bounded batches, but for the units of one signature, which are never apart.
    """
    blocks: dict[int, list[int]] = {}
    for unit, sign in enumerate(signature):
        if len(normal[unit]) >= GRAM:
            blocks.setdefault(sign, []).append(unit)
    batch: list[int] = []
    chars = 0
    for block in blocks.values():
        if len(block) < 2:
            continue
        size = sum(len(normal[unit]) for unit in block)
        if batch and chars + size > _CHARS_AT_ONCE:
            yield batch
            batch, chars = [], 0
        batch.extend(block)
        chars += size
    if batch:
        yield batch


def _near(batch: list[int], normal: list[str], signature: list[int]) -> Ints:
    """Return [k, 2] the near pairs of a batch, smaller unit first."""
    texts = [normal[unit] for unit in batch]
    grams = Grams(texts, [signature[unit] for unit in batch], _CHARS_AT_ONCE)
    found = []
    for left, right in _survivors(grams):
        for i, j in zip(left.tolist(), right.tolist(), strict=True):
            a, b = sorted((batch[i], batch[j]))
            # Hashes have only proposed the pair; the texts themselves decide.
            if signature[a] == signature[b] and _jaccard_near(normal[a], normal[b]):
                found += [a, b]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _jaccard_near(a: str, b: str) -> bool:
    left, right = _gram_set(a), _gram_set(b)
    shared = len(left & right)
    return _OF * shared >= _NEAR * (len(left) + len(right) - shared)


def _gram_set(text: str) -> set[str]:
    return {text[i : i + GRAM] for i in range(len(text) - GRAM + 1)}


def _survivors(grams: Grams) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs of texts that pass every filter, each once; all near pairs are among them."""
    seen = np.empty(0, dtype=np.int64)
    for left, right in _candidates(grams):
        near = _plausible(grams, left, right)
        codes = np.unique(left[near] * len(grams.size) + right[near])
        place = np.searchsorted(seen, codes)
        known = np.append(seen, -1)[place] == codes
        seen = np.insert(seen, place[~known], codes[~known])
        yield np.divmod(codes[~known], len(grams.size))


def _candidates(grams: Grams) -> Iterator[tuple[Ints, Ints]]:
    for posts in _prefixes(grams):
        count = np.diff(np.append(np.flatnonzero(_fresh(posts.key)), len(posts.key)))
        count = np.repeat(count, count)
        yield from _pairs(posts.take((count > 1) & (count <= _LONG)), grams)
        for by_part in _by_part(grams, posts.take(count > _LONG)):
            yield from _pairs(by_part, grams)


def _prefixes(grams: Grams) -> Iterator[_Posts]:
    """Yield the first grams of every text, all posts of a gram together."""
    allowed = _differing(grams.size)
    pieces = 1 + int((allowed + 1).sum()) // _POSTS_AT_ONCE
    for piece in range(pieces):
        found = []
        for part in grams.parts():
            wanted = (part.place <= allowed[part.owner]) & (part.gram % np.uint64(pieces) == piece)
            rows = np.flatnonzero(wanted)
            found.append(_Posts(part.gram[rows], part.owner[rows], part.place[rows]))
        yield _sorted(found)


def _differing(size: Ints) -> Ints:
    """Return how many of its grams a text may not share with a near one."""
    allowed: Ints = size + (-_NEAR * size) // _OF
    return allowed


@dataclass(frozen=True, slots=True)
class _Posts:
    """Texts by a key that near texts share, sorted by key."""

    key: Hashes
    owner: Ints
    place: Ints  # how many rarer grams the text has

    def take(self, rows: Ints | Mask) -> _Posts:
        return _Posts(self.key[rows], self.owner[rows], self.place[rows])


def _sorted(found: Sequence[_Posts]) -> _Posts:
    """Return all posts, sorted by key."""
    key, owner, place = (
        np.concatenate([getattr(posts, name) for posts in found])
        for name in ("key", "owner", "place")
    )
    posts = _Posts(key, owner, place)
    return posts.take(np.argsort(key, kind="stable"))


def _fresh(key: Hashes) -> Mask:
    """Return whether a run of equal keys begins at each place."""
    fresh = np.ones(len(key), dtype=bool)
    fresh[1:] = key[1:] != key[:-1]
    return fresh


def _pairs(posts: _Posts, grams: Grams) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs of texts within runs of equal keys, in bounded chunks, smaller first.

    Of a near pair's first shared gram, all rarer grams of both texts are unshared, and a text
    of s grams has at most s // 19 grams to differ in: later places need not be looked at.
    """
    if not len(posts.key):
        return
    run = np.cumsum(_fresh(posts.key)) << 32
    order = np.argsort(run + posts.place, kind="stable")
    posts, sorted_place = posts.take(order), (run + posts.place)[order]
    rest = grams.size[posts.owner] // _NEAR - posts.place
    end = np.searchsorted(sorted_place, run + np.maximum(rest, 0), side="right")
    count = np.where(rest >= 0, np.maximum(end - np.arange(len(run)) - 1, 0), 0)
    total = np.cumsum(count)
    at = 0
    while at < len(run):
        done = int(total[at - 1]) if at else 0
        to = max(at + 1, int(np.searchsorted(total, done + _PAIRS_AT_ONCE, side="right")))
        chunk = count[at:to]
        left = np.repeat(np.arange(at, to), chunk)
        right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(chunk) - chunk, chunk)
        one, other = posts.owner[left], posts.owner[right]
        yield np.minimum(one, other), np.maximum(one, other)
        at = to


def _plausible(grams: Grams, left: Ints, right: Ints) -> Mask:
    """Return pairs whose sizes and sketches leave a Jaccard index of .95 possible."""
    total = grams.size[left] + grams.size[right]
    allowed = (_OF - _NEAR) * total // (_OF + _NEAR)
    near: Mask = np.abs(grams.size[left] - grams.size[right]) <= allowed
    for word in range(WORDS):
        rows = np.flatnonzero(near)
        differing = _popcount(grams.sketch[left[rows], word] ^ grams.sketch[right[rows], word])
        allowed[rows] -= differing
        near[rows] = allowed[rows] >= 0
    return near


def _popcount(value: Hashes) -> Ints:
    # np.bitwise_count came with NumPy 2; this is the classic sum in parallel.
    value = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + (
        (value >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((value * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)


def _by_part(grams: Grams, posts: _Posts) -> Iterator[_Posts]:
    """Yield keys that two texts sharing a frequent gram have in common if they are near.

    Sizes of a near pair lie in one level or in two that follow each other, so that every
    text has keys at its own level and at the next, with that level's number of parts.
    """
    if not len(posts.key):
        return
    level = np.floor(np.log(np.maximum(grams.size, 1)) / np.log(_OF / _NEAR) + 1e-9)
    levels = [_Level.of(grams, level + step) for step in (0, 1)]
    each = [_without_gram(posts, one.parts[posts.owner] > _MANY) for one in levels]
    total = sum(one.parts[own.owner].sum() for one, own in zip(levels, each, strict=True))
    pieces = 1 + int(total) // _POSTS_AT_ONCE
    for piece in range(pieces):
        yield _sorted(
            [one.posts(own, piece, pieces) for one, own in zip(levels, each, strict=True)]
        )


@dataclass(frozen=True, slots=True)
class _Level:
    """The parts of the gram space that texts of a size are compared by."""

    level: Ints
    parts: Ints  # [texts] how many
    offset: Ints  # [texts] where a text's parts begin
    content: npt.NDArray[np.float64]  # sums of the grams that lie in each part of each text

    @classmethod
    def of(cls, grams: Grams, level: npt.NDArray[np.float64]) -> _Level:
        upper = (_OF / _NEAR) ** (level + 1.0)
        parts = (2 * (_OF - _NEAR) * upper / (_OF + _NEAR) + 1e-6).astype(np.int64) + 1
        offset = np.cumsum(parts) - parts
        content = np.zeros(int(parts.sum()))
        for part in grams.parts():
            spread = mix(part.gram ^ np.uint64(0x5851F42D4C957F2D))
            which = (spread >> np.uint64(32)) % parts[part.owner].astype(np.uint64)
            low = (spread & np.uint64(0xFFFFFFFF)).astype(np.float64)  # sums stay exact below 2^53
            begin = offset[part.owner[0]]
            held = np.bincount(offset[part.owner] - begin + which.astype(np.int64), weights=low)
            content[begin : begin + len(held)] += held
        return cls(level.astype(np.int64), parts, offset, content)

    def posts(self, posts: _Posts, piece: int, pieces: int) -> _Posts:
        """Return one key for every post and part: the post's gram, the part, the grams in it.

        Of the parts, every one whose number leaves `piece` when divided by `pieces`.
        """
        repeats = (self.parts[posts.owner] + pieces - 1 - piece) // pieces
        owner = np.repeat(posts.owner, repeats)
        which = np.arange(len(owner)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        which = piece + pieces * which
        named = mix((self.level[owner] * 65_536 + which).astype(np.uint64))
        held = self.content[self.offset[owner] + which].astype(np.uint64)
        key = mix(held ^ named ^ np.repeat(posts.key, repeats))
        return _Posts(key, owner, np.repeat(posts.place, repeats))


def _without_gram(posts: _Posts, long: Mask) -> _Posts:
    """Keep long texts, which have many parts, once for their parts, not once per gram."""
    kept, once = posts.take(~long), np.unique(posts.owner[long])
    return _Posts(
        np.append(kept.key, np.zeros(len(once), dtype=np.uint64)),
        np.append(kept.owner, once),
        np.append(kept.place, np.zeros(len(once), dtype=np.int64)),
    )
