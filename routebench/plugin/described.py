"""What plugins say of themselves, read from their source: a list imports none of them.

What is not imported can neither break nor delay a list.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

from routebench.plugin import discovery
from routebench.plugin.discovery import PluginInfo

_KINDS = (ast.ClassDef, ast.FunctionDef)


def about(info: PluginInfo) -> str:
    """Return the first paragraph of the plugin's docstring; empty where there is no source."""
    node = _definition(info.target)
    text = None if node is None else ast.get_docstring(node)
    return " ".join((text or "").partition("\n\n")[0].split())


def family(info: PluginInfo) -> str:
    """Return the group that a list shows the plugin in: `family = "…"` of its class, if any."""
    return str(_stated(info, "family") or "")


def in_all(info: PluginInfo) -> bool:
    """Return whether `--router all` has the router: not where its class says `in_all = False`."""
    return _stated(info, "in_all") is not False


def several(text: str) -> list[PluginInfo] | None:
    """Return the routers that `all` or the name of a family stands for; None for one router."""
    routers = discovery.installed("router")
    if text == "all":
        return [info for info in routers if in_all(info)]
    if text in {info.name for info in routers}:
        return None
    return [info for info in routers if family(info) == text] or None


def _definition(target: str) -> ast.ClassDef | ast.FunctionDef | None:
    """Return the tree of the class or function at `module:name` or `file.py:name`."""
    module, _, name = target.rpartition(":")
    place = Path(module) if module.endswith(".py") else _source(module)
    found = [] if place is None else [each for each in _tree(place) if each.name == name]
    return found[-1] if found else None


@cache
def _tree(file: Path) -> list[ast.ClassDef | ast.FunctionDef]:
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    return [node for node in body if isinstance(node, _KINDS)]


def _stated(info: PluginInfo, name: str) -> object:
    """Return the constant of a statement `name = …` in the plugin's class; None without any."""
    node = _definition(info.target)
    for each in [] if node is None else node.body:
        if not (isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant)):
            continue
        if name in [target.id for target in each.targets if isinstance(target, ast.Name)]:
            return each.value.value
    return None


def _source(module: str) -> Path | None:
    """Return the file of a module, found from its top-level package, which is not imported."""
    top, *parts = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not parts:
        return Path(spec.origin) if spec.origin else None
    for folder in spec.submodule_search_locations or []:
        place = Path(folder, *parts)
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None
