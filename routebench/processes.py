"""Jobs in processes: two freshly started ones each, the second without any table."""

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
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import Any

from routebench import discovery, isolation, transfer
from routebench.jobs import Finished, Job, Progress, Result, Setup, in_order

_LOG_TAIL = 4000


class Processes:
    """Runs jobs, at most `workers` at a time; each is kept by `finished` as soon as it ends."""

    def __init__(self, setup: Setup, finished: Finished, workers: int) -> None:
        self.setup = setup
        self.finished = finished
        self.workers = workers
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self, jobs: Sequence[Job], progress: Callable[[Job, float, str], None]
    ) -> Generator[tuple[Job, Result], None, None]:
        """Yield every job with its result, in order of completion. Leaving early kills the rest."""
        with tempfile.TemporaryDirectory(prefix="routebench-") as scratch:
            executor = ThreadPoolExecutor(self.workers)
            pending: dict[Future[Result], Job] = {
                executor.submit(self._run_one, job, Path(scratch), progress): job for job in jobs
            }
            try:
                while pending:
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield pending.pop(future), future.result()
            finally:
                self._stop()
                executor.shutdown(cancel_futures=True)

    def _run_one(
        self, job: Job, scratch: Path, progress: Callable[[Job, float, str], None]
    ) -> Result:
        with tempfile.TemporaryDirectory(prefix="job-", dir=scratch) as folder:
            place = Path(folder)
            result = self._stages(job, place, scratch, lambda done, note: progress(job, done, note))
            if not self._stopped:
                checkpoint = place / "route" / "checkpoint"
                self.finished.save(job, result, checkpoint if result.state == "ok" else None)
        return result

    def _stages(self, job: Job, place: Path, scratch: Path, progress: Progress) -> Result:
        deadline = time.monotonic() + self.setup.timeout if self.setup.timeout else None
        train, validation = self.setup.tables(job.fold)
        fit, route = place / "fit", place / "route"
        (fit / "work").mkdir(parents=True)
        transfer.write_table(fit / "train.arrow", train)
        transfer.write_table(fit / "validation.arrow", validation)
        order = self._order(job, scratch) | {"seed": job.seed, "encoder": self.setup.encoder}
        order |= {
            "encoder_options": self.setup.encoder_options,
            "device": self.setup.device,
            "objective": asdict(self.setup.objective),
        }
        fitted = self._stage("fit", fit, order, deadline, progress)
        if fitted.state != "ok":
            return fitted
        (route / "work").mkdir(parents=True)
        (fit / "checkpoint").rename(route / "checkpoint")
        # The training tables are gone before the process that routes exists.
        shutil.rmtree(fit)
        queries, shuffled = self.setup.test_queries(job)
        transfer.write_queries(route / "queries.arrow", queries)
        order = self._order(job, scratch) | {"models": train.pool.models}
        routed = self._stage("route", route, order, deadline, progress)
        if routed.state != "ok":
            return routed
        decisions = transfer.read_decisions(route / "decisions.arrow")
        peak = max(r.timing.get("peak_rss_bytes", 0) for r in (fitted, routed))
        return Result(
            "ok",
            decisions=in_order(decisions, shuffled),
            timing=fitted.timing | routed.timing | {"peak_rss_bytes": peak},
            warnings=tuple(dict.fromkeys(fitted.warnings + routed.warnings)),
            isolation=routed.isolation,
        )

    def _order(self, job: Job, scratch: Path) -> dict[str, Any]:
        processes = getattr(discovery.load(job.plugin), "starts_processes", False)
        return {
            "label": job.label,
            "plugin": asdict(job.plugin),
            "options": job.options,
            "protected": [str(path) for path in (*self.setup.protected, scratch)],
            "banned": discovery.answer_modules(job.plugin),
            "processes": bool(processes),
        }

    def _stage(
        self,
        stage: str,
        folder: Path,
        order: dict[str, Any],
        deadline: float | None,
        progress: Progress,
    ) -> Result:
        """Run one process to its end and turn what it said, or how it died, into a result."""
        log = folder / "log.txt"
        said: dict[str, Any] = {}
        with log.open("w") as stream, self._started(folder, stream) as process:
            reader = threading.Thread(target=_listen, args=(process, said, progress), daemon=True)
            reader.start()
            timed_out = False
            try:
                with contextlib.suppress(BrokenPipeError):
                    print(
                        json.dumps(order | {"stage": stage, "folder": str(folder)}),
                        file=process.stdin,
                        flush=True,
                    )
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                process.wait(left)
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                _kill(process)
                reader.join(timeout=5)
        tail = log.read_text(errors="replace")[-_LOG_TAIL:]
        if timed_out:
            limit = f"{self.setup.timeout:g} s"
            return Result("failed", f"{stage}: no end after {limit} (--job-timeout)", log=tail)
        answer = said.get("result")
        if answer is None:
            return Result("failed", f"{stage}: {_ending(process.returncode)}", log=tail)
        if "failed" in answer:
            text = answer["failed"].replace(str(folder), "<job>")
            return Result("failed", f"{stage}: {text}", log=answer.get("log", "") + tail)
        return Result(
            "ok",
            timing=answer["timing"],
            warnings=tuple(answer["warnings"]),
            isolation=answer["isolation"],
        )

    @contextlib.contextmanager
    def _started(self, folder: Path, log: Any) -> Iterator[subprocess.Popen[str]]:
        with self._lock:
            if self._stopped:
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
                env=isolation.environment(folder / "work"),
                start_new_session=True,
            )
            self._running.add(process)
        try:
            with process:
                yield process
        finally:
            with self._lock:
                self._running.discard(process)

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


def default_workers(device: str) -> int:
    """One job per core on a CPU, one job on an accelerator. Jobs have one thread each."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listen(process: subprocess.Popen[str], said: dict[str, Any], progress: Progress) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        # A router can find the channel and write to it; what is not ours is ignored.
        with contextlib.suppress(json.JSONDecodeError, AttributeError, TypeError, ValueError):
            message = json.loads(line)
            if "progress" in message:
                progress(*message["progress"])
            elif "result" in message:
                said["result"] = message["result"]


def _kill(process: subprocess.Popen[str]) -> None:
    """End the process and all it started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()


def _ending(code: int) -> str:
    if code >= 0:
        return f"the process ended without a result (exit code {code})"
    with contextlib.suppress(ValueError):
        return f"the process was killed by {signal.Signals(-code).name}"
    return f"the process was killed by signal {-code}"
