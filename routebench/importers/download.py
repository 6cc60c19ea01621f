"""Download of one file from the hub or another address, checked and resumable.

huggingface_hub's client does the transfer (its retries, its proxies, its token). Neither its
`hf_hub_download` nor `pooch.retrieve` keeps anything of a download that was interrupted, and the
files are up to 1.3 GB, so the pieces are kept here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from routebench.errors import DataError, OptionError
from routebench.files import file_sha256, lock_file

PIECES = ".pieces"
"""The folder, beside the files, of what is not whole yet."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Content:
    """The expected content of a file, by hash and size."""

    algorithm: str
    """`sha256`, or `git`: how the hub names a file that is not in its large file store."""
    digest: str
    size: int | None = None

    def of(self, path: Path) -> bool:
        """Return whether a file has this content."""
        if self.size is not None and path.stat().st_size != self.size:
            return False
        return hash_file(path, self.algorithm) == self.digest


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file as hex digits; `sha1` is that of a git blob."""
    if algorithm == "sha256":
        return file_sha256(path)
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


def fetch(url: str, path: Path, content: Content, headers: dict[str, Any]) -> None:
    """Download the content of an address to `path`, which is whole and right or not there.

    Raises:
        DataError: if it cannot be had, in one line; what came is kept for the next try, but not
            what turned out to be something else.
    """
    hub = library()
    pieces = path.parent / PIECES
    path.parent.mkdir(parents=True, exist_ok=True)
    pieces.mkdir(exist_ok=True)
    part = pieces / f"{content.digest[:24]}.part"
    try:
        with part.open("ab") as stream, _alone(stream, path.name):
            have = stream.tell()
            _check_space(path, (content.size or 0) - have)
            if content.size is None or have < content.size:
                reach(
                    path.name,
                    lambda: hub.file_download.http_get(
                        url,
                        stream,
                        resume_size=have,
                        headers={**headers, "Accept-Encoding": "identity"},
                        expected_size=content.size,
                        displayed_filename=path.name,
                    ),
                    f"run the same command again: {part.name} goes on where it was cut",
                )
            stream.flush()
            os.fsync(stream.fileno())
        if not content.of(part):
            digest = hash_file(part, content.algorithm)
            part.unlink()
            raise DataError(
                f"{path.name}: refused: its {content.algorithm} is {digest}, not {content.digest}",
                "it is not the file that was asked for; nothing of it was kept",
            )
        part.replace(path)
    finally:
        _tidy(part, pieces, path.parent)


def reach(what: str, call: Callable[[], _T], hint: str = "") -> _T:
    """Make a call over the network; raise `DataError` for any failure."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # its retries are not the user's concern
    try:
        return call()
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403, 404):
            problem = (
                "is not there" if status == 404 else "needs a token that may read it (HF_TOKEN)"
            )
            raise DataError(f"{what}: {problem} (HTTP {status})", _line(error)) from error
        raise DataError(f"{what}: cannot be had: {_line(error)}", hint) from error
    finally:
        logger.setLevel(level)


def library() -> Any:
    """Import huggingface_hub, or raise an `OptionError` that names what to install."""
    try:
        import huggingface_hub
        import huggingface_hub.file_download
    except ImportError as error:
        raise OptionError("this needs huggingface-hub", "pip install 'routebench[hub]'") from error
    return huggingface_hub


@contextmanager
def _alone(stream: Any, name: str) -> Iterator[None]:
    try:
        lock_file(stream)
    except OSError:
        raise DataError(f"{name}: another process is pulling it") from None
    yield


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"{path.name}: {needed / 1e9:.1f} GB are to come, and {free / 1e9:.1f} GB are free",
            "put the data elsewhere with ROUTEBENCH_DATA",
        )


def _tidy(part: Path, *folders: Path) -> None:
    """Remove the partial file and the folders that are empty."""
    if part.exists() and part.stat().st_size == 0:
        part.unlink()
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _line(error: BaseException) -> str:
    """Return the first line of an error's message, or its name."""
    text = " ".join(str(error).split("\n\n")[0].split())[:200]
    return text or type(error).__name__
