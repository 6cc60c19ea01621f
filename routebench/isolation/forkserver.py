"""Warm processes: a server that has imported libraries forks one for each job.

It is a fresh interpreter that never sees a request or a table: it gets file descriptors, variables
and a folder, and its child reads the request from its own standard input. So a job's memory holds
what a fresh process would hold, and no descriptor but its own three.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Protocol, Self

from routebench.isolation import firewall

LIBRARIES = {
    "accelerate", "numpy", "pandas", "peft", "pyarrow", "scipy", "sklearn", "safetensors",
    "sentence_transformers", "tokenizers", "torch", "torch_geometric", "transformers",
}  # fmt: skip
"""Packages that may be imported ahead: well-known ones only, for nothing confines the server.

Not `datasets`, nor what imports it: it settles where its cache lies when it is imported.
"""
_MESSAGE = 1 << 17  # bytes of the longest message: the variables of a job


class ServerEndedError(Exception):
    """The server has ended."""


class _File(Protocol):
    def fileno(self) -> int: ...


class ForkedProcess:
    """A process that a server has forked, as its user sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pipes: tuple[IO[str], IO[str]] | None = None
        self.returncode: int | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        for pipe in self.pipes or ():
            with contextlib.suppress(OSError):  # the process may have ended before it read all
                pipe.close()

    @property
    def stdin(self) -> IO[str] | None:
        return self.pipes[0] if self.pipes else None

    @property
    def stdout(self) -> IO[str] | None:
        return self.pipes[1] if self.pipes else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code, or minus the signal that ended it."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("job", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        """End it and all it started."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def end(self, code: int) -> None:
        """Take note of its end."""
        self.returncode = code
        self._ended.set()


Process = subprocess.Popen[str] | ForkedProcess


def works_here() -> bool:
    """Return whether a server can watch its children here: on Linux from 5.3, if it is allowed."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class ForkServer:
    """The run's side of a server: starts it at once, and asks it for processes.

    `entry` is the module whose `main` a process runs; a fresh server imports its `AHEAD`. With
    `parent` it is forked from another server, and imports one `library` more.
    """

    def __init__(
        self, entry: str, scratch: Path, parent: ForkServer | None = None, library: str = ""
    ) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._answered = threading.Condition()
        self._pids: list[int | None] = []
        self._children: dict[int, ForkedProcess] = {}
        self._ended: dict[int, int] = {}
        self._gone = False
        work = Path(tempfile.mkdtemp(prefix="server-", dir=scratch))
        variables = firewall.environment(work)
        self._process: ForkedProcess | subprocess.Popen[bytes]
        with theirs, (work / "log").open("w") as log:
            if parent is not None:
                self._process = parent.fork(work, variables, theirs, log, log, library)
            else:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", __name__, entry],
                    stdin=theirs.fileno(),
                    stdout=log,
                    stderr=log,
                    cwd=work,
                    env=variables,
                    start_new_session=True,
                )
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, work: Path, variables: dict[str, str], log: _File) -> ForkedProcess:
        """Return a new process that works in `work` with these variables.

        Raises:
            ServerEndedError: where the server was killed, or could start neither itself nor this.
        """
        own_in, its_in = _pipe(write_own=True)
        own_out, its_out = _pipe(write_own=False)
        with its_in, its_out:
            try:
                process = self.fork(work, variables, its_in, its_out, log)
            except BaseException:
                own_in.close()
                own_out.close()
                raise
        process.pipes = own_in, own_out
        return process

    def fork(
        self,
        work: Path,
        variables: dict[str, str],
        stdin: _File,
        stdout: _File,
        stderr: _File,
        library: str | None = None,
    ) -> ForkedProcess:
        """Return a child with these standard files: a server, where there is a `library`."""
        order = {"folder": str(work), "variables": variables, "library": library}
        files = [file.fileno() for file in (stdin, stdout, stderr)]
        with self._lock:
            try:
                socket.send_fds(self._socket, [json.dumps(order).encode()], files)
            except OSError as error:
                raise ServerEndedError from error
            with self._answered:
                self._answered.wait_for(lambda: self._pids or self._gone)
                pid = self._pids.pop() if self._pids else None
                if pid is None:
                    raise ServerEndedError
                process = ForkedProcess(pid)
                if pid in self._ended:
                    process.end(self._ended.pop(pid))
                elif self._gone:  # meanwhile
                    process.kill()
                    process.end(-signal.SIGKILL)
                else:
                    self._children[pid] = process
        return process

    def close(self) -> None:
        """End the server and all it has forked."""
        with self._answered:
            children = list(self._children.values())
        for process in children:
            process.kill()
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                message = self._socket.recv(_MESSAGE)
            except OSError:
                message = b""
            with self._answered:
                if not message:
                    self._gone = True
                    for process in self._children.values():
                        process.kill()
                        process.end(-signal.SIGKILL)
                    self._answered.notify_all()
                    return
                kind, pid, code = json.loads(message)
                if kind in ("forked", "refused"):
                    self._pids.append(pid if kind == "forked" else None)
                    self._answered.notify_all()
                elif pid in self._children:
                    self._children.pop(pid).end(code)
                else:
                    self._ended[pid] = code


def _pipe(write_own: bool) -> tuple[IO[str], IO[bytes]]:
    """Return this process's end of a pipe as a text file, and the other end."""
    read, write = os.pipe()
    own, other = (write, read) if write_own else (read, write)
    modes = ("w", "rb") if write_own else ("r", "wb")
    text = os.fdopen(own, modes[0], encoding="utf-8", errors="replace")
    return text, os.fdopen(other, modes[1])


class _Server:
    """The server's side: forks on request, and tells when a child has ended."""

    def __init__(self, control: socket.socket, entry: str) -> None:
        self._control = control
        self._entry = entry
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def serve(self) -> None:
        """Fork until the run closes its end."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._reap(key.data, key.fd)
                elif not self._fork():
                    return

    def _fork(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE, 3)
        if not order:
            return False
        ready, leads = os.pipe()
        try:
            pid = os.fork()
        except OSError:  # too many processes, or no memory: this one alone is refused
            pid = -1
        if pid == 0:
            self._become(json.loads(order), descriptors, leads)
        for descriptor in (*descriptors, leads):
            os.close(descriptor)
        # The child closes its end when it leads a group: before that, nobody could kill the group.
        os.read(ready, 1)
        os.close(ready)
        if pid == -1:
            self._tell("refused", 0, 0)
        else:
            self._tell("forked", pid, 0)
            self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
        return True

    def _reap(self, pid: int, descriptor: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # what it has started ends with it
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        self._tell("ended", pid, os.waitstatus_to_exitcode(status))

    def _tell(self, kind: str, pid: int, code: int) -> None:
        with contextlib.suppress(OSError):  # the run has ended; so will this server
            self._control.send(json.dumps([kind, pid, code]).encode())

    def _become(self, order: dict[str, Any], descriptors: list[int], leads: int) -> None:
        """Turn this child into the process of a job; never returns."""
        try:
            os.setsid()
            os.close(leads)
            self._selector.close()
            self._control.close()
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                if descriptor > 2:
                    with contextlib.suppress(OSError):  # that of the listing itself
                        os.close(descriptor)
            os.chdir(order["folder"])
            os.environ.clear()
            os.environ.update(order["variables"])
            tempfile.tempdir = None  # found again, from the job's variables
            if (library := order["library"]) is not None:
                serve(self._entry, [library])
            else:
                if numpy := sys.modules.get("numpy"):
                    numpy.random.seed()  # else all children would draw the same
                importlib.import_module(self._entry).main()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        else:
            os._exit(0)  # a server whose run has ended
        os._exit(1)


def serve(entry: str, libraries: Iterable[str]) -> None:
    """Import the libraries, then fork a process for every message on standard input."""
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in libraries:
        # What cannot be imported here fails in the job that needs it, and is told there.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    _Server(control, entry).serve()


if __name__ == "__main__":
    serve(sys.argv[1], importlib.import_module(sys.argv[1]).AHEAD)
