"""Namespaces of a job's own, by which Linux shows it no other process, network or shared memory.

Numbers from the kernel's include/uapi/linux/sched.h, mount.h and prctl.h.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_USER, _PROCESSES, _MOUNTS, _IPC, _NETWORK = (
    0x10000000, 0x20000000, 0x00020000, 0x08000000, 0x40000000,
)  # fmt: skip
_PRIVATE, _NO_SUID_DEV_EXEC = 0x44000, 0b1110
_PARENT_DEATH_SIGNAL = 1

OnEnd = Callable[[resource.struct_rusage], None]


def enter(network: bool, on_end: OnEnd) -> bool:
    """Go on in a child that has namespaces of its own; False, in this process, where none are had.

    This process waits for the child, calls `on_end` with what it used, and ends as it ended; the
    child is the first process of its namespace, so all that it started ends with it. It keeps the
    network of the machine where it needs the `network`. Call it while there is one thread.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    kinds = _USER | _PROCESSES | _MOUNTS | _IPC | (0 if network else _NETWORK)
    if libc.unshare(kinds):
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        pass  # it then runs as nobody, which some kernels insist on
    child = os.fork()
    if child:
        _follow(libc, child, on_end)
    libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    libc.mount(b"none", b"/", None, _PRIVATE, None)
    # Containers may forbid either: other processes are then kept away by path.
    libc.mount(b"proc", b"/proc", b"proc", _NO_SUID_DEV_EXEC, None)
    libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", _NO_SUID_DEV_EXEC, None)
    return True


def _follow(libc: ctypes.CDLL, child: int, on_end: OnEnd) -> NoReturn:
    """Wait for the child, report what it used, and end in the same way.

    It ends with the process above it, and the child with it, whatever either is doing.
    """
    try:
        libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        _, status, used = os.wait4(child, 0)
        on_end(used)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)
    finally:
        os._exit(1)
