"""Classes of notebooks and scripts, as modules that a process of its own can import."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from routebench.api import source
from routebench.errors import OptionError
from routebench.plugin import discovery

IMPORTS = """
import os.path
import numpy as np
from pydantic import BaseModel, Field
from routebench import Decisions as Chosen, hookimpl
from routebench.plugin.selection import best_single
"""
OPTIONS = """
class Settings(BaseModel):
    k: int = Field(2, description="which model")
"""
FUNCTION = """
SHIFT = -1

def chosen(n, k):
    return np.full(n, k + SHIFT)
"""
ROUTER = """
x = 1
class Parent:
    Options = Settings

@str
class unrelated: pass

class Mine(Parent):
    'Sends all queries to one model.'
    def __init__(self, options):
        self.options = options
    @hookimpl
    def route(self, queries):
        return Chosen(chosen(len(queries), self.options.k))
    def place(self):
        return os.path.basename("a/b")
"""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run cells as a kernel does: each in `__main__`, which has no file, its lines kept."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(linecache, "cache", {})

    def run(*cells: str) -> ModuleType:
        for cell in cells:
            name = f"<cell {len(linecache.cache)}>"
            linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
            exec(compile(cell, name, "exec"), vars(main))
        return main

    return run


def imported(text: str, folder: Path) -> Any:
    """Import the module as a job does, and return its class."""
    (folder / "Mine.py").write_text(text)
    return discovery.load(discovery.find("router", f"{folder / 'Mine.py'}:Mine"))


def test_what_a_class_uses_comes_with_it(notebook: Any, tmp_path: Path) -> None:
    main = notebook(IMPORTS, OPTIONS, FUNCTION, ROUTER)
    text = source.standalone(main.Mine)
    assert "best_single" not in text  # is not used
    assert "unrelated" not in text
    assert "\nx = 1" not in text
    made = imported(text, tmp_path)
    assert made.__doc__ == "Sends all queries to one model."
    router = made(made.Options())
    assert router.route("abc").choice.tolist() == [1, 1, 1]
    assert router.place() == "b"


def test_a_cell_that_is_run_again_counts(notebook: Any, tmp_path: Path) -> None:
    main = notebook(IMPORTS, OPTIONS, FUNCTION, ROUTER)
    first = source.standalone(main.Mine)
    notebook(ROUTER.replace("to one model", "to another model"), "SHIFT = 0")
    second = source.standalone(main.Mine)
    assert first != second
    assert "to another model" in second
    assert "SHIFT = 0" in second
    # The same cells give the same module: finished jobs are found again.
    assert second == source.standalone(main.Mine)


def test_annotations_stay_what_they_are(notebook: Any) -> None:
    head = "from __future__ import annotations\n"
    postponed = notebook(head + IMPORTS + OPTIONS + FUNCTION + ROUTER)
    assert source.standalone(postponed.Mine).startswith(head)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("table = np.zeros(3)\ndef chosen(n, k):\n    return table\n", "uses table, a ndarray"),
        ("import nextdoor\ndef chosen(n, k):\n    return nextdoor.f(n)\n", "uses nextdoor"),
        ("chosen = [np].copy()\n", "uses chosen, a list"),
    ],
)
def test_what_no_other_process_has(
    line: str,
    message: str,
    notebook: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "nextdoor.py").write_text("def f(n): return n\n")
    monkeypatch.syspath_prepend(tmp_path)
    main = notebook(IMPORTS, OPTIONS, line, ROUTER)
    with pytest.raises(OptionError) as caught:
        source.standalone(main.Mine)
    assert caught.value.message.startswith(f"router Mine: {message}")
    assert "write the class to a file" in caught.value.hint


def test_a_class_without_source(notebook: Any) -> None:
    main = notebook(IMPORTS, OPTIONS, FUNCTION, ROUTER)
    linecache.cache.clear()
    with pytest.raises(OptionError, match="no source of Mine"):
        source.standalone(main.Mine)
