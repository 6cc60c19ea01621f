"""The paths that a job may read: the system's, Python's, its own, and none besides.

A folder from which code is imported but which holds more than code, such as a checkout, is readable
only where there are Python files. Names in it cannot be listed either, so what is imported from it
is found by `ImportedFrom`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import site
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlparse

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/sys",
    "/nix/store", "/gnu/store",
)  # fmt: skip
_PROC = ("self", "cpuinfo", "meminfo", "stat", "version", "filesystems", "sys", "driver")
_LISTED = ("site-packages", "dist-packages", "lib-dynload")
_MODULE_SUFFIXES = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)


@cache
def editable_roots() -> tuple[str, ...]:
    """Return the folders that distributions were installed from in editable mode."""
    roots = []
    for distribution in metadata.distributions():
        about = distribution.read_text("direct_url.json")
        if about and "editable" in about:
            url = json.loads(about)
            if url.get("dir_info", {}).get("editable"):
                root = Path(unquote(urlparse(url["url"]).path))
                roots += [str(root), str(root / "src")]
    return tuple(dict.fromkeys(roots))


def system_paths(own_proc: bool) -> list[Path]:
    """Return what every process reads; all of /proc where that shows no other process."""
    proc = [Path("/proc")] if own_proc else [Path("/proc", name) for name in _PROC]
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    homes = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.environ.get("CUDA_HOME", "")]
    given = [Path(place) for place in (*homes, *libraries) if place.startswith("/")]
    return [*map(Path, _SYSTEM), *proc, *given]


def code_paths(roots: Iterable[str]) -> tuple[list[Path], ImportedFrom]:
    """Return what may be read of `sys.path` and `roots`, and a finder for what cannot be listed."""
    whole, finder = [Path(folder) for folder in _site_folders()], ImportedFrom()
    homes = [Path(sys.prefix), Path(sys.base_prefix)]
    for entry in dict.fromkeys([*sys.path, *roots]):
        place = Path(entry or os.curdir).resolve()
        inside = place.name in _LISTED or any(place.is_relative_to(home) for home in homes)
        if inside or place.is_file():
            whole.append(place)
        else:
            found = list(_modules(place))
            whole += found
            finder.add(found)
    return whole, finder


def _site_folders() -> list[str]:
    user = site.getusersitepackages() if site.ENABLE_USER_SITE else None
    return [*site.getsitepackages(), *([user] if user else [])]


def beside(file: Path) -> list[Path]:
    """Return the modules and packages in the folder of a router that is a file."""
    return list(_modules(file.parent))


def forbidden(named: Iterable[Path], protected: Iterable[Path]) -> list[Path]:
    """Return what no job reads though a named path holds it: pipes, sockets, protected files.

    A protected file may have another name there (a hard link).
    """
    inodes = {_inode(path) for path in protected if path.is_file()} - {None}
    held = [
        Path(place, name) for top in named for place, _, names in os.walk(top) for name in names
    ]
    return [
        path.resolve()
        for path in (*named, *held)
        if not (path.is_file() or path.is_dir()) or _inode(path) in inodes
    ]


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _modules(folder: Path) -> Iterator[Path]:
    """Yield the modules in a folder, its packages, and what installers write about them."""
    try:
        with os.scandir(folder) as entries:
            children = list(entries)
    except OSError:
        return
    for child in children:
        name = child.name
        if _is_folder(child):
            described = name.endswith((".dist-info", ".egg-info"))
            if described or (name.isidentifier() and _holds_modules(child.path)):
                yield Path(child.path)
        elif name.endswith(_MODULE_SUFFIXES):
            yield Path(child.path)


def _is_folder(child: os.DirEntry[str]) -> bool:
    try:
        return child.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _holds_modules(folder: str) -> bool:
    try:
        return any(name.endswith(_MODULE_SUFFIXES) for name in os.listdir(folder))
    except OSError:
        return False


class ImportedFrom:
    """Finds modules and packages by the paths that they were seen at."""

    def __init__(self) -> None:
        self._places: dict[str, Path] = {}

    def add(self, paths: Sequence[Path]) -> None:
        """Let these be found; the first of a name counts."""
        for path in paths:
            name = path.name.partition(".")[0]
            if name.isidentifier() and not path.name.endswith("-info"):
                self._places.setdefault(name, path)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a top-level module is; None for one that was not seen."""
        place = self._places.get(name) if path is None else None
        if place is None:
            return None
        if not place.is_dir():
            return importlib.util.spec_from_file_location(name, place)
        init = place / "__init__.py"
        if init.is_file():
            return importlib.util.spec_from_file_location(
                name, init, submodule_search_locations=[str(place)]
            )
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
        return spec
