"""Jobs on a Ray cluster of two nodes: the board of this machine, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import planted
from runs import SMALL, put

from routebench import config, pipeline
from routebench.board import run_folder
from routebench.errors import OptionError
from routebench.executors import on_ray, shipped

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TROUBLE = Path(__file__).parents[1] / "troublemakers.py"
SLOW = {"Constant": {"seconds": 1.5}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Return a cluster of two nodes with a CPU each, that this process is connected to."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with data, and the run on this machine."""
    place = tmp_path_factory.mktemp("rayed")
    put(place / "data", planted(120))
    pipeline.run(chosen(place, "local"), pipeline.RunListener())
    return place


def chosen(here: Path, name: str, **more: Any) -> config.RunConfig:
    routers = ["knn", "random", f"{TROUBLE}:Constant", f"{TROUBLE}:Raises"]
    suite = f"table:{here / 'data' / 'outcomes.parquet'}"
    given = {"suite": suite, "router": routers, "folds": 3, "perturb": 4, "set": SMALL | SLOW}
    return config.make(given | {"out": str(here / name), **more})


def timeless(folder: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads((folder / run_folder.BOARD).read_text())
    return {name: value for name, value in board.items() if name not in ("environment", "timing")}


def workers() -> list[int]:
    """Return the processes that run a job for Ray."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                words = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(b"ray::Constant"):
                found.append(int(place.name))
    return found


class Kills(pipeline.RunListener):
    """Kills a worker in the middle of a job, then a node."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.killed: list[int] = []
        self.begun: list[tuple[str, int]] = []
        self._thread = threading.Thread(target=self._kill)

    def planned(self, *_: Any) -> None:
        self._thread.start()

    def _kill(self) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and not self.killed:
            for pid in workers():
                os.kill(pid, signal.SIGKILL)
                self.killed.append(pid)
                break
            time.sleep(0.05)
        node = next(node for node in self.cluster.list_all_nodes() if not node.is_head())
        self.cluster.remove_node(node, allow_graceful=False)

    def began(self, job: Any) -> None:
        self.begun.append((job.label, job.fold))


def test_the_board_is_that_of_this_machine_though_a_worker_and_a_node_die(
    cluster: Any, here: Path
) -> None:
    watched = Kills(cluster)
    pipeline.run(chosen(here, "rayed", executor="ray"), watched)
    assert watched.killed
    assert sorted(watched.begun) == sorted(set(watched.begun))
    assert len(cluster.list_all_nodes()) == 1
    assert timeless(here / "rayed") == timeless(here / "local")
    failed = [row for row in timeless(here / "rayed")["rows"] if row["state"] == "failed"]
    assert [row["router"] for row in failed] == ["Raises"]
    assert "no idea what to do" in failed[0]["message"]


def test_a_run_whose_driver_was_killed_goes_on(cluster: Any, here: Path) -> None:
    out = here / "killed"
    words = ["run", "--file", here / "local" / "run.toml", "--out", out, "--quiet"]
    words += ["--executor", f"ray:{cluster.address}", "--router", f"knn,random,{TROUBLE}:Constant"]
    driver = subprocess.Popen([sys.executable, "-m", "routebench", *map(str, words)])
    try:
        until = time.monotonic() + 120
        while not (kept := list(out.glob("routers/*/*/.fold-*-done-*/job.json"))):
            if time.monotonic() > until:
                raise TimeoutError("no job was kept in two minutes")
            assert driver.poll() is None
            time.sleep(0.05)
    finally:
        driver.kill()
        driver.wait()
    assert not (out / run_folder.BOARD).exists()
    before = [path.read_bytes() for path in kept]
    routers = ["knn", "random", f"{TROUBLE}:Constant"]

    class Watched(pipeline.RunListener):
        kept = 0

        def jobs(self, total: int, done: int, folder: Path) -> None:
            Watched.kept = done

    pipeline.run(chosen(here, "killed", executor="ray", router=routers), Watched())
    assert Watched.kept >= len(kept)
    after = [path.read_bytes() for path in out.glob("routers/*/*/fold-*/job.json")]
    assert set(before) <= set(after)
    done = {row["router"]: row["metrics"] for row in timeless(out)["rows"]}
    local = {row["router"]: row["metrics"] for row in timeless(here / "local")["rows"]}
    assert done["knn"]["accuracy"] == local["knn"]["accuracy"]


def test_a_worker_that_is_lost_again_and_again_fails_its_row_alone(
    cluster: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def task() -> Any:
        inner = real()

        def deadly(expected: Any, encoder: str, content: Any) -> Any:
            import os
            import signal

            import ray

            if ray.get(content[1]).label == "random":
                os.kill(os.getpid(), signal.SIGKILL)
            return inner(expected, encoder, content)

        return deadly

    real = on_ray._task
    monkeypatch.setattr(on_ray, "_task", task)
    monkeypatch.setattr(on_ray, "LOSSES", 1)
    routers = ["knn", "random"]
    pipeline.run(
        chosen(here, "lost", executor="ray", router=routers, folds=None, set=SMALL),
        pipeline.RunListener(),
    )
    states = {row["router"]: row for row in timeless(here / "lost")["rows"]}
    assert states["knn"]["state"] == "ok"
    assert "its worker was lost 2 times" in states["random"]["message"]


def test_nodes_with_other_versions_are_one_error(
    cluster: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shipped.environment

    def older(job: Any, encoder: str) -> dict[str, str]:
        return real(job, encoder) | {"routebench": "0.0.9"}

    monkeypatch.setattr(shipped, "environment", older)
    with pytest.raises(OptionError, match="as routebench, the run has"):
        pipeline.run(
            chosen(here, "other", executor="ray", router=["random"], set=SMALL),
            pipeline.RunListener(),
        )
