"""Worker processes: started fresh, shut in, told one thing, and ended whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from routebench import isolation

Progress = Callable[[float, str], None]
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
        stage: str,
        folder: Path,
        order: dict[str, Any],
        deadline: float | None = None,
        progress: Progress = lambda done, note: None,
    ) -> dict[str, Any]:
        """Run one process to its end: what it answered, or `failed` and `log`.

        The process may write to `folder` only; its log lies beside that folder. `deadline` is a
        time of `time.monotonic`.
        """
        (folder / "work").mkdir(parents=True, exist_ok=True)
        log = folder.with_suffix(".log")
        said: dict[str, Any] = {}
        with (
            log.open("w") as stream,
            self._started(folder, stream, order.get("downloads", False)) as process,
        ):
            reader = threading.Thread(target=_listen, args=(process, said, progress), daemon=True)
            reader.start()
            timed_out = False
            try:
                self._tell(process, order | {"stage": stage, "folder": str(folder)})
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                process.wait(left)
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                _kill(process)
                reader.join(timeout=5)
        answer: dict[str, Any] = said.get("result") or {"failed": _ending(process.returncode)}
        if timed_out:
            answer = {"failed": "no end within the time limit"}
        if "failed" in answer:
            answer["failed"] = f"{stage}: " + _text(answer["failed"]).replace(str(folder), "<job>")
            answer["log"] = _text(answer.get("log", "")) + _tail(log)
        answer["warnings"] = [_text(warning) for warning in answer.get("warnings", [])]
        return answer

    def stop(self) -> None:
        """End all processes, and start no more."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                _kill(process)

    def _tell(self, process: subprocess.Popen[str], order: dict[str, Any]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order | {"protected": self._protected}) + "\n")
            process.stdin.flush()

    @contextlib.contextmanager
    def _started(self, folder: Path, log: Any, downloads: bool) -> Iterator[subprocess.Popen[str]]:
        with self._lock:
            if self.stopped:
                raise KeyboardInterrupt
            # -P: the working folder is not put on sys.path. A session of its own: Ctrl-C
            # reaches the run, which then ends its jobs in order.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "routebench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder / "work",
                env=isolation.environment(folder / "work", downloads),
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
    """A temporary folder for a run's tables, gone afterwards; also what dead runs left is."""
    parent = Path(tempfile.gettempdir()) / f"routebench-{_user()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    for left in parent.iterdir():
        with contextlib.suppress(OSError), _held(left / ".lock", "r+"):
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(
            prefix="run-", dir=parent, ignore_cleanup_errors=True
        ) as folder,
        _held(Path(folder) / ".lock", "a"),
    ):
        yield Path(folder)


@contextlib.contextmanager
def _held(path: Path, mode: str) -> Iterator[None]:
    """An exclusive lock that the kernel frees however its holder dies; OSError if it is held."""
    with path.open(mode) as stream:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def default_workers(device: str) -> int:
    """One job per core on a CPU, one job on an accelerator. Jobs have one thread each."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listen(process: subprocess.Popen[str], said: dict[str, Any], progress: Progress) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        # A router can find the channel and write to it; what is not ours is ignored.
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            message = json.loads(line)
            if "progress" in message:
                progress(*message["progress"])
            elif isinstance(message["result"], dict):
                said["result"] = message["result"]


def _kill(process: subprocess.Popen[str]) -> None:
    """End the process and all it started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()


def _text(said: Any) -> str:
    """What a router said, without the halves of characters that no file can hold."""
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
