"""A job's own view of the file system: it writes to its folders alone, and /tmp is its own.

Nothing is changed outside the job's mount namespace. Numbers from the kernel's
include/uapi/linux/mount.h and fcntl.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from routebench.isolation.landlock import everything_but

TMP = Path("/tmp")  # noqa: S108
_SHARED_MEMORY = b"/dev/shm"
_MOUNT_SETATTR = 442  # the same on every architecture
_HERE, _WITH_ALL_BELOW = -100, 0x8000
_READ_ONLY = 1
_BIND, _RECURSIVE, _NO_SUID_DEV, _DETACH = 0x1000, 0x4000, 0b110, 2
_OWN_TMP, _EMPTY = b"size=256m,nr_inodes=65536,mode=1777", b"size=1m,nr_inodes=4096,mode=700"
_CAPABILITIES_3 = 0x20080522


class _Attributes(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")
    )


def own_view(
    writable: Sequence[Path],
    given: Sequence[Path],
    readable: Iterable[Path],
    hidden: Sequence[Path],
) -> bool:
    """Mount everything read-only but the `writable` folders, and an empty folder on /tmp.

    What is `readable` or `given` below /tmp is there again, read-only, and nothing else: neither
    a time nor a name tells what other processes do there. Folders that are `hidden` are empty,
    but for what is given or writable in them. False, with nothing changed, where the kernel (5.12)
    cannot. Call it in a mount namespace of one's own, while there is one thread.
    """
    if not TMP.is_dir() or TMP.is_symlink():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    links = list(_links([*readable, *writable, *given]))
    opened = _opened(_topmost(_below_tmp(readable, hidden)))
    own = _opened([*writable, *given])
    empty = [path for path in hidden if path.is_dir()]
    made: list[Path] = []
    try:
        _mount_tmpfs(libc, TMP, _OWN_TMP, made)
        for path, descriptor in opened.items():
            _bind(libc, descriptor, path, made)
        for place in _topmost(empty):
            if place.is_dir() and place != TMP:
                _mount_tmpfs(libc, place, _EMPTY, made)
        for path, descriptor in own.items():
            _bind(libc, descriptor, path, made)
        if not _set_attributes(libc, b"/", _WITH_ALL_BELOW, _Attributes(set=_READ_ONLY)):
            raise OSError(ctypes.get_errno(), "mount_setattr")
        for path in (TMP, *writable):
            _set_attributes(libc, bytes(path), 0, _Attributes(clear=_READ_ONLY))
    except OSError:
        for place in reversed(made):
            libc.umount2(bytes(place), _DETACH)
        return False
    finally:
        for descriptor in (*opened.values(), *own.values()):
            os.close(descriptor)
    # Where it is no mount of this namespace it stays read-only: only those that compute in several
    # processes need it.
    _set_attributes(libc, _SHARED_MEMORY, 0, _Attributes(clear=_READ_ONLY))
    for link, target in links:
        with contextlib.suppress(OSError):  # it lies in what was mounted
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
    return True


def drop_capabilities() -> None:
    """Give up what a user namespace allows: nothing can be mounted or taken away any more."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)())


def _below_tmp(readable: Iterable[Path], hidden: Sequence[Path]) -> Iterator[Path]:
    for path in readable:
        real = path.resolve()
        apart = any(real.is_relative_to(other) for other in hidden)
        if real != TMP and real.is_relative_to(TMP) and real.exists() and not apart:
            yield from everything_but(real, list(hidden))


def _opened(paths: Iterable[Path]) -> dict[Path, int]:
    """Return descriptors of the paths that are there."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):  # what has gone meanwhile
            found[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
    return found


def _links(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the links below /tmp on the way to the paths, with what each says."""
    seen = set[Path]()
    todo = [path.absolute() for path in paths]
    while todo:
        path = todo.pop()
        for part in (*reversed(path.parents), path):
            if part.is_relative_to(TMP) and part not in seen and part.is_symlink():
                seen.add(part)
                says = os.readlink(part)
                todo.append(part.parent / says)
                yield part, says


def _topmost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths without those that lie in another one."""
    found: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in found):
            found.append(path)
    return found


def _mount_tmpfs(libc: ctypes.CDLL, place: Path, options: bytes, made: list[Path]) -> None:
    if libc.mount(b"tmpfs", bytes(place), b"tmpfs", _NO_SUID_DEV, options):
        raise OSError(ctypes.get_errno(), "mount")
    made.append(place)


def _bind(libc: ctypes.CDLL, descriptor: int, place: Path, made: list[Path]) -> None:
    source = f"/proc/self/fd/{descriptor}"
    if not place.exists():
        if os.path.isdir(source):
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    if libc.mount(source.encode(), bytes(place), None, _BIND | _RECURSIVE, None):
        raise OSError(ctypes.get_errno(), "mount")
    made.append(place)


def _set_attributes(libc: ctypes.CDLL, place: bytes, flags: int, wanted: _Attributes) -> bool:
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    return bool(libc.syscall(_MOUNT_SETATTR, _HERE, place, flags, ctypes.byref(wanted), size) == 0)
