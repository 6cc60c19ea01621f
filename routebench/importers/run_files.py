"""The configuration files of other systems as run files: LLMRouter's YAML.

As in ulab-uiuc/LLMRouter's configs/model_config_train (at bfbedff3): `data_path` names routing
data, `hparam` the router's hyperparameters, `metric.weights` what it optimises. The file's name
says which router it is about; `run_files.toml` says what ours is called. What is not used is named.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routebench.errors import DataError, OptionError
from routebench.files import data_folder, file_sha256, sha256
from routebench.importers import import_files
from routebench.redact import one_line

NAMES = Path(__file__).with_name("run_files.toml")
SUFFIXES = (".yaml", ".yml")
LARGEST = 1 << 20
"""Bytes of a configuration file."""
_KNOWN = {"data_path", "hparam", "metric", "model_path"}
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
"""What YAML 1.1 takes for a text: 2e-5."""


@dataclass
class ForeignRunFile:
    """A configuration file of another system, in a run file's terms."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What was taken for what, and what is not used."""


def read(path: Path, routers: Sequence[str] = ()) -> ForeignRunFile:
    """Read a configuration file; `routers` are those that the user names, if any.

    Routing data are imported once, into a table in the data folder.

    Raises:
        DataError: it is no such file, or names data that are not there.
        OptionError: no router of ours is the one that it is about.
    """
    content = _load(path)
    if not _KNOWN & set(content):
        raise DataError(
            f"--file {path}: has none of {', '.join(sorted(_KNOWN))}",
            "a run file of RouteBench is TOML",
        )
    made, used = ForeignRunFile(), set[str]()
    label = _router(path, content, routers, used)
    if not routers:
        made.values["router"] = [label]
        made.notes.append(f"{path.name}: the router is {label}")
    _data(path, content, made, used)
    _options(content, label, made, used)
    weights = content.get("metric", {}).get("weights") or {}
    objective = {name: weights[name] for name in ("performance", "cost") if name in weights}
    if objective:
        made.values["objective"] = objective
        used |= {f"metric.weights.{name}" for name in objective}
    unused = [name for name, value in _leaves(content) if name not in used and _says(value)]
    if unused:
        made.notes.append(f"{path.name}: not used: {', '.join(map(one_line, unused))}")
    if "hparam.text_dim" in unused:
        made.notes.append(
            f"{path.name}: text_dim is the width of its Longformer's vectors: --profile paper"
        )
    return made


def _load(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise OptionError(
            f"--file {path}: YAML needs pyyaml", "pip install 'routebench[yaml]'"
        ) from error
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"--file {path}: has more than {LARGEST:,} bytes")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"--file {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DataError(f"--file {path}: not YAML: {one_line(str(error), 200)}") from error
    if not isinstance(content, dict):
        raise DataError(f"--file {path}: is {type(content).__name__}, no mapping")
    for name in _KNOWN & set(content):
        if content[name] is None:
            content[name] = {}
        if not isinstance(content[name], dict):
            raise DataError(f"--file {path}: {name} is no mapping")
    weights = content.get("metric", {}).get("weights")
    if not isinstance(weights, dict | None):
        raise DataError(f"--file {path}: metric.weights is no mapping")
    return {str(name): value for name, value in content.items()}


def _names() -> dict[str, Any]:
    return tomllib.loads(NAMES.read_text(encoding="utf-8"))


def _router(path: Path, content: dict[str, Any], routers: Sequence[str], used: set[str]) -> str:
    """Return the router that the file is about; that of the user where one is named."""
    names = _names()
    modes = names.pop("modes")
    stem = path.stem.lower().removesuffix("_config")
    if len(routers) == 1:
        return routers[0].partition("@")[0]
    if routers:
        return ""  # its hyperparameters are of one router: which, it does not say
    if stem in modes["files"]:
        mode = content.get(modes["field"], modes["default"])
        if mode not in modes["values"]:
            raise DataError(
                f"--file {path}: {modes['field']} is {mode!r}",
                f"one of {', '.join(modes['values'])}",
            )
        used.add(modes["field"])
        return f"{modes['router']}{mode}"
    found = [label for label, about in names.items() if stem in about["files"]]
    if not found:
        known = sorted(name for about in names.values() for name in about["files"])
        raise OptionError(
            f"--file {path}: no router of ours is called {stem}",
            f"--router NAME; files that name one: {', '.join([*known, *modes['files']])}",
        )
    return found[0]


def _options(content: dict[str, Any], label: str, made: ForeignRunFile, used: set[str]) -> None:
    about = _names().get(label)
    if about is None:
        return
    options: dict[str, Any] = {}
    given = {f"hparam.{name}": value for name, value in content.get("hparam", {}).items()}
    given |= {name: content[name] for name in about.get("renamed", {}) if name in content}
    for place, value in given.items():
        name = place.rpartition(".")[2]
        ours = about.get("renamed", {}).get(name) or (name if name in about["options"] else None)
        if ours is None or value in (None, [], {}):
            continue
        options[ours] = _number(value)
        used.add(place)
    if options:
        made.values["set"] = {label: options}


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _data(path: Path, content: dict[str, Any], made: ForeignRunFile, used: set[str]) -> None:
    """Take routing data as the suite, and the file of models as prices."""
    given = content.get("data_path", {})
    parts = [f"routing_data_{part}" for part in ("train", "val", "validation", "test")]
    names = [name for name in parts if given.get(name)] or [
        name for name in ("routing_data_path", "routing_data") if given.get(name)
    ]
    files = [_located(path, f"data_path.{name}", given[name]) for name in names]
    used |= {f"data_path.{name}" for name in names}
    if not files:
        made.notes.append(f"{path.name}: no routing data: --suite says on what it is run")
    elif any(".csv" in file.name for file in files):
        place = files[0] if len(files) == 1 else _folder(path, files)
        made.values["suite"] = f"personaroute:{place}"
    else:
        table, notes = _table(files)
        made.values["suite"] = f"table:{table}"
        made.notes += [f"{path.name}: {note}" for note in notes]
    if given.get("llm_data") and made.values.get("suite", "").startswith("table:"):
        prices = _located(path, "data_path.llm_data", given["llm_data"])
        made.values["prices"] = str(prices)
        used.add("data_path.llm_data")


def _folder(path: Path, files: Sequence[Path]) -> Path:
    folders = {file.parent for file in files}
    if len(folders) > 1:
        raise DataError(f"--file {path}: its CSV files lie in several folders", "put them in one")
    return folders.pop()


def _located(path: Path, name: str, value: Any) -> Path:
    """Return the file that a path names: from here, or from a folder above the file."""
    if not isinstance(value, str):
        raise DataError(f"--file {path}: {name} is {one_line(repr(value), 60)}, no path")
    for folder in (Path(), *path.resolve().parents):
        if (folder / value).exists():
            return (folder / value).resolve()
    raise DataError(
        f"--file {path}: {name}: {value} is not there",
        "paths are looked for from here, and from the folders above the file",
    )


def _table(files: Sequence[Path]) -> tuple[Path, list[str]]:
    """Import routing data into a table, unless it was done before."""
    digest = sha256("".join(file_sha256(file) for file in files).encode())[:12]
    place = data_folder() / "imported" / f"{digest}.parquet"
    notes: list[str] = []
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        notes += import_files("auto", files, place).notes
    return place, [f"the routing data are imported as {place}", *notes]


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings by their dotted places."""
    if not isinstance(value, dict) or not value:
        yield place, value
        return
    for name, one in value.items():
        yield from _leaves(one, f"{place}.{name}" if place else str(name))


def _says(value: Any) -> bool:
    """Return whether a value asks for anything: no empty one, nor a weight of nothing."""
    return value not in (None, "", [], {}) and value is not False and value != 0
