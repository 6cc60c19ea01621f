"""Write files whole or not at all, hash them, lock them, name them in full; where stores lie."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from routebench.names import below

SUFFIX = ".sqlite"
"""Of a store of answers."""

_LONGEST = 200  # characters of a reason


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole: a reader sees the old content or the new, never a part."""
    with replacing(path) as part:
        part.write_bytes(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to, and rename it to `path` where all went well."""
    part = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` to fill, and rename it to `path` where all went well.

    Raises:
        FileExistsError: something is at `path` when the folder is to go there.
    """
    part = path.with_name(f".new-{path.name}-{os.urandom(6).hex()}")
    part.mkdir(parents=True)
    try:
        yield part
        if path.exists():  # a rename would replace an empty folder
            raise FileExistsError(f"{path} is there already")
        try:
            part.rename(path)
        except OSError as error:
            if path.exists():  # another process was faster
                raise FileExistsError(f"{path} is there already") from error
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_writable(folder: Path) -> None:
    """Raise the `OSError` that making a folder, or writing into it, would meet."""
    near = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not near.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{near} is no folder")
    if not os.access(near, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def reason(error: OSError) -> str:
    """Return why the system refused, in a few words, also where many files were concerned.

    >>> reason(shutil.Error([("a", "b", "[Errno 28] No space left on device")]))
    'No space left on device'
    """
    if error.strerror:
        return error.strerror
    many = error.args[0] if error.args else ""
    if isinstance(many, list) and many and isinstance(many[0], tuple):
        many = many[0][-1]  # a copied folder's first file
    text = " ".join(str(many).split())
    text = re.sub(r"^\[Errno \d+\] ([^:\[]*).*", r"\1", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


_DAMAGE = (
    ("magic bytes", "is cut short, or no Parquet file"),
    ("not a parquet file", "is cut short, or no Parquet file"),
    ("recursion", "is nested too deeply"),
    ("straddling", "a row in it is too long"),
    ("utf8", "a text in it is not UTF-8"),
    ("utf-8", "a text in it is not UTF-8"),
    ("not implemented", "holds a kind of value that is not supported"),
)


def damage(error: Exception) -> str:
    """Return in plain words what a library found wrong with the content of a file.

    >>> damage(ValueError("Parquet magic bytes not found in footer. Either the file is …"))
    'is cut short, or no Parquet file'
    """
    text = str(error).casefold()
    return next((words for sign, words in _DAMAGE if sign in text), "its content is damaged")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes, as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hex digits; it is read piece by piece."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def lock_file(stream: IO[Any]) -> None:
    """Take an exclusive lock on an open file; the kernel frees it however its holder dies.

    Raises:
        OSError: another process holds it.
    """
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(path: Path, mode: str = "a") -> Iterator[None]:
    """Open a file and hold its lock.

    Raises:
        OSError: it cannot be opened, or another process holds it.
    """
    with path.open(mode) as stream:
        lock_file(stream)
        yield


def absolute(value: Any) -> Any:
    """Return the full path of an existing file or folder; anything else as it is."""
    # Not Path.exists, which raises for what is too long to be a path.
    known = isinstance(value, str) and value and os.path.exists(value)
    return str(Path(value).resolve()) if known else value


def data_folder() -> Path:
    """Return `$ROUTEBENCH_DATA`, or `~/.local/share/routebench`; it need not exist."""
    given = os.environ.get("ROUTEBENCH_DATA")
    return (Path(given) if given else Path.home() / ".local" / "share" / "routebench").absolute()


def default_store(suite: str) -> Path:
    """Return the default path of the store for a suite; it need not exist."""
    return below(data_folder(), suite, "suite").with_name(suite + SUFFIX)


def store_files(path: Path) -> tuple[Path, ...]:
    """Return the store and what SQLite keeps beside it while it is open: all hold answers."""
    path = path.resolve()
    return (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"))
