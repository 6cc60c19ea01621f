"""The files of a checkpoint: names that lead nowhere else, and nothing that is a pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from routebench.errors import DataError
from routebench.names import is_name

PICKLES = frozenset(
    (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".dill", ".msgpack", ".npy",
     ".npz", ".h5", ".py", ".pyc", ".so", ".dll", ".exe", ".sh")
)  # fmt: skip
"""Suffixes of files that hold code, or that readers may execute."""
_DEEPEST = 8


def check_name(place: str, name: str) -> None:
    """Raise a `DataError` for a name that leads elsewhere, or is that of a pickle or of code.

    >>> check_name("repo", "state/arrays.safetensors")
    """
    parts = name.split("/")
    if len(parts) > _DEEPEST or not all(is_name(part) for part in parts):
        raise DataError(f"{place}: {name[:100]!r} is no name of a checkpoint's file")
    if PurePosixPath(name).suffix.lower() in PICKLES:
        raise DataError(
            f"{place}: {name} is refused: files that may hold code are no part of a checkpoint",
            "arrays are kept as safetensors, the rest as JSON",
        )


def check_content(path: Path) -> None:
    """Raise a `DataError` for a file that is a pickle whatever its name, or an archive of one."""
    with path.open("rb") as stream:
        head = stream.read(2)
    pickled = len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5
    # A safetensors file may begin so by chance: the length of its header, then an opening brace.
    if pickled and path.suffix == ".safetensors":
        with path.open("rb") as stream:
            pickled = stream.read(9)[8:] != b"{"
    if pickled or zipfile.is_zipfile(path):
        raise DataError(f"{path}: is refused: it is a pickle or an archive")
