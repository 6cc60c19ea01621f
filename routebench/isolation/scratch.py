"""The temporary folder of a run: locked, and deleted also where its run was killed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from routebench.files import locked


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a temporary folder for a run's tables; delete it afterwards, and those of dead runs."""
    parent = Path(tempfile.gettempdir()) / f"routebench-{_user()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    for left in parent.iterdir():
        with contextlib.suppress(OSError), locked(left / ".lock", "r+"):
            shutil.rmtree(left, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        yield _locked_folder(parent, stack)


def _locked_folder(parent: Path, stack: contextlib.ExitStack) -> Path:
    """Return a new folder, locked, which the stack deletes.

    Raises:
        OSError: a folder cannot be made or locked there.
    """
    for last in (False,) * 20 + (True,):
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="run-", dir=parent, ignore_cleanup_errors=True)
            )
        )
        lock = folder / ".lock"
        # Until it is locked, another run that begins takes it for a dead run's and deletes it.
        try:
            stack.enter_context(locked(lock))
        except OSError:
            if last:
                raise
        else:
            if lock.exists():
                return folder
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(lock))


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"
