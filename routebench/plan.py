"""Which routers a run has, and which jobs that makes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import routebench
from routebench import discovery, options
from routebench.config import RunConfig
from routebench.discovery import PluginInfo
from routebench.errors import OptionError, PluginError, did_you_mean
from routebench.jobs import Job
from routebench.records import SuiteData

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Entrant:
    """A router of this run: ready to be run, or the reason why not."""

    label: str
    plugin: PluginInfo
    options: dict[str, Any]
    """All options with their values, defaults included."""
    fingerprint: str = ""
    state: str = "ready"
    """`ready`, `skipped` (part of `all`, but not possible here) or `failed` (broken plugin)."""
    message: str = ""


def entrants(config: RunConfig, data: SuiteData, shared: dict[str, Any]) -> list[Entrant]:
    """The run's routers, by label. `shared` is what else their decisions depend on.

    A router asked for by name that cannot run is an `OptionError`; under `all` it is skipped.
    """
    asked: dict[str, tuple[PluginInfo, bool]] = {}
    for text in config.router:
        if text == "all":
            for info in discovery.installed("router"):
                asked.setdefault(info.name, (discovery.find("router", info.name), False))
            continue
        name, at, label = text.partition("@")
        info = discovery.find("router", name)
        full = f"{info.name}@{label}" if at else info.name
        if not _LABEL.fullmatch(info.name) or (at and not _LABEL.fullmatch(label)):
            raise OptionError(f"--router {text}: a label is letters, digits, dots and dashes")
        asked[full] = (info, True)
    known = [*asked, *(label.partition("@")[0] for label in asked)]
    known += [config.suite_name, config.encoder, *filter(None, [config.judge])]
    for name in config.set:
        if name not in known:
            raise OptionError(f"--set {name}: not part of this run", did_you_mean(name, known))
    return [
        _entrant(label, info, named, config, data, shared)
        for label, (info, named) in sorted(asked.items())
    ]


def jobs(ready: Iterable[Entrant], seeds: int, folds: int) -> list[Job]:
    """One job per router, seed and fold."""
    return [
        Job(e.label, e.plugin, e.options, seed, fold, digest([e.fingerprint, seed, fold]))
        for e in ready
        for seed in range(seeds)
        for fold in range(folds)
    ]


def digest(value: Any, length: int = 16) -> str:
    """Hex hash of a JSON-able value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _entrant(
    label: str,
    info: PluginInfo,
    named: bool,
    config: RunConfig,
    data: SuiteData,
    shared: dict[str, Any],
) -> Entrant:
    if not info.ready and not named:
        message = f"needs {', '.join(info.missing)}: {info.pip}"
        return Entrant(label, info, {}, state="skipped", message=message)
    values = config.set.get(info.name, {}) | config.set.get(label, {})
    try:
        cls = discovery.load(info)
        checked = options.validate(cls, label, values)
    except PluginError as error:
        if info.distribution is None:
            raise  # a file is the user's input; an installed plugin breaks its own row only
        return Entrant(label, info, values, state="failed", message=error.message)
    full = checked.model_dump(mode="json")
    reason = _lacks(cls(checked), label, data)
    if reason:
        reason = reason.replace("NAME", label)
        if named:
            raise OptionError(f"router {label!r} {reason}")
        return Entrant(label, info, full, state="skipped", message=reason)
    return Entrant(label, info, full, _fingerprint(info, full, shared))


def _lacks(router: Any, label: str, data: SuiteData) -> str | None:
    """What this run does not have for the router; an option naming no model is an `OptionError`."""
    needs = getattr(router, "needs", None)
    try:
        priced = data.outcomes.cost is not None
        reason: str | None = needs(data.pool, data.visible, priced) if needs else None
    except OptionError as error:
        raise OptionError(f"{label}.{error.message}", error.hint) from error
    return reason


def _fingerprint(info: PluginInfo, values: dict[str, Any], shared: dict[str, Any]) -> str:
    plugin = {
        "name": info.name,
        "target": Path(info.target).name,
        "version": info.version,
        "code": discovery.code_hash(info),
        "options": values,
    }
    return digest([plugin, shared, routebench.__version__])
