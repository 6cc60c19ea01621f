"""The import contracts of pyproject.toml: they hold, and a violation breaks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import routebench

ROOT = Path(__file__).parents[1]
PACKAGE = Path(routebench.__file__).parent
LINT = "from importlinter.cli import lint_imports_command as main; main()"


def lint(folder: Path) -> tuple[int, str]:
    """Check the contracts with `folder` first on the path: exit code and report."""
    words = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-c", LINT, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the package to a folder of its own."""
    shutil.copytree(PACKAGE, tmp_path / "routebench", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_all_contracts_hold(copy: Path) -> None:
    code, report = lint(copy)
    assert code == 0, report
    assert "0 broken" in report


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("metrics/bootstrap.py", "from routebench.board import build", "Metrics, jobs and data"),
        ("jobs/stages.py", "from routebench import schema", "Job processes know nothing"),
        ("board/build.py", "from routebench.commands import run", "Nothing but the command line"),
        ("pipeline.py", "from routebench_routers import knn", "Core imports no plugin package"),
        (
            "data/texts.py",
            "def late():\n    from routebench.data import splits",
            "No import circle",
        ),
        ("errors.py", "from routebench import pipeline", "Packages are layers"),
    ],
)
def test_a_planted_violation_is_found(copy: Path, module: str, line: str, broken: str) -> None:
    with (copy / "routebench" / module).open("a") as stream:
        stream.write(f"\n\n{line}\n")
    code, report = lint(copy)
    assert code == 1, report
    (verdict,) = [text for text in report.splitlines() if text.startswith(broken)][:1]
    assert "BROKEN" in verdict


def test_job_processes_load_no_board() -> None:
    code = (
        "import sys\n"
        "import routebench.jobs.worker, routebench.jobs.stages, routebench.jobs.arrow_io\n"
        "import routebench.encode.encoders, routebench.plugin.discovery\n"
        "print(sorted(m for m in sys.modules if m.startswith('routebench.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout
    assert "routebench.jobs.stages" in loaded
    for module in ("board", "schema", "metrics", "config", "report"):
        assert f"'routebench.{module}" not in loaded
