"""Landlock: rules by which the Linux kernel (5.13 and later) confines a process.

Numbers from the kernel's include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_TCP = 0b11
_SCOPE_SOCKETS_AND_SIGNALS = 0b11
_NO_NEW_PRIVILEGES = 38
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "nvidia*", "dri", "kfd")


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_abi() -> int:
    """Return the version of Landlock this kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, 1)))


def restrict(
    writable: Iterable[Path],
    readable: Iterable[Path],
    protected: list[Path],
    processes: bool,
    network: bool,
) -> bool:
    """Restrict this process and its children to these paths; False where the kernel cannot.

    What is `protected` is not read though a `readable` path holds it, unless it is `writable`. No
    TCP connection is made or taken without `network`, where the kernel (6.7) knows the rule.
    """
    abi = landlock_abi()
    if abi < 1:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = (1 << 13) - 1
    handled |= _REFER if abi >= 2 else 0
    handled |= _TRUNCATE if abi >= 3 else 0
    sockets = 0 if network else _TCP
    rules = _Ruleset(handled, sockets, _SCOPE_SOCKETS_AND_SIGNALS if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return False

    def allow(path: Path, access: int) -> None:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        access &= handled if path.is_dir() else handled & _FILE_RIGHTS
        rule = _Beneath(access, descriptor)
        libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
        os.close(descriptor)

    try:
        for path in {path.resolve() for path in readable}:
            if any(path.is_relative_to(other) for other in protected):
                continue
            allow(path, _READ_DIR)  # names too of what is protected in it: imports list folders
            for part in everything_but(path, protected):
                allow(part, _READ)
        for pattern in _DEVICES:
            for device in Path("/dev").glob(pattern):
                allow(device, _READ_FILE | _WRITE_FILE)
        for folder in writable:
            allow(folder, handled)
        if processes:
            allow(Path("/dev/shm"), handled)  # noqa: S108  where their locks and queues live
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def everything_but(folder: Path, excluded: list[Path]) -> Iterator[Path]:
    """Yield paths whose union is `folder` without `excluded`: siblings along each excluded path."""
    if folder in excluded:
        return
    below = [path for path in excluded if path.is_relative_to(folder)]
    if not below:
        yield folder
        return
    try:
        children = list(os.scandir(folder))
    except OSError:
        return
    for child in children:
        # A link is reached through its target, which has rules of its own.
        if not child.is_symlink():
            yield from everything_but(Path(child.path), below)
