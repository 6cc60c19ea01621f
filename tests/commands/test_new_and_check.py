"""`routebench new` and `routebench check`: from nothing to a plugin that keeps its promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_bad_input import check

from routebench import scaffold
from routebench.plugin import discovery
from routebench.testing import plugin_checks

Main = Callable[..., tuple[int, str, str]]
PLUGIN = "plugin.py.template"
TEMPLATES = Path(scaffold.__file__).parent / "templates"
JUDGE = """
import numpy as np
from pydantic import BaseModel
from routebench import Grades, State, hookimpl

class Percent:
    class Options(BaseModel):
        top: float = 100

    def __init__(self, options):
        self.options = options

    @hookimpl
    def judge(self, references, answers):
        print("grading")
        right = [r is not None and r in a for r, a in zip(references, answers)]
        return Grades(np.array(right) * self.options.top, np.full(len(answers), State.OK))

class Unnamed:
    Options = dict

    def judge(self, answers):
        return None

class Nothing:
    pass
"""


@pytest.fixture
def own_modules() -> Iterator[None]:
    """Forget the modules that were imported from folders of a test."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("routebench_file_"):
            del sys.modules[name]


@pytest.mark.parametrize("kind", scaffold.KINDS)
@pytest.mark.usefixtures("own_modules")
def test_what_is_written_is_a_plugin(kind: Any, main: Main, tmp_path: Path) -> None:
    out = tmp_path / "made"
    code, said, err = main("new", kind, "own-two", "--out", out)
    assert (code, err) == (0, "")
    new = scaffold.NewPlugin(kind, "own-two")
    listed = [Path(line) for line in said.splitlines()[:-1]]
    assert {path.relative_to(out).as_posix() for path in listed} == {
        "pyproject.toml",
        "README.md",
        "src/routebench_own_two/__init__.py",
        "src/routebench_own_two/py.typed",
        "tests/test_routebench_own_two.py",
    }
    assert all(path.is_file() and "$" not in path.read_text() for path in listed)
    if kind == "router":  # its checks are many: they run where the distribution is installed
        return
    source = out / "src/routebench_own_two/__init__.py"
    info = discovery.from_file(kind, f"{source}:{new.class_name}")
    for each in plugin_checks(kind, discovery.load(info)):
        if each.name != "check_ask":
            each()


@pytest.mark.slow
@pytest.mark.parametrize("kind", scaffold.KINDS)
def test_installed_it_passes_its_own_tests(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "routebench"]
    _do([*command, "new", kind, "own-three"], tmp_path)
    folder, site = tmp_path / "routebench-own-three", tmp_path / "site"
    quiet = ["-q", "--disable-pip-version-check", "--no-deps"]
    _do([sys.executable, "-m", "pip", "install", *quiet, "--target", site, folder], tmp_path)
    env = {"PYTHONPATH": str(site)}
    said = _do([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder, env)
    assert "failed" not in said
    said = _do([*command, "check", "own-three", "--json"], tmp_path, env)
    result = json.loads(said)
    assert (result["kind"], result["distribution"]) == (kind, "routebench-own-three")
    assert result["ok"]
    where = {each["where"] for each in result["checks"]}
    both = {"this process", "confined processes"}
    assert where == (both if kind == "router" else {"this process"})


def _do(command: list[Any], folder: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My-router", "is no name for a router"),
        ("../up", "is no name for a router"),
        ("a--b", "is no name for a router"),
        ("two words", "is no name for a router"),
        ("1st", "is no name for a router"),
        ("a" * 41, "is no name for a router"),
        ("knn", "a router named 'knn' is installed already"),
        ("routers", "a package routebench_routers is installed already"),
        ("routebench-own", "gets `routebench-` before its name"),
        ("quality", "its class would be QualityRouter, which is taken"),
    ],
)
def test_names_that_do_not_do(name: str, said: str, main: Main, tmp_path: Path) -> None:
    assert said in check(*main("new", "router", name, cwd=tmp_path))
    assert list(tmp_path.glob("routebench*")) == []


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_nothing_is_overwritten(there: str, main: Main, tmp_path: Path) -> None:
    place = tmp_path / "routebench-own"
    if there == "file":
        place.write_text("mine")
    elif there == "folder":
        place.mkdir()
    else:
        place.symlink_to(tmp_path / "gone")
    said = check(*main("new", "judge", "own", cwd=tmp_path))
    assert "routebench-own is there already, and nothing is overwritten" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["routebench-own"]
    if there == "folder":
        assert list(place.iterdir()) == []


def test_there_is_a_template_for_every_kind() -> None:
    folders = {path.name for path in TEMPLATES.iterdir() if path.is_dir()}
    assert folders == set(scaffold.KINDS)
    assert all((TEMPLATES / kind / PLUGIN).is_file() for kind in folders)


def test_a_broken_promise_is_one_line_and_code_1(main: Main, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(JUDGE)
    code, out, err = main("check", "./mine.py:Percent", cwd=tmp_path)
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("  broken")]
    assert line.startswith("  broken   Every answer gets a score in [0, 1]")
    assert "seen: PluginError: judge 'Percent' returned a score outside [0, 1]" in line
    assert "(means nothing until check_grades passes)" in out
    assert "grading" not in out
    assert "grading" in err
    assert out.splitlines()[1] == "in this process, with your rights"
    assert out.endswith(" 1 broken, 7 skipped\n")


def test_the_same_as_json_and_with_an_option(main: Main, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(JUDGE)
    code, out, _ = main("check", "./mine.py:Percent", "--json", cwd=tmp_path)
    made = json.loads(out)
    assert (code, made["kind"], made["ok"]) == (1, "judge", False)
    assert [each["check"] for each in made["checks"] if each["state"] == "broken"] == [
        "check_grades"
    ]
    code, out, _ = main("check", "./mine.py:Percent", "--set", "Percent.top=1", cwd=tmp_path)
    assert code == 0
    assert "0 broken" in out


def test_options_that_are_no_model_are_a_broken_promise(main: Main, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(JUDGE)
    code, out, _ = main("check", "./mine.py:Unnamed", cwd=tmp_path)
    assert code == 1
    assert "seen: Options is <class 'dict'>; to mend it: class Options(BaseModel)" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exat"], "no router, suite, judge, provider or encoder 'exat'"),
        (["routerbench"], "'routerbench' is an importer: there are no checks for that kind"),
        (["exact", "--set", "numeric.x=1"], "--set numeric: the plugin is exact"),
        (["exact", "--set", "exact.nothing=1"], "exact has no option 'nothing'"),
        (["precomputed"], "precomputed.data: is missing"),
        (["knn", "--set", "knn.nothing=1"], "knn has no option 'nothing'"),
        (["gone.py:It"], "no router file 'gone.py'"),
        (["./mine.py:Nothing"], "which kind of plugin is it?"),
        (["exact", "--kind", "encoder"], "no encoder named 'exact'"),
    ],
)
def test_what_cannot_be_checked(words: list[str], said: str, main: Main, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(JUDGE)
    assert said in check(*main("check", *words, cwd=tmp_path))


def test_a_name_of_two_kinds(distribution: Callable[..., Path], main: Main) -> None:
    plugins = "[routebench.judges]\ntwice = acme:It\n[routebench.suites]\ntwice = acme:It\n"
    distribution("acme", plugins, JUDGE)
    assert "'twice' is the name of a suite and of a judge" in check(*main("check", "twice"))
