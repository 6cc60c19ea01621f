"""Worker processes: forked or started fresh, confined, given one request, and always ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from routebench.devices import SharedDevices, visible
from routebench.isolation import firewall, readable
from routebench.isolation.forkserver import (
    LIBRARIES,
    ForkedProcess,
    ForkServer,
    Process,
    ServerEndedError,
    works_here,
)
from routebench.isolation.listening import GiveAnswers, OnProgress, RevealOutcomes, listen, send
from routebench.isolation.messages import (
    Access,
    Failed,
    FitNeeded,
    FitReply,
    OnlineReply,
    Report,
    Request,
    RouteReply,
    Start,
    StepReply,
    Used,
)
from routebench.isolation.printing import Printed, printed

_ENTRY = "routebench.jobs.worker"
_MEASURED = (FitReply, RouteReply, StepReply, OnlineReply)


class Workers:
    """The processes of one run.

    `protect` names the paths that none of them may read. With `warm` they are forked from servers
    that have imported libraries: the plain one is started here and now, each other is forked from
    one that has a library less. Each process sees one of `devices`, if any are named.
    """

    def __init__(self, scratch: Path, warm: bool = False, devices: Sequence[str] = ()) -> None:
        self.scratch = scratch
        self._devices = SharedDevices(devices)
        self._stop = threading.Event()
        # The scratch folders of other runs hold training tables: none of them is readable.
        self._protected = [str(scratch.parent)]
        self._running: set[Process] = set()
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._servers: dict[tuple[str, ...], ForkServer] = {}
        self._warm = warm
        if warm:
            self._server(())

    @property
    def warm(self) -> bool:
        return self._warm

    @property
    def protected(self) -> tuple[str, ...]:
        """Return the paths that none of the processes may read."""
        return tuple(self._protected)

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def protect(self, paths: Iterable[Path]) -> None:
        """Let no process that is started from now on read these paths."""
        self._protected += map(str, paths)

    def run(
        self,
        request: Request,
        folder: Path,
        access: Access,
        deadline: float | None = None,
        progress: OnProgress = lambda done, note: None,
        libraries: Iterable[str] = (),
        answer: Callable[[FitNeeded], str | None] | None = None,
        sell: GiveAnswers | None = None,
        reveal: RevealOutcomes | None = None,
    ) -> Report:
        """Run one process to its end and return its report; `Failed` where it gave none.

        The process may write to `folder` only; its log lies beside that folder. `deadline` is a
        time of `time.monotonic`. `libraries` are those that it will import; `answer` gives it
        fits that it needs, `sell` answers that a router buys, `reveal` the outcomes of what it
        chose.
        """
        (folder / "work").mkdir(parents=True, exist_ok=True)
        log = folder.with_suffix(".log")
        reports: list[Report] = []
        used: list[Used] = []
        with (
            Printed(log) as said,
            self._started(folder, said.stream, access, libraries) as process,
        ):
            said.stream.close()
            reader = threading.Thread(
                target=listen,
                args=(process, reports, used, progress, answer, sell, reveal),
                daemon=True,
            )
            reader.start()
            timed_out = False
            try:
                roots = list(readable.editable_roots())
                send(process, Start(request, str(folder), self._protected, access, roots))
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                process.wait(left)
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                _kill(process)
                reader.join(timeout=5)
        report = reports[-1] if reports else Report(Failed(_ending(process.wait())))
        reply = report.reply
        apart = "namespaces" in report.isolation
        if used and apart and isinstance(reply, _MEASURED):
            # The last is of the process that waited for the job, which with namespaces no router
            # can reach. Without them there is none, and the job measures itself.
            reply = replace(reply, timing=reply.timing | asdict(used[-1]))
        if timed_out:
            reply = Failed("no end within the time limit", timed_out=True)
        if isinstance(reply, Failed):
            reason = f"{request.stage}: " + _text(reply.reason).replace(str(folder), "<job>")
            reply = replace(reply, reason=reason, log=_text(reply.log) + printed(log))
        warnings = [_text(warning) for warning in report.warnings]
        return replace(report, reply=reply, warnings=warnings)

    def stop(self) -> None:
        """End all processes, and start no more."""
        with self._lock:
            self._stop.set()
            for process in self._running:
                _kill(process)

    def close(self) -> None:
        """End all processes and servers."""
        self.stop()
        with self._starting:
            for server in reversed(self._servers.values()):
                server.close()

    @contextlib.contextmanager
    def _started(
        self, folder: Path, log: IO[bytes], access: Access, libraries: Iterable[str]
    ) -> Iterator[Process]:
        if self.stopped:
            raise KeyboardInterrupt
        work = folder / "work"
        with self._devices.lent() as device:
            variables = firewall.environment(work, access.downloads) | device
            process: Process = self._forked(work, variables, log, access, libraries) or _fresh(
                work, variables, log
            )
            with self._lock:
                self._running.add(process)
                if self._stop.is_set():  # meanwhile
                    _kill(process)
            try:
                with process:
                    yield process
            finally:
                with self._lock:
                    self._running.discard(process)

    def _forked(
        self,
        work: Path,
        variables: dict[str, str],
        log: IO[bytes],
        access: Access,
        libraries: Iterable[str],
    ) -> ForkedProcess | None:
        """Return a warm process; None where a fresh one is to be started."""
        if not self._warm or access.processes:
            return None
        if access.downloads:
            libraries = ()  # Hugging Face's read when they are imported whether they are offline
        try:
            return self._server(libraries).start(work, variables, log)
        except ServerEndedError:
            return None

    def _server(self, libraries: Iterable[str]) -> ForkServer:
        known = tuple(name for name in libraries if name.partition(".")[0] in LIBRARIES)
        with self._starting:
            for end in range(len(known) + 1):
                if known[:end] not in self._servers:
                    parent = self._servers[known[: end - 1]] if end else None
                    library = known[end - 1] if end else ""
                    server = ForkServer(_ENTRY, self.scratch, parent, library)
                    self._servers[known[:end]] = server
            return self._servers[known]


def _fresh(work: Path, variables: dict[str, str], log: IO[bytes]) -> subprocess.Popen[str]:
    # -P: the working folder is not put on sys.path. A session of its own: Ctrl-C
    # reaches the run, which then ends its jobs in order.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", _ENTRY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
        errors="replace",
        cwd=work,
        env=variables,
        start_new_session=True,
    )


@contextlib.contextmanager
def warm_workers(scratch: Path, isolation: str, device: str) -> Iterator[Workers]:
    """Yield the processes of a run, forked where `isolation` and the device allow it."""
    # A forked process cannot use CUDA where its parent has; macOS's libraries do not bear a fork.
    warm = isolation == "fork" and device == "cpu" and works_here()
    with contextlib.closing(Workers(scratch, warm, visible(device))) as workers:
        yield workers


def default_workers(device: str) -> int:
    """Return the number of jobs run at once: one per core of the CPU, or per CUDA device."""
    if device != "cpu":
        return max(1, len(visible(device)))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _kill(process: Process) -> None:
    """End the process and all it started."""
    if isinstance(process, ForkedProcess):
        process.kill()
    elif os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()


def _text(said: Any) -> str:
    """Return a router's text without lone surrogates, which no file can hold."""
    return str(said).encode("utf-8", "backslashreplace").decode()


def _ending(code: int) -> str:
    if code >= 0:
        return f"the process ended without a result (exit code {code})"
    with contextlib.suppress(ValueError):
        return f"the process was killed by {signal.Signals(-code).name}"
    return f"the process was killed by signal {-code}"
