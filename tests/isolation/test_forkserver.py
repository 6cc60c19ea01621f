"""Warm processes: what they hold, how they end, and what happens when their server does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from routebench.isolation import forkserver
from routebench.isolation.forkserver import ForkedProcess, ForkServer, ServerEndedError
from routebench.isolation.messages import Access, DescribeReply, DescribeRequest
from routebench.isolation.subprocesses import Workers, default_workers, warm_workers
from routebench.plugin import discovery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(TESTS)]))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    with closing(ForkServer("forked", tmp_path)) as started:
        yield started


def start(server: ForkServer, folder: Path, **variables: str) -> tuple[ForkedProcess, Any]:
    """Return a process and what it says of itself."""
    folder.mkdir(exist_ok=True)
    with (folder / "log").open("w") as log:
        process = server.start(folder, variables, log)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def tell(process: ForkedProcess, order: str) -> None:
    assert process.stdin is not None
    print(order, file=process.stdin, flush=True)


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true; give up on what never will be."""
    late = time.monotonic() + 300
    while not true():
        if time.monotonic() > late:
            pytest.fail("waited for five minutes")
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_process_has_its_own_and_nothing_else(server: ForkServer, tmp_path: Path) -> None:
    """Also while others are running, whose pipes the server has handed on."""
    first, one = start(server, tmp_path / "one", SECRET="first")
    second, two = start(server, tmp_path / "two", OTHER="second")
    assert one["variables"] == {"SECRET": "first"}
    assert two["variables"] == {"OTHER": "second"}
    assert (one["folder"], two["folder"]) == (str(tmp_path / "one"), str(tmp_path / "two"))
    assert one["descriptors"] == two["descriptors"] == [0, 1, 2]
    assert one["threads"] == one["server_threads"] == 1
    assert one["writable_shared_memory"] == []
    assert one["drawn"] != two["drawn"], "copies of one generator would draw the same"
    for process in (first, second):
        with process:
            tell(process, "end")
            assert process.wait(60) == 7


def test_errors_are_in_the_log(server: ForkServer, tmp_path: Path) -> None:
    process, _ = start(server, tmp_path / "one")
    with process:
        tell(process, "fail")
        assert process.wait(60) == 1
    assert "ValueError: as told" in (tmp_path / "one" / "log").read_text()


def test_what_a_process_has_started_ends_with_it(server: ForkServer, tmp_path: Path) -> None:
    process, about = start(server, tmp_path / "one")
    with process:
        tell(process, "child")
        started = tmp_path / "one" / "child"
        until(lambda: started.exists() and bool(started.read_text()))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    until(lambda: not alive(int(started.read_text())) and not alive(about["pid"]))


def test_a_library_is_imported_once_for_all(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "slow_library.py").write_text("open('imported', 'a').write('once ')\n")
    (tmp_path / "broken_library.py").write_text("raise RuntimeError\n")
    with (
        closing(ForkServer("forked", tmp_path, server, "broken_library")) as broken,
        closing(ForkServer("forked", tmp_path, broken, "slow_library")) as warm,
    ):
        for name in ("one", "two"):
            process, about = start(warm, tmp_path / name)
            assert "slow_library" in about["modules"]
            assert "broken_library" not in about["modules"]
            assert about["descriptors"] == [0, 1, 2]
            assert about["server_threads"] == 1
            with process:
                tell(process, "end")
        process, plain = start(server, tmp_path / "three")
        assert "slow_library" not in plain["modules"]
        with process:
            tell(process, "end")
    (place,) = tmp_path.glob("server-*/imported")
    assert place.read_text() == "once "


@pytest.mark.parametrize("library", ["sklearn.utils.extmath", "torch"])
def test_libraries_leave_nothing_that_two_jobs_could_share(
    server: ForkServer, tmp_path: Path, library: str
) -> None:
    """No open file, and no memory that a job could write and the next one read."""
    pytest.importorskip(library)
    with closing(ForkServer("forked", tmp_path, server, library)) as warm:
        process, about = start(warm, tmp_path / "one", PYTHONPATH=os.environ["PYTHONPATH"])
        assert library in about["modules"]
        assert about["descriptors"] == [0, 1, 2]
        assert about["writable_shared_memory"] == []
        with process:
            tell(process, "end")


def test_without_its_server_a_process_is_ended_and_none_starts(
    server: ForkServer, tmp_path: Path
) -> None:
    process, about = start(server, tmp_path / "one")
    with process:
        tell(process, "sleep")
        os.kill(about["server"], signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    until(lambda: not alive(about["pid"]))
    with pytest.raises(ServerEndedError):
        start(server, tmp_path / "two")


def test_a_kill_at_once_is_not_lost(tmp_path: Path) -> None:
    """Before a process leads a group of its own, no signal to the group reaches it."""
    slow = "import os, time\nlead = os.setsid\nos.setsid = lambda: (time.sleep(0.5), lead())\n"
    (tmp_path / "sitecustomize.py").write_text(slow)
    with (
        closing(ForkServer("forked", tmp_path)) as server,
        (tmp_path / "log").open("w") as log,
        server.start(tmp_path, {}, log) as process,
    ):
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


def test_a_server_that_cannot_fork_refuses_and_goes_on(tmp_path: Path) -> None:
    fails = "import os\nfork, times = os.fork, iter([0, 1])\n"
    fails += "def second():\n    if next(times, 0):\n        raise OSError('no more')\n"
    fails += "    return fork()\nos.fork = second\n"
    (tmp_path / "sitecustomize.py").write_text(fails)
    with closing(ForkServer("forked", tmp_path)) as server:
        first, _ = start(server, tmp_path / "one")
        with pytest.raises(ServerEndedError):
            start(server, tmp_path / "two")
        third, _ = start(server, tmp_path / "three")
        for process in (first, third):
            with process:
                tell(process, "end")
                assert process.wait(60) == 7


@pytest.mark.parametrize(
    ("isolation", "device", "warm"),
    [("fork", "cpu", True), ("spawn", "cpu", False), ("fork", "cuda", False)],
)
def test_which_runs_are_warm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str, device: str, warm: bool
) -> None:
    with warm_workers(tmp_path, isolation, device) as workers:
        assert bool(workers._servers) == warm

    def refused(pid: int) -> int:
        raise OSError("by design")

    monkeypatch.setattr(os, "pidfd_open", refused)
    with warm_workers(tmp_path, isolation, device) as workers:
        assert not workers._servers, "nobody could watch for the end of a child"


def test_jobs_share_the_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a, MIG-2b")

    def visible(stack: ExitStack, workers: Workers, name: str) -> str | None:
        log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
        (tmp_path / name / "work").mkdir(parents=True)
        process = stack.enter_context(workers._started(tmp_path / name, log, Access(), ()))
        stack.callback(process.kill)
        place = Path(f"/proc/{process.pid}/environ")
        while not (told := place.read_text()):  # empty for a moment, while the program is loaded
            assert process.poll() is None
        words = told.split("\0")
        return dict(word.split("=", 1) for word in words if word)["CUDA_VISIBLE_DEVICES"]

    with warm_workers(tmp_path, "fork", "cuda") as workers, ExitStack() as all_of_them:
        with ExitStack() as ended:
            assert visible(ended, workers, "a") == "GPU-1a"
        assert visible(all_of_them, workers, "b") == "GPU-1a", "the first is free again"
        assert visible(all_of_them, workers, "c") == "MIG-2b"
        assert visible(all_of_them, workers, "d") == "GPU-1a", "more jobs than devices"
    with warm_workers(tmp_path, "fork", "cuda:1") as workers, ExitStack() as one:
        assert visible(one, workers, "e") == "GPU-1a, MIG-2b", "the job itself takes the second"
    assert (default_workers("cuda"), default_workers("cuda:1")) == (2, 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert default_workers("cuda") == 1


RUN = """
import sys, time
from pathlib import Path
from routebench.isolation.forkserver import ForkServer
folder = Path(sys.argv[1])
server = ForkServer("forked", folder)
with (folder / "log").open("w") as log:
    process = server.start(folder, {}, log)
print(process.stdout.readline(), end="", flush=True)
time.sleep(600)
"""


def test_no_server_outlives_its_run(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        about = json.loads(process.stdout.readline())
        process.kill()
    # The child reads on from its pipe, whose other end is gone: it ends, and so does the server.
    until(lambda: not alive(about["server"]) and not alive(about["pid"]))


def describe(workers: Workers, folder: Path, *libraries: str) -> Any:
    request = DescribeRequest("random", discovery.find("router", "random"), {}, "embedded")
    folder.mkdir()
    return workers.run(request, folder / "job", Access(), libraries=libraries).reply


def test_a_run_goes_on_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routebench.isolation.subprocesses._ENTRY", "not_there")
    with closing(Workers(tmp_path, warm=True)) as workers:
        monkeypatch.undo()
        assert isinstance(describe(workers, tmp_path / "one"), DescribeReply)


def test_only_known_libraries_are_imported_ahead(tmp_path: Path) -> None:
    """A plugin could name its own code, which would run where nothing confines it."""
    (tmp_path / "own_code.py").write_text("open('ran', 'w')\n")
    (scratch := tmp_path / "runs" / "one").mkdir(parents=True)
    with closing(Workers(scratch, warm=True)) as workers:
        assert isinstance(describe(workers, scratch / "job", "own_code", "scipy"), DescribeReply)
    assert list(workers._servers) == [(), ("scipy",)]
    assert not list(tmp_path.rglob("ran"))
    assert "datasets" not in forkserver.LIBRARIES
