"""System calls that a job does without: ways to reach other processes that no path leads to."""

from __future__ import annotations

import contextlib
import errno

_CLONE_THREAD = 0x00010000
_PARENT_DEATH_SIGNAL = 1
_ASK_FOR_LOCKS = (5, 36)  # F_GETLK, F_OFD_GETLK

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


def restrict(network: bool, processes: bool, locks: bool) -> bool:
    """Have the kernel refuse those calls to this process and its children; False where it cannot.

    Sockets are refused where the job needs no `network`, new processes where it starts no
    `processes`, locks on files where it needs none: one that is held on any readable file is a
    message to who tries it.
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
    try:
        rules.load()
    except OSError:
        return False
    return True
