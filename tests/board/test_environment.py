"""What a board says of the machines and the confinement of its jobs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from routebench import config
from routebench.board import write_run
from routebench.jobs import footprint
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup
from routebench.plugin.discovery import PluginInfo

PLUGIN = PluginInfo("router", "one", "some:One", None, None)


def environment(*results: Result) -> dict[str, Any]:
    jobs = {Job("one", PLUGIN, {}, 0, fold, ""): one for fold, one in enumerate(results)}
    setup = cast(Setup, SimpleNamespace(device="cpu"))
    options = config.make({"suite": "table:x.csv", "router": ["one"]})
    return write_run.environment(options, setup, jobs, None)


def test_a_job_that_failed_does_not_count_as_unconfined() -> None:
    """It says `none` where it ended before it could say anything."""
    good = Result("ok", isolation="landlock, namespaces")
    assert environment(good, Result("failed", "x"))["isolation"] == ["landlock, namespaces"]
    assert environment(Result("failed", "x"))["isolation"] == []


def test_jobs_of_two_machines() -> None:
    here = footprint.machine()
    there = here | {"cpus": 7, "packages": here["packages"] | {"numpy": "1.0"}, "blas": ["mine 1"]}
    both = environment(Result("ok", machine=here), Result("ok", machine=there))
    numbers = sorted([str(here["cpus"]), "7"])
    assert both["cpus"] == "; ".join(numbers)
    assert both["python"] == here["python"]
    assert both["packages"]["numpy"] == "; ".join(sorted([here["packages"]["numpy"], "1.0"]))
    assert both["blas"] == sorted({*here["blas"], "mine 1"})


def test_a_job_of_which_nothing_is_known() -> None:
    assert environment(Result("ok"))["cpus"] == footprint.machine()["cpus"]
