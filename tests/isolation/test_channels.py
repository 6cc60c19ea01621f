"""Nothing passes from one job to another, or from outside to a job, but through the harness."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import channel_servers
import channels
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import noise, read_board, real, rows
from runs import put

from routebench.isolation.landlock import landlock_abi
from routebench.records import Queries

CARRIERS = (
    "InFileNames",
    "InSharedMemory",
    "InPosixSharedMemory",
    "ByADaemon",
    "InLocks",
    "InKeys",
    "InTmp",
    "InNamesAskedFor",
)
ON_FILES = ("InTimes", "InModes", "InAttributes", "InAccessTimes")
INFORMED = ("ByTcp", "ByTcpQuietly", "ByUdp", "ByUnixSocket", "ByAbstractSocket", "ByPipe")
COPIES = ("BySidecar", "ByCopyOfTable", "ByHardLink", "ByOlderRun", "ByClone")
CAUGHT = {"InFileNames": "tried to read the run's own data"}
"""What Python's own functions give away: the row fails though the error is swallowed."""

BY_CALL = ("InLocks", "ByUnixSocket")
"""What only a filter of system calls stops."""
BY_READING = ("InAccessTimes",)
"""What only mounts of the job's own stop."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or landlock_abi() < 1, reason="no kernel that confines a process"
)


def answers(path: Path) -> dict[str, int]:
    """Return the best model of every text, as `channels` hands it on."""
    best: dict[str, tuple[float, str]] = {}
    table = pq.read_table(path).to_pylist()
    models = sorted({row["model"] for row in table})
    for row in table:
        text = channels.digest(row["query"])
        best[text] = max(best.get(text, (-1.0, "")), (row["score"], row["model"]))
    return {text: models.index(model) for text, (_, model) in best.items()}


def copies(here: Path, known: dict[str, int], table: Path) -> dict[str, str]:
    """Leave the answers wherever an author could have a copy; return the places."""
    places = {
        "sidecar": here / "routers" / "known.json",
        "beside the table": table.parent / "known.json",
        "older run": here / "elsewhere" / "cells.json",
        "git": here / "checkout" / ".git" / "objects",
        "hard link": here / "linked" / "known.json",
    }
    original = table.parent / "original.json"
    original.write_text(json.dumps(known))
    for kind, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "hard link":
            os.link(original, place)
        else:
            shutil.copy(original, place)
    (here / "checkout" / "package").mkdir()
    (here / "checkout" / "package" / "__init__.py").touch()
    for number in range(channels.MARKED):
        (here / "checkout" / "package" / f"module_{number}.py").write_text("x")
    return {kind: str(place) for kind, place in places.items()}


NO_NAMESPACES = "import routebench.isolation.namespaces as it; it.enter = lambda *_: False"


@pytest.fixture(
    scope="module",
    params=[
        "fork",
        pytest.param("spawn", marks=pytest.mark.slow),
        pytest.param("fork without namespaces", marks=pytest.mark.slow),
    ],
)
def board(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Return the board of all of them in one run of three folds, on coin flips."""
    here = tmp_path_factory.mktemp("channels")
    suite = put(here / "data", noise())
    table = Path(suite.removeprefix("table:"))
    known = answers(table)
    (here / "routers").mkdir()
    file = Path(shutil.copy(Path(channels.__file__), here / "routers"))
    written = "#" + json.dumps(copies(here, known, table))
    (here / "routers" / "places_of_copies.py").write_text(written)
    places, servers = channel_servers.serve(known, here)
    out = here / "out"
    options: list[Any] = ["--set", f"InFileNames.place={here}"]
    options += ["--set", f"InNamesAskedFor.place={out}"]
    for name in ON_FILES:
        options += ["--set", f"{name}.place={here / 'checkout' / 'package'}"]
    for name, place in places.items():
        options += ["--set", f"{name}.place={place}"]
    names = (*CARRIERS, *ON_FILES, *INFORMED, *COPIES)
    isolation, _, less = request.param.partition(" ")
    if less:
        (here / "checkout" / "sitecustomize.py").write_text(NO_NAMESPACES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(here / "checkout"))
        done = real(
            "run", "--quiet", "--suite", suite, "--folds", 3, "--perturb", 0, "--out", out,
            "--router", ",".join(f"{file}:{name}" for name in names),
            "--isolation", isolation, *options, cwd=here,
        )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    board = read_board(out)
    assert not less or "namespaces" not in str(board["environment"]["isolation"])
    yield board
    for server in servers:
        server.close()


@pytest.mark.parametrize("name", [*CARRIERS, *ON_FILES, *INFORMED, *COPIES])
def test_no_answer_passes(board: dict[str, Any], name: str) -> None:
    """Who knew every answer would reach .94 here; who guesses reaches .5."""
    assert board["references"]["oracle"]["accuracy"]["value"] > 0.9
    row = rows(board)[name]
    if name in BY_CALL and "seccomp" not in str(board["environment"]["isolation"]):
        pytest.skip("no libseccomp here")
    if name in BY_READING and "namespaces" not in str(board["environment"]["isolation"]):
        pytest.skip("no namespaces here")
    if name in CAUGHT:
        assert row["state"] == "failed"
        assert CAUGHT[name] in row["message"]
    else:
        assert row["state"] == "ok", row["message"]
        assert row["metrics"]["accuracy"]["value"] < 0.6


def test_without_the_firewall_they_pass(tmp_path: Path) -> None:
    """In this process, where nothing is confined, the same classes find what was left."""
    known = answers(Path(put(tmp_path / "data", noise()).removeprefix("table:")))
    places, servers = channel_servers.serve(known, tmp_path)
    for name in INFORMED:
        router = getattr(channels, name)(channels.Options(place=places[name]))
        assert router.receive() == known, name
    for server in servers:
        server.close()
    (tmp_path / "left").mkdir()
    for name in ("InFileNames", "InSharedMemory", "InPosixSharedMemory", "InTmp"):
        router = getattr(channels, name)(channels.Options(place=str(tmp_path)))
        router.send(known)
        router.save(tmp_path / "left")
        assert router.receive() == known, name
    libc = ctypes.CDLL(None)
    libc.shmctl(libc.shmget(channels.KEY, 0, 0), 0, None)
    Path(channels.MEMORY).unlink()
    Path(channels.InTmp.place.decode()).unlink()
    holder = channels.InLocks(channels.Options())
    holder.send(known)
    with pytest.raises(AssertionError, match="locks are seen"):
        channels.InLocks(channels.Options()).receive()
    for stream in holder.held:
        stream.close()
    assert np.mean(list(known.values())) > 0


def test_marks_on_files_pass_without_the_firewall(tmp_path: Path) -> None:
    """Which texts are told apart by files that two of them share is left open."""
    texts = np.array([f"text {number}" for number in range(50)], dtype=object)
    known = {channels.digest(text): number % channels.MODELS for number, text in enumerate(texts)}
    for number in range(channels.MARKED):
        (tmp_path / f"module_{number}.py").write_text("x")
    for name in (*ON_FILES, "InNamesAskedFor"):
        router = getattr(channels, name)(channels.Options(place=str(tmp_path)))
        router.send(known)
        if name == "InNamesAskedFor":
            job = tmp_path / "routers" / name / "seed-0" / "fold-0" / "checkpoint" / "state"
            job.mkdir(parents=True)
            router.save(job)
        right = router.route(Queries(texts)).choice == list(known.values())
        if name in ("InAttributes", "InAccessTimes") and right.mean() < 0.5:
            continue  # a file system without attributes, or without times of access
        assert right.mean() > 0.9, name
