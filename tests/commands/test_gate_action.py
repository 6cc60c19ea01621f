"""The GitHub action: its script, run as the runner would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gates
import pytest

ROOT = Path(__file__).parents[2]


def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    content: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return content


def run(place: Path, candidate: Path, **inputs: str) -> tuple[int, str]:
    """The gate's step with these inputs and the others' defaults."""
    content = action()
    given = {name: facts.get("default", "") for name, facts in content["inputs"].items()}
    given |= {"baseline": str(gates.baseline()), "candidate": str(candidate)} | inputs
    step = content["runs"]["steps"][1]
    env = {
        name: given[text[len("${{ inputs.") : -len(" }}")]] for name, text in step["env"].items()
    }
    folder = str(Path(sys.executable).parent)
    env |= {"PATH": folder + os.pathsep + os.environ["PATH"]}
    env |= {name: str(place / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_a_regression_fails_the_step_and_is_in_the_summary(tmp_path: Path) -> None:
    folder = gates.decide(gates.copied(tmp_path / "new"), "random", gates.flip(60, 10))
    code, out = run(tmp_path, folder)
    assert code == 1, out
    assert "::error title=RouteBench gate%3A random accuracy%3A regression::" in out
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == "verdict=regression\n"
    assert "❌ RouteBench gate" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    names = sorted(path.name for path in (tmp_path / "routebench-gate").iterdir())
    assert names == ["gate.json", "gate.md", "gate.xml"]


def test_inputs_are_words_and_never_code(tmp_path: Path) -> None:
    odd = gates.copied(tmp_path / "a $(touch made) `touch made`; b")
    (tmp_path / "my rules.toml").write_text('metrics = ["accuracy"]')
    code, out = run(tmp_path, odd, rules="my rules.toml", inconclusive="pass")
    assert code == 0, out
    assert not (tmp_path / "made").exists()


def test_a_usage_error_leaves_no_verdict_of_an_earlier_one(tmp_path: Path) -> None:
    assert run(tmp_path, gates.baseline())[0] == 0
    (tmp_path / "GITHUB_OUTPUT").unlink()
    code, out = run(tmp_path, tmp_path / "nowhere")
    assert code == 2, out
    assert not (tmp_path / "GITHUB_OUTPUT").exists()
