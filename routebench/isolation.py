"""What a job's process may reach: the firewall between a router and the answers.

Two layers. On Linux, Landlock makes the kernel refuse protected files (however they are opened,
also by C++ code and child processes), writes outside the job's own folder, and signals to other
processes. Everywhere, an audit hook records what Python code tries; one attempt fails the row
even if the router swallows the error. This stops mistakes and casual cheating, not hostile code.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import sys
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import IsolationError

_KEPT_VARIABLES = (
    "PATH", "PYTHONPATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
    "SYSTEMROOT", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "HF_HUB_OFFLINE", "HF_HUB_CACHE",
    "SSL_CERT_FILE",
)  # fmt: skip
_FOR_DOWNLOADS = (
    "HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
# Programs that libraries run to learn about the machine; they reveal nothing of the run.
_HARMLESS_PROGRAMS = {"lscpu", "uname", "ldconfig", "nvidia-smi", "sysctl"}


def environment(work: Path, downloads: bool = False) -> dict[str, str]:
    """The variables a job gets: what the interpreter and CUDA need, one thread, own folders.

    A process that may fetch models gets the token and the proxies for it; no other sees a key.
    """
    names = _KEPT_VARIABLES + (_FOR_DOWNLOADS if downloads else ())
    kept = {name: os.environ[name] for name in names if name in os.environ}
    if not downloads:
        kept["HF_HUB_OFFLINE"] = "1"
    return kept | {
        **dict.fromkeys(_THREADS, "1"),
        "HOME": str(work),
        "TMPDIR": str(work),
        "MPLCONFIGDIR": str(work),
        "NUMBA_CACHE_DIR": str(work),
        "HF_HOME": str(model_cache()),
        "HF_DATASETS_CACHE": str(work / "datasets"),
        "JOBLIB_MULTIPROCESSING": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }


def model_cache() -> Path:
    """Where Hugging Face's libraries keep what they downloaded."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").absolute()


def enter(
    folder: Path,
    protected: Sequence[Path],
    banned_modules: Iterable[str],
    processes: bool,
    downloads: bool = False,
    kept: Path | None = None,
) -> tuple[str, list[str]]:
    """Shut this process in; call once, before any plugin code is imported.

    `folder`, and `kept` where there is one, is all the job may write to, `protected` what it must
    not read, `processes` whether it may start programs, `downloads` whether it may write to the
    `model_cache`. Returns the level reached (`landlock` or `audit`) and the list that violations
    are appended to from now on.
    """
    folders = [folder.resolve(), *([kept.resolve()] if kept else [])]
    if downloads:
        for place in {model_cache(), Path(os.environ.get("HF_HUB_CACHE") or model_cache())}:
            # Where there can be none, nothing is fetched; most encoders fetch nothing anyway.
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                folders.append(place.resolve())
    resolved = [path.resolve() for path in protected]
    level = "landlock" if _landlock(folders, resolved, processes) else "audit"
    violations: list[str] = []
    watch = _Watch(folders, protected, frozenset(banned_modules), processes, violations)
    sys.addaudithook(watch)
    return level, violations


class _Watch:
    """The audit hook. Knows protected paths by hash only, so that memory does not tell them."""

    def __init__(
        self,
        folders: Sequence[Path],
        protected: Sequence[Path],
        banned: frozenset[str],
        processes: bool,
        violations: list[str],
    ) -> None:
        self.folders = [str(folder) for folder in folders]
        self.hashes = {_digest(str(path.resolve())) for path in protected}
        self.banned = banned
        self.own = {"self", "thread-self", str(os.getpid())}
        self.processes = processes
        self.violations = violations
        self.events: dict[str, Callable[..., None]] = {
            "open": self.opened,
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
        if not processes:
            self.events |= {
                "subprocess.Popen": self.started,
                "os.posix_spawn": self.started,
                "os.exec": self.started,
                "os.system": self.shell,
                "os.fork": self.started,
                "os.forkpty": self.started,
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
        if _is_foreign_process(real, self.own):
            self.refuse(f"looked into another process: {real}")
        # A path is protected when it, or a folder above it, is.
        parts = Path(real).parts
        for end in range(1, len(parts) + 1):
            if _digest(str(Path(*parts[:end]))) in self.hashes and not self.inside(real):
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

    def shell(self, command: Any, *_: Any) -> None:
        self.refuse(f"started a shell: {os.fsdecode(command)[:80]}")

    def inside(self, real: str) -> bool:
        return any(real == own or real.startswith(own + os.sep) for own in self.folders)

    def refuse(self, reason: str) -> None:
        self.violations.append(reason)
        raise IsolationError(reason)


_DEVICE_FILES = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode(errors="surrogateescape")).digest()


def _real(path: Any) -> str | None:
    """The absolute path behind links; None for an open file descriptor."""
    if path is None:
        path = "."
    if isinstance(path, int):
        return None
    text = os.fsdecode(path)
    # /proc/self is resolved by hand: realpath would turn it into a number like any other.
    return os.path.abspath(text) if text.startswith("/proc/self") else os.path.realpath(text)


def _is_foreign_process(real: str, own: set[str]) -> bool:
    parts = Path(real).parts
    return parts[:2] == ("/", "proc") and parts[2:3] != () and _other(parts[2], own)


def _other(name: str, own: set[str]) -> bool:
    return name.isdigit() and name not in own


# --- Landlock (Linux 5.13 and later); numbers from the kernel's include/uapi/linux/landlock.h

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
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
    """The version of Landlock this kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, 1)))


def _landlock(folders: list[Path], protected: list[Path], processes: bool) -> bool:
    """Restrict this process and its children; False where the kernel cannot."""
    abi = landlock_abi()
    if abi < 1:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = (1 << 13) - 1
    handled |= _REFER if abi >= 2 else 0
    handled |= _TRUNCATE if abi >= 3 else 0
    rules = _Ruleset(handled, 0, _SCOPE_SOCKETS_AND_SIGNALS if abi >= 6 else 0)
    size = 24 if abi >= 6 else 8
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
        allow(Path("/"), _READ_DIR)  # names only: imports list the folders of sys.path
        for path in _everything_but(Path("/"), [*protected, *_other_processes()]):
            allow(path, _READ_FILE | _EXECUTE)
        for pattern in _DEVICES:
            for device in Path("/dev").glob(pattern):
                allow(device, _READ_FILE | _WRITE_FILE)
        for folder in folders:
            allow(folder, handled)
        if processes:
            allow(Path("/dev/shm"), handled)  # noqa: S108  where their locks and queues live
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _other_processes() -> list[Path]:
    own = str(os.getpid())
    return [p for p in Path("/proc").iterdir() if p.name.isdigit() and p.name != own]


def _everything_but(folder: Path, excluded: list[Path]) -> Iterator[Path]:
    """Paths whose union is `folder` without `excluded`: siblings along each excluded path."""
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
            yield from _everything_but(Path(child.path), below)
