"""Run jobs on the nodes of a Ray cluster: one plain task each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from routebench.errors import OptionError, RoutebenchError
from routebench.executors import shipped
from routebench.executors.protocol import ExecutorContext
from routebench.executors.shipped import Shipment
from routebench.jobs.entrant import digest
from routebench.jobs.finished import Result
from routebench.jobs.plan import LongestFirst
from routebench.jobs.setup import Job
from routebench.redact import one_line

LOSSES = 3
"""How often a job is begun again whose worker or node was lost."""


class RayExecutor:
    """Run jobs on the nodes of a Ray cluster, or on a local one that it starts.

    A job counts as begun when it is handed to Ray. Of a lost worker or node the jobs are begun
    again; a router that fails is not. Nodes must have the run's versions and code.
    """

    def __init__(self, context: ExecutorContext) -> None:
        import ray

        self._context = context
        self._ray = ray
        self._own = not ray.is_initialized()
        if self._own:
            _connect(context.address)
        self._shipments: dict[tuple[int, bool], Any] = {}
        self._running: dict[Any, Job] = {}
        self._lost: dict[str, int] = {}
        self._queue = LongestFirst(())
        self._waiting = 0

    def submit(self, jobs: Sequence[Job]) -> None:
        """Note the jobs; they are handed to Ray as it takes them."""
        self._queue = LongestFirst(jobs)
        self._waiting = len(jobs)

    def results(self) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, in order of completion."""
        self._fill()
        while self._running:
            (done,), _ = self._ray.wait(list(self._running), num_returns=1)
            job = self._running.pop(done)
            result = self._result(done, job)
            self._fill()
            if result is not None:
                yield job, result

    def cancel(self) -> None:
        """End the tasks that run, and the connection that was made for this run."""
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._running.clear()
        self._shipments.clear()
        if self._own:
            self._ray.shutdown()
        self._context.workers.stop()

    def _fill(self) -> None:
        """Hand jobs over: twice as many as there are CPUs, so that no node waits for one."""
        cpus = int(self._ray.cluster_resources().get("CPU", 1))
        most = self._context.at_a_time or max(2 * cpus, 2)
        while self._waiting and len(self._running) < most:
            self._waiting -= 1
            job = self._queue.next()
            self._context.began(job)
            self._start(job)

    def _start(self, job: Job) -> None:
        setup = self._context.setup
        kind = shipped.kind(job)
        if kind not in self._shipments:
            self._shipments[kind] = self._ray.put(self._shipment(*kind))
        expected = shipped.environment(job, setup.encoder)
        hints: dict[str, Any] = dict(job.resources)
        if "memory" in hints:
            hints["memory"] = int(hints["memory"])  # Ray takes whole bytes
        options: dict[str, Any] = {"num_cpus": hints.pop("num_cpus", 1), "max_retries": 0}
        options |= {"num_gpus": 1} if setup.device != "cpu" else {}
        task = self._ray.remote(_task()).options(
            name=f"{job.label} seed {job.seed} fold {job.fold}", **options | hints
        )
        # In lists they are not unpacked before the versions have been compared.
        content = [self._shipments[kind], self._ray.put(job)]
        self._running[task.remote(expected, setup.encoder, content)] = job

    def _shipment(self, fold: int, tested: bool) -> Shipment:
        setup, workers = self._context.setup, self._context.workers
        vectors = None if setup.encoded is None else shipped.pack(setup.encoded.store)
        isolation = "fork" if workers.warm else "spawn"
        key = digest([os.urandom(8).hex(), fold, tested])
        made = shipped.of_fold(setup, fold, tested)
        return Shipment(key, made, vectors, workers.protected, isolation)

    def _result(self, task: Any, job: Job) -> Result | None:
        """Return the result of an ended task; None where its worker was lost: it begins again."""
        from ray import exceptions

        try:
            returned = self._ray.get(task)
        except exceptions.RayTaskError as error:
            raise _from_task(error) from error
        except exceptions.RayError as error:
            self._lost[job.id] = self._lost.get(job.id, 0) + 1
            if self._lost[job.id] <= LOSSES:
                self._start(job)
                return None
            why = f"its worker was lost {LOSSES + 1} times: {type(error).__name__}"
            return self._kept(job, Result("failed", why, log=f"\n{error}"))
        if isinstance(returned, str):
            raise OptionError(
                f"--executor ray: {returned}", "nodes need the run's versions and code"
            )
        self._queue.ended(job, returned.seconds)
        if returned.state != "ok":
            return self._kept(job, Result(returned.state, returned.message, log=returned.log))
        self._context.finished.receive(job, returned.files)
        result = self._context.finished.load(job)
        return result or self._kept(job, Result("failed", "what a node sent back is damaged"))

    def _kept(self, job: Job, result: Result) -> Result:
        self._context.finished.save(job, result, None)
        return result


def _task() -> Any:
    """Return the function of a task. It is sent as code: a node without RouteBench can say so."""

    def routebench_job(expected: Any, encoder: str, content: Any) -> Any:
        import platform

        import ray

        try:
            from routebench.executors import node
        except ImportError as error:
            return f"{platform.node()} has no RouteBench of this version: {error}"
        shipment, job = None, ray.get(content[1])
        if different := node.differing(expected, job, encoder):
            return different
        shipment = ray.get(content[0])
        return node.run(shipment, job)

    return routebench_job


def _connect(address: str) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address or None, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # of many kinds: no cluster there, other versions of Python or Ray
        why = one_line(str(error), 300)
        raise OptionError(
            f"--executor ray{':' if address else ''}{address}: no cluster can be used there: {why}",
            "ray:auto, ray:HOST:6379, or ray alone for this machine",
        ) from error


def _from_task(error: Any) -> RoutebenchError:
    cause = getattr(error, "cause", None)
    text = one_line(str(cause or error).strip().splitlines()[-1], 300)
    return RoutebenchError(f"--executor ray: a node could not run a job: {text}")
