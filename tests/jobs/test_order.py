"""The order in which jobs start, and the results of jobs that stand for several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from conftest import planted
from runs import finish, put

from routebench.board.checkpoint.of_run import _place
from routebench.board.run_folder import read
from routebench.jobs import plan
from routebench.jobs.finished import Result
from routebench.jobs.pool import LongestFirst
from routebench.jobs.setup import Job
from routebench.plugin import discovery


def job(label: str, fold: int = 0, seed: int = 0, **more: Any) -> Job:
    return Job(label, discovery.find("router", "random"), {}, seed, fold, "", **more)


def test_the_longest_job_starts_first() -> None:
    jobs = [job("a", effort=1.0), job("b", effort=9.0), job("c", effort=3.0)]
    queue = LongestFirst(jobs)
    assert [queue.next().label for _ in jobs] == ["b", "c", "a"]


def test_one_of_which_nothing_is_known_comes_before_all_others() -> None:
    jobs = [job("long", effort=99.0), job("new", 0), job("new", 1)]
    queue = LongestFirst(jobs)
    assert queue.next().label == "new"
    queue.ended(jobs[1], 0.2)
    assert [queue.next().label for _ in range(2)] == ["long", "new"]


def test_what_was_measured_counts_more_than_what_was_said() -> None:
    jobs = [job(label, fold, effort=e) for label, e in (("a", 5.0), ("b", 4.0)) for fold in (0, 1)]
    queue = LongestFirst(jobs)
    assert queue.next() is jobs[0]
    queue.ended(jobs[0], 0.1)
    assert [queue.next() for _ in range(3)] == [jobs[2], jobs[3], jobs[1]]


def test_a_result_for_all_seeds_is_that_of_each() -> None:
    one, two = job("a", all_seeds=True), job("b", seed=1)
    results = {one: Result("ok", note="one"), two: Result("ok", note="two")}
    made = plan.by_seed(results, 3)
    assert [(j.label, j.seed, r.note) for j, r in made.items()] == [
        ("a", 0, "one"), ("a", 1, "one"), ("a", 2, "one"), ("b", 1, "two"),
    ]  # fmt: skip
    assert one in made
    assert two in made


def test_a_deterministic_router_is_trained_once(tmp_path: Path) -> None:
    """Its row and its decisions are there for every seed, and so is its checkpoint."""
    suite = put(tmp_path / "data", planted(200))
    run = finish(tmp_path / "run", suite=suite, router=["best-single", "random"], seeds=3)
    board = read(run)
    rows = {row.router: row for row in board.rows}
    assert rows["best-single"].deterministic
    assert not rows["random"].deterministic
    assert rows["best-single"].seeds == rows["random"].seeds == [0, 1, 2]
    folders = sorted(path.parent.name for path in (run / "routers").glob("best-single/*/fold-0"))
    assert folders == ["seed-0"]
    for seed in range(3):
        place = _place(run, board, "best-single", seed, 0)
        assert place == run / "routers" / "best-single" / "seed-0" / "fold-0"
    table = pq.read_table(run / "decisions.parquet").to_pydict()
    routers, seeds = np.array(table["router"]), np.array(table["seed"])
    counts = [int(((routers == "best-single") & (seeds == seed)).sum()) for seed in range(3)]
    assert counts[0] > 0
    assert counts == [counts[0]] * 3
    assert "deterministic" not in rows["random"].model_dump()
