"""Namespaces of a job's own, by which Linux shows it no other process, network or shared memory.

Numbers from the kernel's include/uapi/linux/sched.h, mount.h and prctl.h.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_USER, _PROCESSES, _MOUNTS, _IPC, _NETWORK = (
    0x10000000, 0x20000000, 0x00020000, 0x08000000, 0x40000000,
)  # fmt: skip
_PRIVATE, _NO_SUID_DEV_EXEC = 0x44000, 0b1110
_PARENT_DEATH_SIGNAL = 1

OnEnd = Callable[[float, int], None]
"""Called with CPU seconds and bytes of peak memory."""
_ENDING = struct.Struct("idq")


def enter(network: bool, on_end: OnEnd) -> bool:
    """Go on in a child that has namespaces of its own; False, in this process, where none are had.

    This process waits for the child, calls `on_end` with what it used, and ends as it ended. All
    that the child has started ends with it. It keeps the network of the machine where it needs the
    `network`. Call it while there is one thread.
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
    ending, tell = os.pipe()
    if os.fork():
        os.close(tell)
        _follow(libc, ending, on_end)
    # The first process of a namespace is deaf to signals from inside: the job is its child.
    os.close(ending)
    libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    libc.mount(b"none", b"/", None, _PRIVATE, None)
    # Containers may forbid either: other processes are then kept away by path.
    libc.mount(b"proc", b"/proc", b"proc", _NO_SUID_DEV_EXEC, None)
    libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", _NO_SUID_DEV_EXEC, None)
    if job := os.fork():
        _wait(job, tell)
    os.close(tell)
    return True


def _wait(job: int, tell: int) -> NoReturn:
    """Wait for the job among all that it leaves behind, tell how it ended, and end them."""
    try:
        while True:
            ended, status, used = os.wait4(-1, 0)
            if ended == job:
                spent = used.ru_utime + used.ru_stime
                os.write(tell, _ENDING.pack(status, spent, used.ru_maxrss * 1024))
                os._exit(0)
    finally:
        os._exit(1)


def _follow(libc: ctypes.CDLL, ending: int, on_end: OnEnd) -> NoReturn:
    """Wait for the end of the job, report what it used, and end in the same way.

    It ends with the process above it, and the job with it, whatever either is doing.
    """
    try:
        libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        status, spent, peak = _ENDING.unpack(os.read(ending, _ENDING.size))
        on_end(spent, peak)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)
    finally:
        os._exit(1)
