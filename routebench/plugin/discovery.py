"""Finding plugins: from metadata only, imported when they are used."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from routebench.errors import OptionError, PluginError, did_you_mean
from routebench.names import RULE, is_name

if TYPE_CHECKING:
    from packaging.requirements import Requirement

KINDS = (
    "router",
    "suite",
    "judge",
    "provider",
    "encoder",
    "importer",
    "reader",
    "command",
    "extension",
    "executor",
)


@dataclass(frozen=True)
class PluginInfo:
    """A plugin as its distribution's metadata describes it."""

    kind: str
    name: str
    target: str
    """`module:Class`, or `file.py:Class` for a router given as a file."""
    distribution: str | None
    version: str | None
    missing: tuple[str, ...] = ()
    """Requirements of the plugin that are not installed."""

    @property
    def ready(self) -> bool:
        return not self.missing

    @property
    def pip(self) -> str:
        """Return the command that installs the missing requirements."""
        return f"pip install '{self.distribution}[{self.name}]'"


def installed(kind: str | None = None) -> list[PluginInfo]:
    """Return all plugins of the installed distributions, by kind and name."""
    kinds = KINDS if kind is None else (kind,)
    return sorted(
        (info for each in kinds for info in _of_kind(each)),
        key=lambda info: (KINDS.index(info.kind), info.name, info.distribution or ""),
    )


def find(kind: str, name: str) -> PluginInfo:
    """Find the plugin of that name, or of a file `path.py:Class`; raise `OptionError` if none."""
    if kind == "router" and ".py:" in name:
        return from_file(kind, name)
    if kind == "router" and name.endswith(".py"):
        raise _without_class(name)
    known = [info for info in _of_kind(kind) if info.name == name]
    if len(known) > 1:
        owners = " and ".join(sorted(str(info.distribution) for info in known))
        raise PluginError(f"{kind} {name!r} is offered by {owners}", "uninstall one of them")
    if not known:
        names = [info.name for info in _of_kind(kind)]
        raise OptionError(f"no {kind} named {name!r}", did_you_mean(name, names))
    if not is_name(name):  # folders are named like plugins
        owner = known[0].distribution
        raise PluginError(
            f"{owner} offers a {kind} named {name!r}: a name is {RULE}", f"pip uninstall {owner}"
        )
    return known[0]


def load(info: PluginInfo) -> Any:
    """Import the plugin's class; a router gets the defaults for what its class leaves out.

    Raises `OptionError` where an extra is missing and `PluginError` where the import fails.
    """
    if not info.ready:
        needs = ", ".join(info.missing)
        raise OptionError(f"{info.kind} {info.name!r} needs {needs}", info.pip)
    module_name, _, attribute = info.target.rpartition(":")
    try:
        module = (
            _import_file(Path(module_name))
            if module_name.endswith(".py")
            else importlib.import_module(module_name)
        )
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        raise PluginError(
            f"{info.kind} {info.name!r} cannot be imported: {type(error).__name__}: {text}",
            f"from {info.distribution or module_name}",
        ) from error
    if not hasattr(module, attribute):
        what = "nothing named" if info.kind == "command" else "no class"
        raise PluginError(
            f"{info.kind} {info.name!r}: {Path(module_name).name} has {what} {attribute!r}",
            did_you_mean(attribute, classes)
            if (classes := _plugins_in(module))
            else _incomplete(module),
        )
    found = getattr(module, attribute)
    if info.kind == "command":
        import click  # no other kind needs it

        if not isinstance(found, click.Command):
            raise PluginError(f"command {info.name!r} is {type(found).__name__}, no click command")
    if info.kind != "router" or not isinstance(found, type):
        return found
    if not {"Options", "route", "step"} & set(dir(found)):
        raise PluginError(
            f"router {info.name!r}: {attribute} is no router: it has no method `route`",
            did_you_mean(attribute, classes)
            if (classes := _plugins_in(module))
            else "a router is a class with `@hookimpl def route(self, queries)`",
        )
    from routebench.plugin.defaults import complete  # numpy comes with it: not for a list

    return complete(found)


def _plugins_in(module: ModuleType) -> list[str]:
    """Return the names in a module that look like plugins."""
    members = vars(module).items()
    return [name for name, one in members if {"Options", "route", "step"} & set(dir(one))]


def _incomplete(module: ModuleType) -> str:
    """Return which classes a module has that are no plugins, and what they lack."""
    own = [
        name
        for name, one in vars(module).items()
        if isinstance(one, type) and one.__module__ == module.__name__
    ]
    return f"classes there, without a method `route`: {', '.join(own)}" if own else ""


def _without_class(name: str) -> OptionError:
    """Return the error for a file without the name of a class in it; it is not imported."""
    if not Path(name).is_file():
        return OptionError(f"no router file {name!r}", "write it as path/to/file.py:ClassName")
    try:
        body = ast.parse(Path(name).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        body = []
    classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
    there = f"; classes there: {', '.join(classes)}" if classes else "; there is no class in it"
    first = classes[0] if classes else "ClassName"
    return OptionError(
        f"--router {name}: which class of it? Write `file.py:Class`{there}",
        f"--router {name}:{first}",
    )


def code_hash(info: PluginInfo) -> str:
    """Return a hash of the plugin's source, so that jobs of older code are not reused."""
    place = info.target.rpartition(":")[0]
    if place.endswith(".py"):
        # Its neighbours too: it may import them.
        sources = sorted(Path(place).parent.glob("*.py"))
    else:
        spec = importlib.util.find_spec(place.partition(".")[0])
        folders = list(spec.submodule_search_locations or []) if spec else []
        sources = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
        if spec and spec.origin and not sources:
            sources = [Path(spec.origin)]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def answer_modules(router: PluginInfo) -> list[str]:
    """Return the packages that could rebuild a suite's answers: banned in jobs.

    All that hold a suite or a provider, but for the router's own, whose `__init__` may import its
    suite.
    """
    own = router.target.partition(":")[0].partition(".")[0]
    holders = (*_of_kind("suite"), *_of_kind("provider"))
    tops = {info.target.partition(":")[0].partition(".")[0] for info in holders}
    return sorted(tops - {own})


@cache
def _of_kind(kind: str) -> tuple[PluginInfo, ...]:
    if kind not in KINDS:
        raise OptionError(f"no kind of plugin named {kind!r}", did_you_mean(kind, KINDS))
    found = metadata.entry_points(group=f"routebench.{kind}s")
    return tuple(_describe(kind, entry) for entry in sorted(found, key=lambda e: e.name))


def _describe(kind: str, entry: metadata.EntryPoint) -> PluginInfo:
    if entry.dist is None:
        return PluginInfo(kind, entry.name, entry.value, None, None)
    owner = _distribution(entry.dist)
    missing = _missing(owner, entry.name)
    return PluginInfo(kind, entry.name, entry.value, owner.name, owner.version, missing)


class _Distribution(NamedTuple):
    """Holds what plugins ask of their distribution, read once."""

    name: str
    version: str
    of_extras: tuple[Requirement, ...]
    """Requirements that only an extra asks for."""


@cache  # a distribution parses its metadata again at every question
def _distribution(owner: metadata.Distribution) -> _Distribution:
    from packaging.requirements import Requirement

    about = owner.metadata
    parsed = [Requirement(line) for line in owner.requires or [] if ";" in line]
    only = (r for r in parsed if r.marker and not r.marker.evaluate({"extra": ""}))
    return _Distribution(about["Name"], about["Version"], tuple(only))


def _missing(owner: _Distribution, plugin: str) -> tuple[str, ...]:
    """Return the unmet requirements of the extra named like the plugin, if there is one."""
    needed = _requirements(owner, plugin)
    return tuple(f"{r.name}{r.specifier}" for r in needed if not _satisfied(r.name, r.specifier))


def required(plugin: PluginInfo) -> list[str]:
    """Return the names of the distributions that the plugin's own extra asks for."""
    if plugin.distribution is None:
        return []
    owner = _distribution(metadata.distribution(plugin.distribution))
    return sorted({r.name for r in _requirements(owner, plugin.name)})


def _requirements(owner: _Distribution, plugin: str) -> list[Requirement]:
    """Return the requirements of the extra named like the plugin, and of extras it includes."""
    from packaging.utils import canonicalize_name

    def of(extra: str, seen: frozenset[str]) -> list[Requirement]:
        found: list[Requirement] = []
        for requirement in owner.of_extras:
            if not requirement.marker or not requirement.marker.evaluate({"extra": extra}):
                continue
            if canonicalize_name(requirement.name) == canonicalize_name(owner.name):
                for inner in sorted(requirement.extras - seen):
                    found += of(inner, seen | requirement.extras)
            else:
                found.append(requirement)
        return found

    return of(canonicalize_name(plugin), frozenset({plugin}))


def _satisfied(name: str, specifier: Any) -> bool:
    try:
        return bool(specifier.contains(metadata.version(name), prereleases=True))
    except metadata.PackageNotFoundError:
        return False


def from_file(kind: str, name: str) -> PluginInfo:
    """Return the plugin of a file, `path.py:Class`; it is not imported.

    Raises:
        OptionError: there is no such file.
        PluginError: its class is called like an installed plugin of the kind.
    """
    path_text, _, attribute = name.rpartition(":")
    path = Path(path_text).resolve()
    if not path.is_file():
        raise OptionError(f"no {kind} file {path_text!r}", "write it as path/to/file.py:ClassName")
    if any(info.name == attribute for info in _of_kind(kind)):
        hint = f"name the class in {path.name} otherwise"
        raise PluginError(f"{path_text}: {attribute!r} is the name of an installed {kind}", hint)
    return PluginInfo(kind, attribute, f"{path}:{attribute}", None, None)


def _import_file(path: Path) -> Any:
    # Its neighbours must be importable, as they are when Python runs the file itself.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    name = f"routebench_file_{path.stem}"  # a router in random.py must not replace random
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
