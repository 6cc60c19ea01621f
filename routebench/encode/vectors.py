"""Vectors of texts on disk: a store for one job, and the cache that outlives runs.

Both are keyed by the exact text. A store is a folder of two arrays that are never changed once
they are there; a cache is many of them under an encoder's fingerprint. A table of SQLite with a
row per vector takes five to twelve times as long, and damage to it loses all vectors at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.data.texts import encode
from routebench.errors import DataError, PluginError
from routebench.files import new_folder

_PARSING = threading.Lock()

Keys = npt.NDArray[np.bytes_]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

_KEYS, _VECTORS = "keys.npy", "vectors.npy"
_HINT = "set ROUTEBENCH_CACHE to a folder that can be written and has room"
_DAY = 86_400.0  # seconds


def text_keys(texts: Sequence[str]) -> Keys:
    """Return [n] 32 hex digits of each exact text: BLAKE2b, 128 bits."""
    digests = [hashlib.blake2b(encode(text), digest_size=16).hexdigest() for text in texts]
    return np.array(digests, dtype="S32")


def write(folder: Path, texts: Sequence[str], vectors: npt.NDArray[Any]) -> None:
    """Write a new store of one vector per distinct text: whole, or not at all.

    Raises:
        DataError: for vectors that are not finite, or differ for one and the same text.
        FileExistsError: where the folder is there already.
    """
    _publish(folder, *_checked(texts, vectors))


class VectorStore:
    """A store's vectors, memory-mapped."""

    def __init__(self, folder: Path, keys: Keys, vectors: Vectors) -> None:
        self.folder, self.keys, self.vectors = folder, keys, vectors

    @classmethod
    def open(cls, folder: Path, dimension: int | None = None) -> VectorStore:
        """Open what `write` wrote; a `DataError` where it is damaged or of another width."""
        try:
            keys, vectors = _array(folder / _KEYS), _array(folder / _VECTORS)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{folder}: the stored vectors cannot be read: {error}") from error
        shapes = keys.ndim == 1 and vectors.ndim == 2 and len(keys) == len(vectors)
        if not shapes or keys.dtype != np.dtype("S32") or vectors.dtype != np.float32:
            raise DataError(f"{folder}: the stored vectors are damaged")
        store = cls(folder, keys, vectors)
        if dimension is not None and store.dimension != dimension:
            raise DataError(
                f"{folder}: the stored vectors are {store.dimension} wide, not {dimension}"
            )
        return store

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def find(self, texts: Sequence[str]) -> tuple[Vectors, Mask]:
        """Return vectors [n, dimension], and [n] which texts are known; other rows are zero."""
        return self.find_keys(text_keys(texts))

    def find_keys(self, wanted: Keys) -> tuple[Vectors, Mask]:
        """Find vectors as `find` does, by the keys of the texts."""
        vectors = np.zeros((len(wanted), self.dimension), dtype=np.float32)
        if not len(self.keys):
            return vectors, np.zeros(len(wanted), dtype=np.bool_)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        known: Mask = np.asarray(self.keys[at] == wanted, dtype=np.bool_)
        vectors[known] = self.vectors[at[known]]
        return vectors, known


class VectorCache:
    """An encoder's vectors of all the texts it has seen, in one store per addition.

    Stores are named by their contents, so that several runs may add at once, and one whose name
    does not fit its contents is damaged: it is passed over, and its texts are encoded again.
    """

    def __init__(self, root: Path, fingerprint: str) -> None:
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", fingerprint):
            raise PluginError(f"an encoder's fingerprint is 16 hex digits, not {fingerprint!r}")
        self.folder = root / fingerprint
        self._shards: dict[str, VectorStore | None] = {}  # None: damaged

    def find(self, texts: Sequence[str], dimension: int | None = None) -> tuple[Vectors, Mask]:
        """Return vectors [n, dimension], and [n] which texts are known; other rows are zero.

        Raises `DataError` where the vectors kept have another dimension; where none is stated and
        there are none, the answer is [n, 0].
        """
        wanted = text_keys(texts)
        shards = self._open(dimension)
        if dimension is None:
            dimension = shards[0].dimension if shards else 0
        vectors = np.zeros((len(texts), dimension), dtype=np.float32)
        known = np.zeros(len(texts), dtype=np.bool_)
        for shard in shards:
            rest = np.flatnonzero(~known)
            found, hit = shard.find_keys(wanted[rest])
            vectors[rest[hit]] = found[hit]
            known[rest[hit]] = True
        return vectors, known

    def add(self, texts: Sequence[str], vectors: npt.NDArray[Any]) -> int:
        """Add the vectors of the texts that are not there yet, and return the number added."""
        keys, values = _checked(texts, vectors)
        for shard in self._open(values.shape[1]):
            _, known = shard.find_keys(keys)
            keys, values = keys[~known], values[~known]
        if not len(keys):
            return 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _sweep(self.folder)
            self._put(_name(keys, values), keys, values)
        except OSError as error:
            raise DataError(f"{self.folder}: cannot be written: {error}", _HINT) from error
        return len(keys)

    def _put(self, name: str, keys: Keys, values: Vectors) -> None:
        shard = self.folder / name
        self._shards.pop(name, None)
        if shard.exists() and _intact(shard) is None:
            # Damaged: out of the way, in one step.
            aside = tempfile.mkdtemp(prefix=".old-", dir=self.folder)
            with contextlib.suppress(OSError):
                shard.rename(Path(aside) / name)
            shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(FileExistsError):  # another run was faster with the same
            _publish(shard, keys, values)

    def _open(self, dimension: int | None) -> list[VectorStore]:
        """Return the intact shards, by name; a `DataError` where one has another width."""
        shards: list[VectorStore] = []
        for folder in _folders(self.folder):
            if folder.name.startswith("."):
                continue
            if folder.name not in self._shards:
                self._shards[folder.name] = _intact(folder)
            shard = self._shards.get(folder.name)  # another thread may be replacing it
            if shard is None:
                continue
            if dimension not in (None, shard.dimension):
                raise DataError(
                    f"{folder}: the stored vectors are {shard.dimension} wide, not {dimension}",
                    "delete that folder if the encoder has changed",
                )
            dimension = shard.dimension
            shards.append(shard)
        return shards


def cache_root() -> Path:
    """Return the folder of encoders' vectors: in $ROUTEBENCH_CACHE, else in the user's cache."""
    if folder := os.environ.get("ROUTEBENCH_CACHE"):
        return Path(folder).expanduser() / "encoders"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "routebench" / "encoders"


def _checked(texts: Sequence[str], vectors: npt.NDArray[Any]) -> tuple[Keys, Vectors]:
    """Return sorted distinct keys and their vectors; a `DataError` names the text that is wrong."""
    with np.errstate(over="ignore"):
        values = np.asarray(vectors, dtype=np.float32)
    if values.ndim != 2 or len(values) != len(texts):
        raise DataError(f"{len(texts)} texts do not go with vectors of shape {values.shape}")
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise DataError(f"a vector is not finite: {_short(texts[int(np.argmax(bad))])}")
    keys, first, inverse = np.unique(text_keys(texts), return_index=True, return_inverse=True)
    differ = (values != values[first[inverse]]).any(axis=1)
    if differ.any():
        raise DataError(f"one text has different vectors: {_short(texts[int(np.argmax(differ))])}")
    return keys, values[first]


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _publish(folder: Path, keys: Keys, vectors: Vectors) -> None:
    with new_folder(folder) as part:
        np.save(part / _KEYS, keys, allow_pickle=False)
        np.save(part / _VECTORS, vectors, allow_pickle=False)


def _array(path: Path) -> npt.NDArray[Any]:
    # NumPy parses the header as Python, and Python 3.11's parser raises SystemError at times when
    # several threads are in it.
    with _PARSING:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name} is no array")
    return array


def _name(keys: Keys, vectors: Vectors) -> str:
    digest = hashlib.blake2b(repr(vectors.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(keys).data)
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()


def _intact(folder: Path) -> VectorStore | None:
    """Return the shard, or None where its name does not fit its contents."""
    try:
        store = VectorStore.open(folder)
    except DataError:
        return None
    return store if _name(store.keys, store.vectors) == folder.name else None


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error}", _HINT) from error


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed have left; a day is more than any write takes."""
    for path in _folders(folder):
        with contextlib.suppress(OSError):
            if path.name.startswith(".") and path.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(path)
