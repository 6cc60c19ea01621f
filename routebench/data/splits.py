"""Splits of queries into train, validation and test, without duplicates across the parts.

Codes: 0 train, 1 validation, 2 test; -1 for a query removed because a later split has a
duplicate of it. Under `hash` and folds a query's place depends on its own text and the seed
alone, so that adding rows moves none.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from routebench.data.duplicates import Duplicates, near_pairs
from routebench.data.texts import encode, normalise
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.records import Codes, Floats, Ints, Mask, SuiteData

TRAIN, VALIDATION, TEST, REMOVED = 0, 1, 2, -1
SHARES = (0.6, 0.2, 0.2)
Kind = Literal["auto", "given", "hash"]
Protocol = Literal["query", "user", "llm", "online"]

_PARTS = ("train", "validation", "test")
_NAMES = {
    "train": TRAIN,
    "validation": VALIDATION,
    "val": VALIDATION,
    "valid": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
}


@dataclass(frozen=True, slots=True)
class Split:
    """The part (train, validation or test) of every query of a suite, by fold."""

    codes: Codes
    """[folds, n] 0 train, 1 validation, 2 test, -1 removed for duplication."""
    leaked: int
    """Test queries that had a duplicate in train or validation, summed over folds."""
    removed: int
    """Train and validation queries removed for it, summed over folds."""
    fingerprint: str
    """16 hex digits over the queries' keys and codes."""
    kind: str
    """`given`, `hash` or `folds`."""
    protocol: Protocol = "query"
    """What is new in test: the query only, its user too, or a model too."""
    held_out: Mask | None = None
    """[folds, u or m] users or models unseen in training, under those protocols."""
    few_shot: Mask | None = None
    """[folds, n] training queries on which such models are known; None where they are on none."""
    alike: Ints | None = None
    """[n] equal for duplicates, exact and near; None for a split that was read from a run."""


def make_split(
    data: SuiteData,
    kind: Kind = "auto",
    folds: int | None = None,
    seed: int = 0,
    shares: tuple[float, float, float] = SHARES,
    protocol: Protocol = "query",
    shots: int = 0,
) -> Split:
    """Split a suite and remove duplicates between its parts.

    `auto` takes the suite's own split where there is one, else hashes. `folds` overrides both:
    every query is then tested exactly once. Under the protocols `user` and `llm` some users or
    models are kept from training too, in each fold others; models are known on `shots` of its
    queries.

    Raises:
        DataError: an unusable `split` column, or a part left without queries.
        OptionError: fewer than three folds, a protocol that the suite cannot have, or more shots
            than training queries.
    """
    if folds is not None:
        used, codes = "folds", fold_split(data, folds, seed)
    elif kind == "given" or (kind == "auto" and data.split is not None):
        used, codes = "given", given_split(data, seed)
    else:
        used, codes = "hash", hash_split(data, seed, shares)
    if data.added is not None:
        codes[:, data.added] = TRAIN
    duplicates = near_pairs(data.queries.text.tolist())
    leaked = removed = 0
    for fold in codes:
        hit, gone = _remove_leaks(fold, duplicates)
        leaked, removed = leaked + hit, removed + gone
    _check_parts(codes, data.name, used, removed)
    apart = _held_out(data, protocol, len(codes), seed)
    digest, groups = fingerprint(data, codes, apart), duplicates.groups()
    few = _few_shot(codes, shots) if protocol == "llm" and shots else None
    return Split(codes, leaked, removed, digest, used, protocol, apart, few, groups)


def inner_parts(data: SuiteData, split: Split, k: int, seed: int) -> Codes:
    """Return [n] which of k inner folds a query is in, by the hash of its text; copies in one.

    Raises:
        OptionError: an inner fold of some fold has no query to learn from or decide on.
    """
    assert split.alike is not None, "a split that was made knows its duplicates"
    # A prefix of its own: the hash of the text alone says which part of the split a query is in.
    place = np.array([u(f"inner: {text}", seed) for text in data.queries.text], dtype=np.float64)
    least = np.ones(int(split.alike.max()) + 1)
    np.minimum.at(least, split.alike, place)
    part = np.floor(least[split.alike] * k).astype(np.int8)
    for fold, row in enumerate(split.codes):
        known = (row == TRAIN) | (row == VALIDATION)
        if (np.bincount(part[known], minlength=k) == 0).any():
            raise OptionError(
                f"--inner-folds {k}: too few queries, fold {fold} leaves one of them empty",
                "fewer inner folds, or more queries",
            )
    return part


def u(text: str, split_seed: int) -> float:
    """Return a number in [0, 1) that a text and a seed determine: its place in a hash split."""
    digest = hashlib.sha256(encode(f"{split_seed}:{normalise(text)}")).digest()
    # Rounding to 53 bits could give 1.0, which would name a part that is not there.
    return min(int.from_bytes(digest[:8], "big") / 2**64, 1 - 2**-53)


def hash_split(data: SuiteData, seed: int, shares: tuple[float, float, float] = SHARES) -> Codes:
    """Return codes [1, n]: train, validation and test by the hash of the text, in these shares."""
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise OptionError(f"shares {shares} do not add up to 1")
    place = _places(data, seed)
    # Decimal sums, as .6 + .2 is slightly above .8 in binary.
    bounds = [round(shares[0], 12), round(shares[0] + shares[1], 12)]
    return np.searchsorted(bounds, place, side="right").astype(np.int8)[None, :]


def given_split(data: SuiteData, seed: int) -> Codes:
    """Return codes [1, n] from the suite's `split` column.

    Without a validation part, 20% of train becomes one, by hash.
    """
    if data.split is None:
        raise DataError(
            f"{data.name}: the suite has no split of its own",
            "use --split hash, or add a column split: train, validation, test",
        )
    codes = np.array([_code(data, row) for row in range(len(data))], dtype=np.int8)
    if not (codes == VALIDATION).any():
        codes[(codes == TRAIN) & (_places(data, seed) < 0.2)] = VALIDATION
    return codes[None, :]


def fold_split(data: SuiteData, k: int, seed: int) -> Codes:
    """Return codes [k, n]: fold f tests its own part and validates on the next one."""
    if k < 3:
        raise OptionError(
            f"folds: {k} is too few", "at least 3: one part each for train, validation and test"
        )
    part = np.floor(_places(data, seed) * k).astype(np.int64)
    codes = np.zeros((k, len(data)), dtype=np.int8)
    for fold in range(k):
        codes[fold, part == fold] = TEST
        codes[fold, part == (fold + 1) % k] = VALIDATION
    return codes


def _places(data: SuiteData, seed: int) -> Floats:
    return np.array([u(text, seed) for text in data.queries.text], dtype=np.float64)


def _code(data: SuiteData, row: int) -> int:
    value = None if data.split is None else data.split[row]
    code = _NAMES.get(str(value).strip().lower())
    if code is None:
        problem = "has no split" if value is None else f"has the unknown split {value!r}"
        hint = did_you_mean("" if value is None else str(value).lower(), _NAMES)
        raise DataError(f"{data.name}: query {data.ids[row]!r} {problem}", hint)
    return code


def _remove_leaks(codes: Codes, duplicates: Duplicates) -> tuple[int, int]:
    """Remove, in place, the earlier copy of every duplicate between parts of one fold."""
    test, earlier = codes == TEST, (codes == TRAIN) | (codes == VALIDATION)
    leaked = int((test & duplicates.hits(earlier)).sum())
    gone: Mask = earlier & duplicates.hits(test)
    codes[gone] = REMOVED
    again: Mask = (codes == TRAIN) & duplicates.hits(codes == VALIDATION)
    codes[again] = REMOVED
    return leaked, int(gone.sum() + again.sum())


def _check_parts(codes: Codes, name: str, kind: str, removed: int) -> None:
    for fold, row in enumerate(codes):
        for code, part in enumerate(_PARTS):
            if not (row == code).any():
                where = f"fold {fold} of the split" if len(codes) > 1 else f"the {kind} split"
                lost = f" ({removed} duplicates were removed)" if removed else ""
                raise DataError(f"{name}: {where} has no {part} queries{lost}", _HINTS[kind])


_HINTS = {
    "given": "mark rows of that part in the column split, or use --split hash",
    "hash": "more queries are needed, or another --split-seed",
    "folds": "more queries are needed, or fewer --folds",
}


def _held_out(data: SuiteData, protocol: Protocol, folds: int, seed: int) -> Mask | None:
    """Choose who is kept from training, [folds, u or m]: a fifth, or one part per fold, by hash."""
    unseen = None if data.users is None else data.users.unseen
    if protocol != "user" and data.users is not None and unseen is not None and unseen.any():
        first = data.users.name[np.flatnonzero(unseen)[0]]
        raise DataError(
            f"{data.name}: user {first!r} is in the test part only ({unseen.sum()} such users)",
            "--protocol user is for users whom training never saw",
        )
    if protocol in ("query", "online"):
        return None
    if protocol == "user":
        if data.users is None:
            raise OptionError("--protocol user: this suite has no users", "--protocol query")
        if unseen is not None and unseen.any():
            return np.tile(unseen, (folds, 1))
        names = [str(name) for name in data.users.name]
    else:
        names = list(data.pool.models)
    parts = folds if folds > 1 else min(5, len(names))
    # Ranks of hashes rather than hashes: parts of equal size, also of nine users.
    places = np.argsort(np.argsort([u(f"{protocol}:{name}", seed) for name in names]))
    part = places * parts // len(names)
    apart: Mask = part[None, :] == np.arange(folds)[:, None]
    if not apart.any(axis=1).all():
        raise OptionError(
            f"--protocol {protocol}: {len(names)} are too few for {folds} folds",
            f"at most --folds {len(names)}",
        )
    if apart.all(axis=1).any() or len(names) < 2:
        raise OptionError(f"--protocol {protocol}: at least two are needed, there is one")
    return apart


def _few_shot(codes: Codes, shots: int) -> Mask:
    """Return [folds, n] the first training queries of every fold, in the order of texts' hashes."""
    train = codes == TRAIN
    if (least := int(train.sum(axis=1).min())) < shots:
        raise OptionError(
            f"--shots {shots}: there are {least} training queries", f"at most {least}"
        )
    few: Mask = train & (train.cumsum(axis=1) <= shots)
    return few


def fingerprint(data: SuiteData, codes: Codes, apart: Mask | None) -> str:
    """Return 16 hex digits over the queries' keys, their parts, and who is kept from training."""
    digest = hashlib.sha256("".join(data.keys).encode())
    digest.update(codes.tobytes())
    if apart is not None:
        digest.update(apart.tobytes())
    return digest.hexdigest()[:16]
