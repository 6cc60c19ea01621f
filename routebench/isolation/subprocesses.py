"""Worker processes: started fresh, confined, given one request, and always ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from routebench.files import locked
from routebench.isolation import firewall, messages
from routebench.isolation.messages import Access, Failed, ProgressUpdate, Report, Request, Start

OnProgress = Callable[[float, str], None]
_LOG_TAIL = 4000


class Workers:
    """The processes of one run. `protected` are the paths that none of them may read."""

    def __init__(self, scratch: Path, protected: tuple[Path, ...]) -> None:
        self.scratch = scratch
        self.stopped = False
        # The scratch folders of other runs hold training tables: none of them is readable.
        self._protected = [str(path) for path in (*protected, scratch.parent)]
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def run(
        self,
        request: Request,
        folder: Path,
        access: Access,
        deadline: float | None = None,
        progress: OnProgress = lambda done, note: None,
    ) -> Report:
        """Run one process to its end and return its report; `Failed` where it gave none.

        The process may write to `folder` only; its log lies beside that folder. `deadline` is a
        time of `time.monotonic`.
        """
        (folder / "work").mkdir(parents=True, exist_ok=True)
        log = folder.with_suffix(".log")
        reports: list[Report] = []
        with (
            log.open("w") as stream,
            self._started(folder, stream, access.downloads) as process,
        ):
            reader = threading.Thread(
                target=_listen, args=(process, reports, progress), daemon=True
            )
            reader.start()
            timed_out = False
            try:
                self._start(process, Start(request, str(folder), self._protected, access))
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                process.wait(left)
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                _kill(process)
                reader.join(timeout=5)
        report = reports[-1] if reports else Report(Failed(_ending(process.returncode)))
        reply = report.reply
        if timed_out:
            reply = Failed("no end within the time limit", timed_out=True)
        if isinstance(reply, Failed):
            reason = f"{request.stage}: " + _text(reply.reason).replace(str(folder), "<job>")
            reply = replace(reply, reason=reason, log=_text(reply.log) + _tail(log))
        warnings = [_text(warning) for warning in report.warnings]
        return replace(report, reply=reply, warnings=warnings)

    def stop(self) -> None:
        """End all processes, and start no more."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                _kill(process)

    def _start(self, process: subprocess.Popen[str], start: Start) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(messages.write(start) + "\n")
            process.stdin.flush()

    @contextlib.contextmanager
    def _started(self, folder: Path, log: Any, downloads: bool) -> Iterator[subprocess.Popen[str]]:
        with self._lock:
            if self.stopped:
                raise KeyboardInterrupt
            # -P: the working folder is not put on sys.path. A session of its own: Ctrl-C
            # reaches the run, which then ends its jobs in order.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "routebench.jobs.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder / "work",
                env=firewall.environment(folder / "work", downloads),
                start_new_session=True,
            )
            self._running.add(process)
        try:
            with process:
                yield process
        finally:
            with self._lock:
                self._running.discard(process)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a temporary folder for a run's tables; delete it afterwards, and those of dead runs."""
    parent = Path(tempfile.gettempdir()) / f"routebench-{_user()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    for left in parent.iterdir():
        with contextlib.suppress(OSError), locked(left / ".lock", "r+"):
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(
            prefix="run-", dir=parent, ignore_cleanup_errors=True
        ) as folder,
        locked(Path(folder) / ".lock"),
    ):
        yield Path(folder)


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def default_workers(device: str) -> int:
    """Return the number of jobs run at once: one per core on a CPU, one on an accelerator."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listen(process: subprocess.Popen[str], reports: list[Report], progress: OnProgress) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        # A router can find the channel and write to it; invalid messages are ignored.
        with contextlib.suppress(TypeError, ValueError):
            message = messages.read(line)
            if isinstance(message, ProgressUpdate):
                progress(message.done, message.note)
            elif isinstance(message, Report):
                reports.append(message)


def _kill(process: subprocess.Popen[str]) -> None:
    """End the process and all it started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()


def _text(said: Any) -> str:
    """Return a router's text without lone surrogates, which no file can hold."""
    return str(said).encode("utf-8", "backslashreplace").decode()


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_TAIL))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def _ending(code: int) -> str:
    if code >= 0:
        return f"the process ended without a result (exit code {code})"
    with contextlib.suppress(ValueError):
        return f"the process was killed by {signal.Signals(-code).name}"
    return f"the process was killed by signal {-code}"
