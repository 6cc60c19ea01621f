"""Random numbers that depend on names alone, never on how often or in what order one asks."""

from __future__ import annotations

import struct
from hashlib import blake2b
from statistics import NormalDist

_NORMAL = NormalDist()
_COUNT = 16


def uniforms(*parts: object) -> tuple[float, ...]:
    """Return sixteen numbers inside (0, 1) that depend on these parts alone."""
    text = "\x1f".join(map(str, parts))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4 * _COUNT).digest()
    return tuple([(number + 0.5) / 2**32 for number in struct.unpack(f">{_COUNT}I", digest)])


def normal(uniform: float) -> float:
    """Return a standard normal number made of a uniform one."""
    return _NORMAL.inv_cdf(uniform)
