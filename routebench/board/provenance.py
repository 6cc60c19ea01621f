"""Match a checkpoint with its board, and with the code that is to run it.

A run folder is data, maybe somebody else's: of what it names, only installed routers are run, and
a file that the user names again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from routebench.errors import DataError, OptionError
from routebench.jobs.entrant import digest
from routebench.plugin import discovery
from routebench.plugin.discovery import PluginInfo
from routebench.schema import Row

JOB = "job.json"


def split_file(router: str) -> tuple[str, str | None]:
    """Return a router's label, and the file and class where it is named by them.

    >>> split_file("./mine.py:Mine@two"), split_file("knn@two")
    (('Mine@two', './mine.py:Mine'), ('knn@two', None))
    """
    path, colon, rest = router.rpartition(".py:")
    if not colon:
        return router, None
    return rest, f"{path}.py:{rest.partition('@')[0]}"


def plugin(label: str, header: dict[str, Any], file: str | None) -> PluginInfo:
    """Return the plugin that trained a checkpoint: installed, or in the file the user names.

    Raises:
        OptionError: its code is a file's, and none is named, or another one.
    """
    stated = header["plugin"]
    name, target = str(stated["name"]), str(stated.get("target"))
    if ".py:" not in target:
        if file is not None:
            raise OptionError(f"{file}: {label} is no router of a file", f"name it as {label}")
        info = discovery.find("router", name)
        if stated.get("distribution") != info.distribution:
            raise DataError(
                f"{label} was trained by {name} of {stated.get('distribution')}; "
                f"here it is {info.distribution}'s"
            )
        return info
    if file is None:
        raise OptionError(
            f"{label} is a file's router, whose code is run only where you name the file",
            f"name {label} as path/to/{Path(target).name}, if you trust it",
        )
    info = discovery.find("router", file)
    if Path(info.target).name != Path(target).name:
        raise OptionError(f"{file}: {label} was trained by {Path(target).name}")
    return info


def changes(header: dict[str, Any], info: PluginInfo) -> Iterator[str]:
    """Yield what is different in a router's code since it was trained."""
    if (before := header["plugin"].get("version")) != info.version:
        yield f"trained with {info.distribution} {before}, and this is {info.version}"
    elif (code := header.get("code")) is not None and code != discovery.code_hash(info):
        yield f"the source of {info.name} is not what it was when it was trained"


def mismatches(header: dict[str, Any], row: Row, seed: int, fold: int) -> Iterator[tuple[Any, ...]]:
    """Yield name, the board's value and the checkpoint's, where they differ."""
    stated = header.get("plugin", {})
    pairs: dict[str, tuple[Any, Any]] = {
        "plugin": (row.plugin, stated.get("name")),
        "distribution": (row.distribution, stated.get("distribution")),
        "version": (row.version, stated.get("version")),
        "deterministic": (row.deterministic, header.get("all_seeds")),
        "options": (row.options, header.get("options")),
        "fingerprint": (digest([row.fingerprint, seed, fold]), header.get("fingerprint")),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            yield name, ours, theirs


def check(place: Path, header: dict[str, Any], row: Row, seed: int, fold: int) -> None:
    """Raise a `DataError` for a checkpoint that is not the board's."""
    for name, ours, theirs in mismatches(header, row, seed, fold):
        raise DataError(
            f"{place / JOB}: is not of this board: {name} is {theirs!r}, not {ours!r}",
            "run it again, or get the whole run folder anew",
        )
