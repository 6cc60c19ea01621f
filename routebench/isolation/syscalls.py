"""System calls that a job does without: ways to reach other processes that no path leads to."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from typing import Any

_CLONE_THREAD = 0x00010000
_PARENT_DEATH_SIGNAL = 1
_ASK_FOR_LOCKS = (5, 36)  # F_GETLK, F_OFD_GETLK
# F_SETLEASE, F_GETLEASE, F_NOTIFY, F_SET_RW_HINT, F_SET_FILE_RW_HINT
_WATCH_OR_MARK = (1024, 1025, 1026, 1036, 1038)
# FS_IOC_SETFLAGS, FS_IOC_SETVERSION, FS_IOC_FSSETXATTR
_FLAGS_OF_FILES = (0x40086602, 0x40087602, 0x401C5820)
_WORD = 0xFFFFFFFF

_NEVER = (
    # Memory, queues and keys that processes share by number or name.
    "shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl",
    "semget", "semop", "semctl", "semtimedop", "mq_open", "mq_unlink",
    "add_key", "request_key", "keyctl",
    # Other processes' memory and descriptors.
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    # Who opens or has cached which file.
    "inotify_init", "inotify_init1", "fanotify_init", "mincore", "cachestat",
    # Files without a path, other namespaces, and what makes rules like these useless.
    "open_by_handle_at", "name_to_handle_at", "unshare", "setns", "chroot", "pivot_root",
    "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf",
    "perf_event_open", "lookup_dcookie", "init_module", "finit_module", "kexec_load", "reboot",
    "swapon", "swapoff", "quotactl", "acct",
)  # fmt: skip

_AS_IF_DONE = (
    "utime", "utimes", "futimesat", "utimensat",
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat",
)  # fmt: skip
_ATTRIBUTES = (
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat",
    "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
)  # fmt: skip

_OF_OTHERS = ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam",
              "sched_setattr")  # fmt: skip
"""Calls that name a process, 0 for this one: what they set, those that it starts later inherit."""


def restrict(network: bool, processes: bool, locks: bool, apart: bool) -> bool:
    """Have the kernel refuse those calls to this process and its children; False where it cannot.

    Sockets are refused where the job needs no `network`, new processes where it starts no
    `processes`, locks on files where it needs none: one that is held on any readable file is a
    message to who tries it. So are times, modes and attributes, which may be set on any file of
    the same owner, and limits of other processes. Where the job is not `apart`, with everything
    mounted read-only and no other process in sight, times and modes are not set, though the
    caller is told that they were, and the rest is refused.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError):  # not on this platform, or libseccomp is missing
        return False
    refuse = pyseccomp.ERRNO(errno.EPERM)
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)

    def deny(name: str, *conditions: object, answer: int = refuse) -> None:
        with contextlib.suppress(OSError, ValueError):  # this machine has no such call
            rules.add_rule(answer, name, *conditions)

    for name in _NEVER:
        deny(name)
    deny("prctl", pyseccomp.Arg(0, pyseccomp.EQ, _PARENT_DEATH_SIGNAL))
    if not network:
        deny("socket", answer=pyseccomp.ERRNO(errno.EACCES))
    if not processes:
        deny("fork")
        deny("vfork")
        deny("clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, 0))
        # Its arguments lie in memory, where no rule can look; libraries then use `clone`.
        deny("clone3", answer=pyseccomp.ERRNO(errno.ENOSYS))
    if not locks:
        deny("flock")
        for command in _ASK_FOR_LOCKS:
            deny("fcntl", pyseccomp.Arg(1, pyseccomp.EQ, command))
    for command in _WATCH_OR_MARK:
        deny("fcntl", pyseccomp.Arg(1, pyseccomp.EQ, command))
    if not apart:
        _leave_no_mark(pyseccomp, deny)
    try:
        rules.load()
    except OSError:
        return False
    return True


def _leave_no_mark(pyseccomp: Any, deny: Callable[..., None]) -> None:
    for name in _AS_IF_DONE:
        deny(name, answer=pyseccomp.ERRNO(0))
    for name in _ATTRIBUTES:
        deny(name, answer=pyseccomp.ERRNO(errno.ENOTSUP))
    for request in _FLAGS_OF_FILES:
        deny("ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _WORD, request))
    for name in _OF_OTHERS:
        deny(name, pyseccomp.Arg(0, pyseccomp.NE, 0))
    for name, this_process in (("setpriority", 0), ("ioprio_set", 1)):
        deny(name, pyseccomp.Arg(0, pyseccomp.NE, this_process))
        deny(name, pyseccomp.Arg(1, pyseccomp.NE, 0))
