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

from routebench.data.texts import normalise
from routebench.records import Ints, Mask

_Hashes = npt.NDArray[np.uint64]

GRAM = 5
_NEAR, _OF = 19, 20  # the threshold .95 as a fraction, so that no rounding decides
_CHARS_AT_ONCE = 16_000_000  # bounds memory to about 1 GB
_PAIRS_AT_ONCE = 2_000_000
_LONG = 48  # a gram shared by more texts than this is looked at part by part
_MANY = 12  # with more parts than this, a part alone is rare enough
_WORDS = 8  # 64-bit words of sketch
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


def near_pairs(texts: Sequence[str]) -> Duplicates:
    """Return all duplicates among the texts, exact and near."""
    exact, unit, normal, signature = _units(texts)
    found: list[tuple[int, int]] = []
    for batch in _batches(normal, signature):
        found.extend(_near(batch, normal, signature))
    pairs = np.array(sorted(set(found)), dtype=np.int64).reshape(-1, 2)
    return Duplicates(exact, unit, pairs)


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
    """Yield units that can have a near duplicate, signatures together, in bounded batches."""
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


def _near(batch: list[int], normal: list[str], signature: list[int]) -> Iterator[tuple[int, int]]:
    grams = _Grams.of([normal[unit] for unit in batch], [signature[unit] for unit in batch])
    for i, j in _survivors(grams):
        a, b = sorted((batch[i], batch[j]))
        # Hashes have only proposed the pair; the texts themselves decide.
        if signature[a] == signature[b] and _jaccard_near(normal[a], normal[b]):
            yield a, b


def _jaccard_near(a: str, b: str) -> bool:
    left, right = _gram_set(a), _gram_set(b)
    shared = len(left & right)
    return _OF * shared >= _NEAR * (len(left) + len(right) - shared)


def _gram_set(text: str) -> set[str]:
    return {text[i : i + GRAM] for i in range(len(text) - GRAM + 1)}


@dataclass(frozen=True, slots=True)
class _Grams:
    """The distinct grams of every text, rarest first: flat, text after text."""

    gram: _Hashes
    owner: Ints
    start: Ints  # [texts] where a text's grams begin
    size: Ints  # [texts] how many they are
    sketch: _Hashes  # [texts, _WORDS] parity of the grams that fall on each bit

    @classmethod
    def of(cls, texts: list[str], block: list[int]) -> _Grams:
        gram, owner = _hashed(texts, block)
        gram = _by_frequency(gram)
        order = np.lexsort((gram, owner))
        gram, owner = gram[order], owner[order]
        first = np.ones(len(gram), dtype=bool)
        first[1:] = (gram[1:] != gram[:-1]) | (owner[1:] != owner[:-1])
        gram, owner = gram[first], owner[first]
        size = np.bincount(owner, minlength=len(texts)).astype(np.int64)
        start = np.cumsum(size) - size
        return cls(gram, owner, start, size, _sketches(gram, start))


def _hashed(texts: list[str], block: list[int]) -> tuple[_Hashes, Ints]:
    """Return a 64-bit hash of every gram and the text it is of; blocks share no hash."""
    chars = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    owner = np.repeat(np.arange(len(texts)), lengths)
    inside = np.arange(len(chars)) <= np.repeat(np.cumsum(lengths), lengths) - GRAM
    rows = np.flatnonzero(inside)
    value = _mix(np.array(block, dtype=np.uint64))[owner[rows]]
    for offset in range(GRAM):
        value = value * np.uint64(0x9E3779B97F4A7C15) + chars[rows + offset].astype(np.uint64)
    return _mix(value), owner[rows]


def _mix(value: _Hashes) -> _Hashes:
    """Apply the finaliser of splitmix64: every input bit moves every output bit."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _by_frequency(gram: _Hashes) -> _Hashes:
    """Return hashes that sort rare grams first: 16 bits of about their count, 48 of hash."""
    bucket = (gram >> np.uint64(42)).astype(np.int64)
    count = np.minimum(np.bincount(bucket, minlength=1 << 22)[bucket], 0xFFFF)
    return (count.astype(np.uint64) << np.uint64(48)) | (gram & np.uint64((1 << 48) - 1))


def _sketches(gram: _Hashes, start: Ints) -> _Hashes:
    """Return sketches, which differ in at most as many bits as the texts differ in grams."""
    spread = _mix(gram)
    bit = np.uint64(1) << (spread & np.uint64(63))
    word = (spread >> np.uint64(6)) % np.uint64(_WORDS)
    columns = [
        np.bitwise_xor.reduceat(np.where(word == w, bit, np.uint64(0)), start)
        for w in range(_WORDS)
    ]
    return np.stack(columns, axis=1)


def _survivors(grams: _Grams) -> Iterator[tuple[int, int]]:
    """Yield pairs of texts that pass every filter; all near pairs are among them."""
    seen: set[int] = set()
    for left, right in _candidates(grams):
        near = _plausible(grams, left, right)
        codes = np.unique(left[near] * len(grams.size) + right[near])
        for code in codes.tolist():
            if code not in seen:
                seen.add(code)
                yield divmod(code, len(grams.size))


def _candidates(grams: _Grams) -> Iterator[tuple[Ints, Ints]]:
    place = np.arange(len(grams.gram)) - grams.start[grams.owner]
    size = grams.size[grams.owner]
    rows = np.flatnonzero(place <= size + (-_NEAR * size) // _OF)
    rows = rows[np.argsort(grams.gram[rows], kind="stable")]
    posts = _Posts(grams.gram[rows], grams.owner[rows], place[rows])
    count = np.diff(np.append(np.flatnonzero(_fresh(posts.key)), len(rows)))
    count = np.repeat(count, count)
    yield from _pairs(posts.take((count > 1) & (count <= _LONG)), grams)
    yield from _pairs(_by_part(grams, posts.take(count > _LONG)), grams)


@dataclass(frozen=True, slots=True)
class _Posts:
    """Texts by a key that near texts share, sorted by key."""

    key: _Hashes
    owner: Ints
    place: Ints  # how many rarer grams the text has

    def take(self, rows: Ints | Mask) -> _Posts:
        return _Posts(self.key[rows], self.owner[rows], self.place[rows])


def _fresh(key: _Hashes) -> Mask:
    """Return whether a run of equal keys begins at each place."""
    fresh = np.ones(len(key), dtype=bool)
    fresh[1:] = key[1:] != key[:-1]
    return fresh


def _pairs(posts: _Posts, grams: _Grams) -> Iterator[tuple[Ints, Ints]]:
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


def _plausible(grams: _Grams, left: Ints, right: Ints) -> Mask:
    """Return pairs whose sizes and sketches leave a Jaccard index of .95 possible."""
    total = grams.size[left] + grams.size[right]
    allowed = (_OF - _NEAR) * total // (_OF + _NEAR)
    near: Mask = np.abs(grams.size[left] - grams.size[right]) <= allowed
    for word in range(_WORDS):
        rows = np.flatnonzero(near)
        differing = _popcount(grams.sketch[left[rows], word] ^ grams.sketch[right[rows], word])
        allowed[rows] -= differing
        near[rows] = allowed[rows] >= 0
    return near


def _popcount(value: _Hashes) -> Ints:
    # np.bitwise_count came with NumPy 2; this is the classic sum in parallel.
    value = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + (
        (value >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((value * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)


def _by_part(grams: _Grams, posts: _Posts) -> _Posts:
    """Return keys that two texts sharing a frequent gram have in common if they are near.

    Sizes of a near pair lie in one level or in two that follow each other, so that every
    text has keys at its own level and at the next, with that level's number of parts.
    """
    level = np.floor(np.log(np.maximum(grams.size, 1)) / np.log(_OF / _NEAR) + 1e-9)
    found = []
    for step in (0, 1):
        upper = (_OF / _NEAR) ** (level + step + 1.0)
        parts = (2 * (_OF - _NEAR) * upper / (_OF + _NEAR) + 1e-6).astype(np.int64) + 1
        found.append(_part_posts(grams, (level + step).astype(np.int64), parts, posts))
    both = _Posts(
        np.concatenate([p.key for p in found]),
        np.concatenate([p.owner for p in found]),
        np.concatenate([p.place for p in found]),
    )
    return both.take(np.argsort(both.key, kind="stable"))


def _part_posts(grams: _Grams, level: Ints, parts: Ints, posts: _Posts) -> _Posts:
    """Return one key for every post and part: the post's gram, the part, and the grams in it."""
    offset = np.cumsum(parts) - parts
    spread = _mix(grams.gram ^ np.uint64(0x5851F42D4C957F2D))
    part = ((spread >> np.uint64(32)) % parts[grams.owner].astype(np.uint64)).astype(np.int64)
    low = (spread & np.uint64(0xFFFFFFFF)).astype(np.float64)  # sums stay exact below 2^53
    content = np.bincount(offset[grams.owner] + part, weights=low, minlength=int(parts.sum()))
    posts = _without_gram(posts, parts[posts.owner] > _MANY)
    repeats = parts[posts.owner]
    owner = np.repeat(posts.owner, repeats)
    which = np.arange(len(owner)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    named = _mix((level[owner] * 65_536 + which).astype(np.uint64))
    held = content[offset[owner] + which].astype(np.uint64)
    key = _mix(held ^ named ^ np.repeat(posts.key, repeats))
    return _Posts(key, owner, np.repeat(posts.place, repeats))


def _without_gram(posts: _Posts, long: Mask) -> _Posts:
    """Keep long texts, which have many parts, once for their parts, not once per gram."""
    kept, once = posts.take(~long), np.unique(posts.owner[long])
    return _Posts(
        np.append(kept.key, np.zeros(len(once), dtype=np.uint64)),
        np.append(kept.owner, once),
        np.append(kept.place, np.zeros(len(once), dtype=np.int64)),
    )
