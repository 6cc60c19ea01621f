"""What plugins say of themselves, read from their source: a list imports none of them.

What is not imported can neither break nor delay a list.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

from routebench.plugin.discovery import PluginInfo

_KINDS = (ast.ClassDef, ast.FunctionDef)


def about(info: PluginInfo) -> str:
    """Return the first paragraph of the plugin's docstring; empty where there is no source."""
    node = _definition(info.target)
    text = None if node is None else ast.get_docstring(node)
    return " ".join((text or "").partition("\n\n")[0].split())


def family(info: PluginInfo) -> str:
    """Return the group that a list shows the plugin in: `family = "…"` of its class, if any."""
    node = _definition(info.target)
    return next(filter(None, map(_stated, node.body)), "") if node is not None else ""


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


def _stated(node: ast.stmt) -> str:
    """Return the text of a statement `family = "…"`; empty for any other."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
        return ""
    named = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return str(node.value.value) if "family" in named else ""


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
