"""Judges, observers and broken plugins in whole runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import hears_ctrl_c, planted, rows
from runs import apart

from routebench.isolation.messages import DescribeRequest

TROUBLE = Path(__file__).with_name("troublemakers.py")

Put = Callable[[pa.Table], Path]
Board = Callable[..., dict[str, Any]]
Main = Callable[..., tuple[int, str, str]]
Distribution = Callable[..., Path]


def test_a_judge_grades_answers_without_scores(
    board: Board, write: Put, distribution: Distribution
) -> None:
    distribution(
        "echo-judge",
        "[routebench.judges]\necho = echo_judge:Plugin\n",
        textwrap.dedent("""
        import numpy as np
        from pydantic import BaseModel
        from routebench import Grades, State, hookimpl

        class Plugin:
            class Options(BaseModel):
                pass

            def __init__(self, options):
                self.options = options

            @hookimpl
            def judge(self, references, answers):
                score = np.array([float(a == r) for a, r in zip(answers, references)])
                return Grades(score, np.full(len(score), State.OK))
        """),
    )
    table = planted(200)
    right = table["score"].to_pylist()
    answers = ["yes" if score else "no" for score in right]
    table = table.drop_columns("score").append_column("response", pa.array(answers))
    table = table.append_column("reference", pa.array(["yes"] * len(answers)))
    done = board("--suite", f"table:{write(table)}", "--router", "best-single", "--judge", "echo")
    counted = done["diagnostics"]["pool"]["a"]["all"]["accuracy"]
    assert counted == pytest.approx(sum(right[0::4]) / len(right[0::4]))


def test_observers_are_told_and_a_broken_one_breaks_nothing(
    main: Main, write: Put, distribution: Distribution, tmp_path: Path
) -> None:
    diary = tmp_path / "diary.txt"
    distribution(
        "diary",
        "[routebench.extensions]\ndiary = diary:Plugin\n",
        textwrap.dedent(f"""
        from pydantic import BaseModel
        from routebench import hookimpl

        def note(text):
            with open({str(diary)!r}, "a") as stream:
                print(text, file=stream)

        class Plugin:
            class Options(BaseModel):
                pass

            def __init__(self, options):
                self.options = options

            @hookimpl
            def run_started(self, config, data):
                note(f"started with {{len(data)}} queries of {{config['suite'][:6]}}")

            @hookimpl
            def job_finished(self, router, seed, fold, state, message):
                note(f"{{router}} {{seed}} {{fold}} {{state}} {{message[:22]}}")

            @hookimpl
            def run_finished(self, board, folder):
                note(f"finished with {{len(board['rows'])}} rows in {{folder.name}}")
        """),
    )
    broken = """
        from pydantic import BaseModel
        from routebench import hookimpl

        class Plugin:
            class Options(BaseModel):
                pass

            def __init__(self, options):
                self.options = options

            @hookimpl
            def run_finished(self, board):
                raise RuntimeError("tracker is down")
        """
    entry = "[routebench.extensions]\nbroken = broken:Plugin\nabsent = nowhere:Plugin\n"
    distribution("broken", entry, textwrap.dedent(broken))
    routers = f"best-single,{TROUBLE}:Raises"
    words = ("--suite", f"table:{write(planted(200))}", "--router", routers, "--jobs", 1)
    code, _, said = main("run", *words, "--out", tmp_path / "out")
    assert code == 1
    assert "extension broken failed in run_finished: RuntimeError: tracker is down" in said
    assert "extension absent is left out" in said
    # What there is to gain is said before any router runs.
    assert 0 < said.index("headroom") < said.index("2 jobs")
    assert diary.read_text().splitlines() == [
        "started with 200 queries of table:",
        "Raises 0 0 failed fit: ValueError: no id",
        "best-single 0 0 ok ",
        "finished with 2 rows in out",
    ]
    quiet = ("--router", "best-single", "--quiet", "--out", tmp_path / "quiet")
    _, _, said = main("run", *words[:2], *quiet)
    assert sorted(line.split(":")[0] for line in said.splitlines()) == [
        "extension absent is left out",
        "extension broken failed in run_finished",
    ]


def test_a_plugin_that_hangs_at_import_costs_its_own_row(
    board: Board, write: Put, distribution: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "[routebench.routers]\nsleeper = sleeper:Router\n"
    distribution("sleeper", entry, "import time\ntime.sleep(1000)\n")
    apart(monkeypatch, DescribeRequest, "sleeper")
    words = ("--suite", f"table:{write(planted(200))}", "--job-timeout", 2)
    done = rows(board(*words, "--router", "sleeper,best-single", rc=1))
    assert done["sleeper"]["state"] == "failed"
    assert "no end within the time limit" in done["sleeper"]["message"]
    assert done["best-single"]["state"] == "ok"


def test_ctrl_c_ends_a_router_that_hangs_at_import(write: Put, tmp_path: Path) -> None:
    sleeps = "import time\nopen('asleep', 'w').close()\ntime.sleep(1000)\n"
    (tmp_path / "sleeper.py").write_text(sleeps)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "routebench", "run", "--suite", f"table:{write(planted(200))}",
         "--router", "sleeper.py:Router", "--out", "never"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=hears_ctrl_c, env=os.environ | {"TMPDIR": str(scratch)},
    )  # fmt: skip
    with process:
        while process.poll() is None and not asleep(scratch):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert not (tmp_path / "never").exists()


def asleep(folder: Path) -> bool:
    """Say whether the router has gone to sleep, while folders come and go."""
    return any("asleep" in names for _, _, names in os.walk(folder))
