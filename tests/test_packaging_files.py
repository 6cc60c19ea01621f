"""Dockerfile, compose file and release workflow: what they run exists, and nothing is let out."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from routebench.__main__ import cli

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
RELEASE: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())


def instruction(name: str) -> str:
    """Return the last instruction of that name in the Dockerfile."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)[-1]


def parsed(words: list[str]) -> dict[str, Any]:
    """Return the parameters of a command of `routebench`; an error for a wrong one."""
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, words
    return command.make_context(words[0], words[1:]).params


def test_image_runs_the_first_command_as_nobody_special() -> None:
    assert instruction("USER") == "1000:1000"
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nENTRYPOINT ")
    assert json.loads(instruction("ENTRYPOINT")) == ["routebench"]
    words = json.loads(instruction("CMD"))
    assert (parsed(words)["suite"], words[0]) == ("simpleqa", "run")
    readme = (ROOT / "README.md").read_text()
    assert f"routebench {' '.join(words)}\n" in readme


def test_image_gets_what_the_wheel_is_made_of_and_no_more() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {package.partition("/")[0] for package in packages} <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    extras = re.search(r"'\.\[(.*)\]'", DOCKERFILE)
    assert extras
    assert set(extras[1].split(",")) <= set(project["project"]["optional-dependencies"])


def test_compose_trains_serves_and_watches() -> None:
    services = COMPOSE["services"]
    train = services["train"]["command"][0].partition("|| ")[2]
    made = parsed(shlex.split(train)[1:])
    served = parsed(services["serve"]["command"])
    assert str(made["checkpoint"]) == str(served["path"])
    assert served["providers"] == ("simulated",)
    assert served["port"] == 8000
    assert served["without_keys"]
    for service in services.values():
        assert all(each.startswith("127.0.0.1:") for each in service.get("ports", ()))
    content = yaml.safe_load(COMPOSE["configs"]["prometheus"]["content"])
    (scraped,) = content["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": ["serve:8000"]}]


def test_nothing_is_published_but_by_hand() -> None:
    jobs = RELEASE["jobs"]
    publishing = [
        name
        for name, job in jobs.items()
        if any("publish" in step.get("uses", "") for step in job["steps"])
        or job.get("permissions", {}).get("id-token")
    ]
    assert publishing == ["publish"]
    assert "workflow_dispatch' && inputs.publish &&" in jobs["publish"]["if"]
    assert jobs["publish"]["environment"] == "pypi"
    assert RELEASE["permissions"] == {"contents": "read"}
    started = RELEASE[True]  # YAML 1.1 reads `on` so
    assert started["workflow_dispatch"]["inputs"]["publish"]["default"] is False
