"""Character 5-grams of many texts: hashed, counted, and sketched in 512 bits per text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from routebench.records import Ints

Hashes = npt.NDArray[np.uint64]

GRAM = 5
WORDS = 8  # 64-bit words of sketch
_BUCKET_BITS = 22  # grams are counted by so many bits of their hash


@dataclass(frozen=True, slots=True)
class Part:
    """The distinct grams of some texts that follow each other, rarest first: text after text."""

    gram: Hashes
    owner: Ints
    place: Ints  # how many rarer grams the text has


class Grams:
    """The grams of all texts, made a part at a time, whenever they are needed.

    A part is of at most `at_once` characters, or of one text. Texts of another `block` share no
    gram.
    """

    def __init__(self, texts: list[str], block: list[int], at_once: int) -> None:
        self.texts, self.block = texts, block
        self.ranges = _ranges([len(text) for text in texts], at_once)
        self.frequency = np.zeros(1 << _BUCKET_BITS, dtype=np.int64)
        self._last: tuple[range, Part] | None = None
        self._hashes: tuple[range, Hashes, Ints] | None = None
        for rows in self.ranges:
            gram, _ = self._hashed(rows)
            self.frequency += np.bincount(_bucket(gram), minlength=len(self.frequency))
        self.size = np.zeros(len(texts), dtype=np.int64)
        """How many grams each text has."""
        self.sketch = np.zeros((len(texts), WORDS), dtype=np.uint64)
        """Parity of a text's grams that fall on each bit."""
        for part in self.parts():
            start = np.flatnonzero(part.place == 0)
            owner = part.owner[start]
            self.size[owner] = np.diff(np.append(start, len(part.owner)))
            self.sketch[owner] = _sketches(part.gram, start)

    def parts(self) -> Iterator[Part]:
        """Yield the grams of all texts, in order."""
        for texts in self.ranges:
            if self._last is None or self._last[0] != texts:
                self._last = None  # not both in memory
                self._last = texts, self._part(texts)
            yield self._last[1]

    def _part(self, rows: range) -> Part:
        gram, owner = self._hashed(rows)
        self._hashes = None
        gram = _by_frequency(gram, self.frequency)
        order = np.lexsort((gram, owner))
        gram, owner = gram[order], owner[order]
        first = np.ones(len(gram), dtype=bool)
        first[1:] = (gram[1:] != gram[:-1]) | (owner[1:] != owner[:-1])
        gram, owner = gram[first], owner[first]
        size = np.bincount(owner, minlength=len(rows))
        place = np.arange(len(gram)) - np.repeat(np.cumsum(size) - size, size)
        return Part(gram, owner + rows.start, place)

    def _hashed(self, rows: range) -> tuple[Hashes, Ints]:
        """Return what `_hashed` does; made once where all texts are one part."""
        if self._hashes is None or self._hashes[0] != rows:
            self._hashes = None
            place = slice(rows.start, rows.stop)
            self._hashes = rows, *_hashed(self.texts[place], self.block[place])
        return self._hashes[1:]


def _ranges(lengths: list[int], at_once: int) -> list[range]:
    """Return the places of texts with so many characters in all, or of a longer one alone."""
    cuts, chars = [0], 0
    for place, length in enumerate(lengths):
        if chars and chars + length > at_once:
            cuts.append(place)
            chars = 0
        chars += length
    return [range(*each) for each in pairwise([*cuts, len(lengths)])]


def _hashed(texts: list[str], block: list[int]) -> tuple[Hashes, Ints]:
    """Return a 64-bit hash of every gram and the text it is of; blocks share no hash."""
    chars = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    owner = np.repeat(np.arange(len(texts)), lengths)
    inside = np.arange(len(chars)) <= np.repeat(np.cumsum(lengths), lengths) - GRAM
    rows = np.flatnonzero(inside)
    value = mix(np.array(block, dtype=np.uint64))[owner[rows]]
    for offset in range(GRAM):
        value = value * np.uint64(0x9E3779B97F4A7C15) + chars[rows + offset].astype(np.uint64)
    return mix(value), owner[rows]


def mix(value: Hashes) -> Hashes:
    """Apply the finaliser of splitmix64: every input bit moves every output bit."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _bucket(gram: Hashes) -> Ints:
    return (gram >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)


def _by_frequency(gram: Hashes, frequency: Ints) -> Hashes:
    """Return hashes that sort rare grams first: 16 bits of about their count, 48 of hash."""
    count = np.minimum(frequency[_bucket(gram)], 0xFFFF).astype(np.uint64)
    return (count << np.uint64(48)) | (gram & np.uint64((1 << 48) - 1))


def _sketches(gram: Hashes, start: Ints) -> Hashes:
    """Return sketches, which differ in at most as many bits as the texts differ in grams."""
    spread = mix(gram)
    bit = np.uint64(1) << (spread & np.uint64(63))
    word = (spread >> np.uint64(6)) % np.uint64(WORDS)
    columns = [
        np.bitwise_xor.reduceat(np.where(word == w, bit, np.uint64(0)), start) for w in range(WORDS)
    ]
    return np.stack(columns, axis=1)
