"""docs/write-a-router.md works word for word, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "write-a-router.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|toml))\n")


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every fenced block, in the order of the page."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def test_every_block_is_a_file_or_commands() -> None:
    assert all(language == "sh" or FILE.match(text) for language, text in blocks())
    assert {language for language, _ in blocks()} == {"python", "sh", "toml"}


@pytest.mark.slow
def test_page_from_top_to_bottom(tmp_path: Path) -> None:
    for language, text in blocks():
        name = FILE.match(text)
        if name:
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
        if language == "toml":
            _check_entry_points(tmp_path / "pyproject.toml")
        if language == "sh" and "pip install" not in text:  # slow, and it would stay installed
            _run(text, tmp_path)


def test_wheel_of_the_page_holds_the_entry_points_module() -> None:
    (project,) = [tomllib.loads(text) for language, text in blocks() if language == "toml"]
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    targets = project["project"]["entry-points"]["routebench.routers"].values()
    assert included == [f"{target.partition(':')[0]}.py" for target in targets]


def _check_entry_points(path: Path) -> None:
    routers = tomllib.loads(path.read_text())["project"]["entry-points"]["routebench.routers"]
    for name, target in routers.items():
        entry = EntryPoint(name, target, "routebench.routers")
        code = f"import {entry.module}; {entry.module}.{entry.attr}.Options()"
        subprocess.run([sys.executable, "-c", code], cwd=path.parent, check=True)


def _run(commands: str, folder: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
