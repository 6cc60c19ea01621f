"""The audit hook of a job's process: records what Python code opens, writes, starts and imports."""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import IsolationError
from routebench.isolation.messages import Access

# Programs that libraries run to learn about the machine; they reveal nothing of the run.
_HARMLESS_PROGRAMS = {"lscpu", "uname", "ldconfig", "nvidia-smi", "sysctl", "fc-list"}


class AuditHook:
    """The audit hook. Knows protected paths by hash only, so that memory does not tell them."""

    def __init__(
        self,
        folders: Sequence[Path],
        protected: Sequence[Path],
        banned: frozenset[str],
        access: Access,
        violations: list[str],
        readable: Sequence[Path] = (),
    ) -> None:
        self.folders = [str(folder) for folder in folders]
        self.readable = [*self.folders, *map(str, readable)]
        self.hashes = {_digest(str(path.resolve())) for path in protected}
        self.banned = banned
        self.this_process = {"self", "thread-self", str(os.getpid())}
        self.violations = violations
        self.own_folder: str | None = None
        self.taken: set[int] = set()
        self.events: dict[str, Callable[..., None]] = {
            "open": self.opened,
            "os.listdir": self.read,
            "os.scandir": self.read,
            "sqlite3.connect": self.database,
            "os.remove": self.write,
            "os.mkdir": self.made,
            "os.rmdir": self.write,
            "os.truncate": self.write,
            "os.utime": self.write,
            "os.chmod": self.write,
            "os.chown": self.write,
            "os.setxattr": self.write,
            "os.removexattr": self.write,
            "os.rename": self.write_both,
            "os.link": self.write_both,
            "os.symlink": self.linked,
            "import": self.imported,
        }
        if not access.processes:
            self.events |= {
                "subprocess.Popen": self.started,
                "os.posix_spawn": self.started,
                "os.exec": self.started,
                "os.system": self.shell,
                "os.fork": self.started,
                "os.forkpty": self.started,
            }
        if not access.network and not access.downloads:
            self.events |= {
                "socket.connect": self.connected,
                "socket.sendto": self.connected,
                "socket.sendmsg": self.connected,
            }

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        handler = self.events.get(event)
        if handler is not None:
            handler(*arguments)

    def opened(self, path: Any, mode: str | None = None, flags: int = 0, *_: Any) -> None:
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if any(letter in (mode or "") for letter in "wax+") or flags & writes:
            self.write(path)
        else:
            self.read(path)

    def read(self, path: Any = ".", *_: Any) -> None:
        real = _real(path)
        if real is None:
            return
        if _is_foreign_process(real, self.this_process):
            self.refuse(f"looked into another process: {real}")
        # A path is protected when it, or a folder above it, is.
        parts = Path(real).parts
        for end in range(1, len(parts) + 1):
            if _digest(str(Path(*parts[:end]))) in self.hashes and not _is_in(real, self.readable):
                self.refuse(f"tried to read the run's own data: {real}")

    def write(self, path: Any, *_: Any) -> None:
        real = _real(path)
        if real is not None and not self.inside(real) and real not in _DEVICE_FILES:
            self.refuse(f"tried to write outside its work folder: {real}")

    def made(self, path: Any, *_: Any) -> None:
        # Libraries make sure of folders that have long been there.
        if not os.path.isdir(path):
            self.write(path)

    def database(self, path: Any, *_: Any) -> None:
        text = os.fsdecode(path)
        if text.startswith("file:"):
            text = urllib.parse.unquote(text.removeprefix("file:").partition("?")[0])
        if text and text != ":memory:":
            self.read(text)

    def write_both(self, source: Any, target: Any, *_: Any) -> None:
        self.write(source)
        self.write(target)

    def linked(self, _: Any, place: Any, *__: Any) -> None:
        self.write(place)

    def imported(self, module: str, *_: Any) -> None:
        if any(module == name or module.startswith(name + ".") for name in self.banned):
            self.refuse(f"imported {module}, which knows the suite's answers")

    def started(self, program: Any = "", *_: Any) -> None:
        name = Path(os.fsdecode(program)).name if program else "a fork"
        if name not in _HARMLESS_PROGRAMS:
            self.refuse(f"started a process: {name} (declare starts_processes = True if it must)")

    def connected(self, *_: Any) -> None:
        self.refuse("used the network (declare needs_network = True if it must)")

    def shell(self, command: Any, *_: Any) -> None:
        self.refuse(f"started a shell: {os.fsdecode(command)[:80]}")

    def own(self, folder: Path, taken: Iterable[str]) -> None:
        """Allow writing to a folder that only this process has, but for the names `taken` outside.

        What lies there outside is somebody else's: whoever names it meant to leave something.
        """
        self.own_folder = str(folder)
        self.taken = set(map(hash, taken))

    def inside(self, real: str) -> bool:
        if _is_in(real, self.folders):
            return True
        if self.own_folder is None or not _is_in(real, [self.own_folder]):
            return False
        first = real.removeprefix(self.own_folder + os.sep).partition(os.sep)[0]
        return hash(first) not in self.taken

    def refuse(self, reason: str) -> None:
        self.violations.append(reason)
        raise IsolationError(reason)


_DEVICE_FILES = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}


def _is_in(real: str, folders: Sequence[str]) -> bool:
    return any(real == folder or real.startswith(folder + os.sep) for folder in folders)


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode(errors="surrogateescape")).digest()


def _real(path: Any) -> str | None:
    """Return the absolute path behind links; None for an open file descriptor."""
    if path is None:
        path = "."
    if isinstance(path, int):
        return None
    text = os.fsdecode(path)
    # /proc/self is resolved by hand: realpath would turn it into a number like any other.
    return os.path.abspath(text) if text.startswith("/proc/self") else os.path.realpath(text)


def _is_foreign_process(real: str, this_process: set[str]) -> bool:
    parts = Path(real).parts
    return parts[:2] == ("/", "proc") and parts[2:3] != () and _other(parts[2], this_process)


def _other(name: str, this_process: set[str]) -> bool:
    return name.isdigit() and name not in this_process
