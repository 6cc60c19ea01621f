"""The grid file: one run per suite, with options that all runs share and options of each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench import config
from routebench.board import run_folder
from routebench.config import RunConfig
from routebench.errors import DataError, OptionError, RoutebenchError, did_you_mean
from routebench.limits import parse_toml
from routebench.names import RULE, is_name

SUITES = "suites"
_NOT_SHARED = {"suite", "data"}
_NOT_GIVEN = {"out", "fresh"}
_SHARED = RunConfig.model_fields.keys() - _NOT_SHARED - _NOT_GIVEN
_OWN = RunConfig.model_fields.keys() - _NOT_GIVEN


@dataclass(frozen=True)
class GridRun:
    """One suite of a grid with all of its routers, seeds and folds: a run of its own."""

    name: str
    config: RunConfig

    @property
    def folder(self) -> Path:
        assert self.config.out is not None
        return Path(self.config.out)


@dataclass(frozen=True)
class Grid:
    """The runs of a grid file, in its order."""

    name: str
    folder: Path
    runs: tuple[GridRun, ...]


def read(path: Path, out: Path | None = None, **more: Any) -> Grid:
    """Read a grid file. `out` is the folder of all run folders, by default `results/grid/NAME`.

    `more` are options of every run that win over the file's. Paths in the file are taken from the
    working directory, as in a run file.

    Raises:
        DataError: the file cannot be read, or a key or a value in it is wrong.
    """
    values = _content(path)
    suites = values.pop(SUITES, None)
    if not isinstance(suites, dict) or not suites:
        raise DataError(f"{path}: no suite is named", f"write [{SUITES}.simpleqa]")
    _check_keys(values, _SHARED, str(path), (*_SHARED, SUITES))
    folder = out or run_folder.RESULTS / "grid" / path.stem
    runs = []
    for name, own in suites.items():
        place = f"{path}: {SUITES}.{name}"
        if not is_name(name):
            raise DataError(
                f"{path}: {SUITES}.{name!r} cannot name a folder", f"allowed are {RULE}"
            )
        if not isinstance(own, dict):
            raise DataError(f"{place} = {own!r}", f"write [{SUITES}.{name}], then OPTION = VALUE")
        _check_keys(own, _OWN, place, _OWN)
        given = {"suite": name} | values | own | {"set": _joined(values, own, place)} | more
        try:
            chosen = config.make(given | {"out": str(folder / name)})
        except OptionError as error:
            raise DataError(f"{place}: {error.message.removeprefix('--')}", error.hint) from error
        runs.append(GridRun(name, chosen))
    return Grid(path.stem, folder, tuple(runs))


def located(error: RoutebenchError, run: GridRun) -> RoutebenchError:
    """Return the error with the name of the suite that it is about."""
    error.message = f"{SUITES}.{run.name}: {error.message}"
    return error


def _content(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not TOML: {error}") from error


def _check_keys(values: Mapping[str, Any], known: Any, place: str, named: Any) -> None:
    for key in values:
        if key in _NOT_GIVEN:
            raise DataError(f"{place}: {key} is not for the file", f"give --{key} to the command")
        if key not in known:
            hint = f"write it under [{SUITES}.NAME]" if key in _NOT_SHARED else ""
            raise DataError(f"{place}: unknown key {key!r}", hint or did_you_mean(key, named))


def _joined(shared: Mapping[str, Any], own: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the options of plugins: those of a suite win over the shared ones, one by one."""
    made: dict[str, Any] = {}
    for given in (shared.get("set", {}), own.get("set", {})):
        if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
            raise DataError(f"{place}: set = {given!r}", "write [set.NAME], then OPTION = VALUE")
        for plugin, values in given.items():
            made[plugin] = made.get(plugin, {}) | values
    return made
