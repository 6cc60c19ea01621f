"""Names from outside lead nowhere but to their own place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import SMALLER, planted, rows
from router_sources import ROUTER

from routebench import names
from routebench.errors import OptionError, PluginError
from routebench.plugin import discovery

Make = Callable[..., Path]
Main = Callable[..., tuple[int, str, str]]
Put = Callable[[pa.Table], Path]
OUTSIDE = ("../../x", "/tmp/x", "..", ".", "", "a/b", "a\\b", "a\0b", "-x", "x" * 101, "\u202eknn")


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    assert not names.is_name(name)
    assert not names.is_label(f"knn@{name}")
    with pytest.raises(OptionError, match="cannot name a file"):
        names.below(tmp_path, name)


def test_labels_and_names(tmp_path: Path) -> None:
    assert names.below(tmp_path, "knn@k-5") == tmp_path / "knn@k-5"
    assert names.is_name("hybrid_0.5")
    assert not names.is_label("a@b@c")


@pytest.mark.parametrize("name", ["../../x", "/ROOT/x"])
@pytest.mark.parametrize("asked", ["all", None])
def test_entry_points_that_lead_outside(
    name: str, asked: str | None, distribution: Make, main: Main, write: Put, tmp_path: Path
) -> None:
    name = name.replace("/ROOT", str(tmp_path))
    distribution("evil", f"[routebench.routers]\n{name} = evil:Alpha\n", ROUTER)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "precious").touch()
    before = {path for path in tmp_path.rglob("*") if "data" not in path.parts}
    out = tmp_path / "out" / "run"
    words = ("--suite", f"table:{write(planted(60))}", "--router", asked or name, "--out", out)
    code, _, err = main("run", "--quiet", *words)
    assert code == 2
    assert f"evil offers a router named {name!r}" in err
    assert "pip uninstall evil" in err
    after = {path for path in tmp_path.rglob("*") if "data" not in path.parts}
    assert after - before <= {tmp_path / "here"}
    assert (tmp_path / "x" / "precious").exists()


def test_commands_that_no_file_may_be_called(distribution: Make, main: Main) -> None:
    distribution("evil", "[routebench.commands]\n\x1b[31mred = evil:Alpha\n", ROUTER)
    code, out, _ = main("--help")
    assert code == 0
    assert "red" not in out.split()
    assert "\x1b" not in out


def test_the_name_of_a_built_in_is_taken(
    distribution: Make, main: Main, write: Put, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(ROUTER + "class knn(Alpha):\n    pass\n")
    words = ("run", "--quiet", "--suite", f"table:{write(planted(60))}", "--router")
    code, _, err = main(*words, f"{mine}:knn")
    assert code == 2
    assert "'knn' is the name of an installed router" in err
    assert "name the class in mine.py otherwise" in err
    distribution("evil", "[routebench.routers]\nknn = evil:Alpha\n", ROUTER)
    for asked in ("knn", "all"):
        code, _, err = main(*words, asked)
        assert code == 2
        assert "router 'knn' is offered by evil and routebench" in err
    with pytest.raises(PluginError, match="name of an installed router"):
        discovery.find("router", f"{mine}:knn")


KEEPS = """
import os, time
import numpy as np
from pydantic import BaseModel
from routebench import Decisions, hookimpl

class Keeps:
    '''Learns in three steps, and keeps how far it came.'''
    class Options(BaseModel):
        pass
    def __init__(self, options):
        self.options = options
        self.learnt = []
    @hookimpl
    def fit(self, train, context):
        place = context.kept / "steps"
        before = place.read_text().split() if place.exists() else []
        resumed = bool(before)
        for step in range(len(before), 3):
            before.append(str(step))
            place.write_text(" ".join(before))
            if not resumed and step == 1:
                time.sleep(600)
        self.learnt = [len(before), resumed]
    @hookimpl
    def route(self, queries):
        return Decisions(np.zeros(len(queries), dtype=int))
    def facts(self):
        return {"resumed": str(self.learnt)} if self.learnt else {}
    def save(self, folder):
        folder.mkdir(exist_ok=True)
    def load(self, folder):
        pass
"""


def test_a_killed_job_goes_on_from_what_it_kept_below_a_relative_folder(
    write: Put, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(KEEPS)
    words = [
        sys.executable, "-m", "routebench", "run", "--suite", f"table:{write(planted(60))}",
        "--router", "mine.py:Keeps", "--out", "somewhere/run", "--quiet", "--json", *SMALLER,
    ]  # fmt: skip
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    job = tmp_path / "somewhere" / "run" / "routers" / "Keeps" / "seed-0"
    kept = ".fold-0-begun-*/kept/steps"
    with process:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if [steps.read_text() for steps in job.glob(kept)] == ["0 1"]:
                break
            time.sleep(0.05)
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert [steps.read_text() for steps in job.glob(kept)] == ["0 1"]
        os.kill(process.pid, signal.SIGKILL)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    board: dict[str, Any] = json.loads(done.stdout)
    assert rows(board)["Keeps"]["facts"]["resumed"] == "[3, True]"
