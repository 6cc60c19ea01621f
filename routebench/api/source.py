"""Write a class of a notebook or script as a module of its own, with what it uses.

Jobs run in processes that know no notebook, and running a script again would run all of it. Only
source text is copied: the class, functions and classes that it uses, imports and plain values.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import linecache
import sys
import textwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import routebench
from routebench.errors import OptionError
from routebench.isolation.readable import editable_roots

_LONGEST = 10_000  # characters of a plain value
_WRITE = "write the class to a file (in a notebook, %%writefile my_router.py) and import it"


def standalone(router: type[Any]) -> str:
    """Return the source of a module that defines a top-level class of `__main__`.

    Raises:
        OptionError: its source is not kept, or it uses a value that is not in its source.
    """
    return _Module(router).text()


class _Module:
    """Collects the definitions, imports and values that a class uses, in their order."""

    def __init__(self, router: type[Any]) -> None:
        self._router = router.__name__
        self._imports: dict[str, None] = {}
        self._parts: dict[str, str] = {}
        self._begun: set[str] = set()
        self._postponed = False
        self._globals = vars(sys.modules[router.__module__])
        self._define(router.__name__, router)

    def text(self) -> str:
        head = ["from __future__ import annotations"] if self._postponed else []
        return "\n\n\n".join(["\n".join([*head, *self._imports]), *self._parts.values()]) + "\n"

    def _define(self, name: str, thing: Any) -> None:
        """Add a class or function, after everything that it uses."""
        self._begun.add(name)
        found = _find(thing, self._globals)
        if found is None:
            raise OptionError(
                f"router {self._router}: there is no source of {thing.__name__} that a process "
                "of its own could run",
                _WRITE,
            )
        text, node, postponed = found
        self._postponed |= postponed
        for used in _names(node):
            if used in self._globals and used not in self._begun:
                self._add(used, self._globals[used])
        self._parts[name] = text

    def _add(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType):
            self._begun.add(name)
            self._check_installed(value.__name__)
            self._imports[_import(value.__name__, name)] = None
        elif _is_local(value, self._globals):
            self._define(name, value)
        elif (place := _origin(name, value)) is not None:
            self._begun.add(name)
            module, original = place
            self._check_installed(module)
            also = "" if original == name else f" as {name}"
            self._imports[f"from {module} import {original}{also}"] = None
        elif (text := _literal(value)) is not None:
            self._begun.add(name)
            self._parts[name] = f"{name} = {text}"
        else:
            raise OptionError(
                f"router {self._router}: uses {name}, a {type(value).__name__} that is made "
                "outside of it, which a process of its own does not have",
                f"make {name} an option of the router, or {_WRITE}",
            )

    def _check_installed(self, module: str) -> None:
        if not _installed(module):
            raise OptionError(
                f"router {self._router}: uses {module}, which is not installed",
                f"write the class to a file beside {module.partition('.')[0]}, and import it",
            )


def _find(thing: Any, scope: dict[str, Any]) -> tuple[str, ast.stmt, bool] | None:
    """Return a definition's text, its tree, and whether its annotations are not evaluated.

    Files are asked in turn: those of its own code, of the code around it (a class may have none),
    and cells, the newest first.
    """
    around = [code for value in scope.values() if _is_local(value, scope) for code in _codes(value)]
    codes = {code.co_filename: code for code in reversed([*_codes(thing), *around])}
    cells = [file for file, entry in reversed(linecache.cache.items()) if _is_cell(entry)]
    for file in dict.fromkeys([*reversed(codes), *cells]):
        try:
            body = ast.parse("".join(linecache.getlines(file))).body
        except SyntaxError:
            continue
        if (found := _definition(file, body, thing.__name__)) is not None:
            stated = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in body)
            flags = codes[file].co_flags if file in codes else 0
            return *found, stated or bool(flags & __future__.annotations.compiler_flag)
    return None


def _codes(thing: Any) -> list[CodeType]:
    """Return the code of a function, or of the methods of a class."""
    members = vars(thing).values() if isinstance(thing, type) else (thing,)
    inner = [getattr(each, "__func__", getattr(each, "fget", each)) for each in members]
    codes = [getattr(each, "__code__", None) for each in inner]
    return [code for code in codes if isinstance(code, CodeType)]


def _is_local(value: Any, scope: dict[str, Any]) -> bool:
    """Return whether a value is a class or function that the notebook or script defines."""
    if not isinstance(value, type | FunctionType):
        return False
    return bool(value.__module__ == scope["__name__"])


def _is_cell(entry: Any) -> bool:
    """Return whether lines are those of no file, such as a cell's: they have no time."""
    return len(entry) == 4 and entry[1] is None


def _definition(file: str, body: list[ast.stmt], name: str) -> tuple[str, ast.stmt] | None:
    """Return the text and the tree of a name's last top-level definition in a file."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    every = [node for top in body for node in ast.walk(top) if isinstance(node, kinds)]
    found = [node for node in every if node.name == name and not _inside(node, every)]
    if not found:
        return None
    node = found[-1]
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    lines = linecache.getlines(file)[first - 1 : node.end_lineno]
    return textwrap.dedent("".join(lines)).rstrip(), node


def _inside(node: Any, every: list[Any]) -> bool:
    return any(
        other is not node and other.lineno <= node.lineno and node.end_lineno <= other.end_lineno
        for other in every
    )


def _names(node: ast.AST) -> list[str]:
    """Return the names that a definition uses, in order."""
    found: dict[str, None] = {}
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and not hasattr(builtins, each.id):
            found[each.id] = None
    return list(found)


def _import(module: str, name: str) -> str:
    top, dot, _ = module.partition(".")
    if name == module or (not dot and name == top):
        return f"import {module}"
    return f"import {module} as {name}"


def _origin(name: str, value: Any) -> tuple[str, str] | None:
    """Return the module and the name from which a value was imported, if it was."""
    for public in routebench.__all__:
        if public == name and getattr(routebench, public) is value:
            return "routebench", public
    home = getattr(value, "__module__", None)
    original = getattr(value, "__name__", name)
    if home in sys.modules and home != "__main__":
        for each in dict.fromkeys((original, name)):
            if vars(sys.modules[home]).get(each) is value:
                return home, each
    if isinstance(value, int | float | str | bytes | list | tuple | dict | set | None):
        return None
    for module, content in list(sys.modules.items()):
        if module != "__main__" and getattr(content, "__dict__", {}).get(name) is value:
            return module, name
    return None


def _literal(value: Any) -> str | None:
    """Return the text of a plain value; None for any other."""
    text = repr(value)
    if len(text) > _LONGEST:
        return None
    try:
        same = ast.literal_eval(text) == value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return text if same is True else None


def _installed(module: str) -> bool:
    """Return whether a module is found without the folder of the notebook or script."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    place = getattr(sys.modules.get(top), "__file__", None)
    if place is None:
        return False
    parts = Path(place).resolve().parts
    if "site-packages" in parts or "dist-packages" in parts:
        return True
    return any(Path(place).resolve().is_relative_to(root) for root in editable_roots())
