"""Run a job on a node of a cluster, as a run of this machine would."""

from __future__ import annotations

import atexit
import contextlib
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from routebench.executors import shipped
from routebench.executors.shipped import Files, Shipment
from routebench.isolation.scratch import scratch_folder
from routebench.isolation.subprocesses import Workers, warm_workers
from routebench.jobs.finished import Finished
from routebench.jobs.runner import JobRunner
from routebench.jobs.setup import Job


@dataclass(frozen=True)
class Returned:
    """What comes back of a job."""

    state: str
    message: str = ""
    log: str = ""
    files: Files = field(default_factory=dict)
    """Those that a run keeps of a job that ended well."""
    seconds: float = 0.0


def differing(expected: dict[str, str], job: Job, encoder: str) -> str:
    """Return in which way this environment is another one than the run's; empty if it is not."""
    here = shipped.environment(job, encoder)
    for name, value in expected.items():
        if here.get(name) != value:
            found = here.get(name) or "none"
            return f"{platform.node()} has {found} as {name}, the run has {value}"
    return ""


class NodeProcesses:
    """The processes of this machine, and what is kept between jobs of one fold."""

    def __init__(self, shipment: Shipment) -> None:
        self._ending = contextlib.ExitStack()
        scratch = self._ending.enter_context(scratch_folder())
        device = shipment.setup.device
        self.workers: Workers = self._ending.enter_context(
            warm_workers(scratch, shipment.isolation, device)
        )
        hidden = [Path(tempfile.gettempdir()) / "ray", *map(Path, shipment.protected)]
        self.workers.protect(hidden)
        self._key = ""
        self._runner: JobRunner | None = None
        atexit.register(self._ending.close)

    def runner(self, shipment: Shipment) -> JobRunner:
        """Return what runs the jobs of a shipment; fits are shared among them."""
        if self._runner is None or self._key != shipment.key:
            place = Path(tempfile.mkdtemp(prefix="fold-", dir=self.workers.scratch))
            setup = shipment.setup
            if setup.encoded is not None and shipment.vectors is not None:
                shipped.unpack(shipment.vectors, place / "vectors")
                encoded = replace(setup.encoded, store=place / "vectors")
                setup = replace(setup, encoded=encoded)
            finished = Finished(place / "finished")
            self._key, self._runner = shipment.key, JobRunner(setup, finished, self.workers)
        return self._runner


_nodes: list[NodeProcesses] = []


def run(shipment: Shipment, job: Job) -> Returned:
    """Run a job; its processes are confined as everywhere."""
    started = time.monotonic()
    if not _nodes:
        _nodes.append(NodeProcesses(shipment))
    runner = _nodes[0].runner(shipment)
    result = runner.run(job, lambda done, note: None)
    runner.finished.publish()
    place = runner.finished.folder / job.path
    files = shipped.pack(place) if result.state == "ok" else {}
    shutil.rmtree(place, ignore_errors=True)
    seconds = time.monotonic() - started
    return Returned(result.state, result.message, result.log, files, seconds)
