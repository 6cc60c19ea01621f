"""A router of a run, as its plan and its board know it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routebench.files import sha256
from routebench.plugin.discovery import PluginInfo


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
    starts_processes: bool = False
    personal: bool = False
    libraries: tuple[str, ...] = ()
    deterministic: bool = False
    effort: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    needs_network: bool = False
    steps: bool = False
    trades_off: bool = False
    reference: bool = False
    """Whether it declares itself a reference, of which no verdict is made."""
    inner_folds: int = 0
    """Inner fits of each of its jobs; 0 for a router that is not cross-fitted."""
    updates: bool = False
    """Whether it learns online: it has `update`."""


def digest(value: Any, length: int = 16) -> str:
    """Return a hex hash of a JSON-able value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return sha256(text.encode())[:length]
