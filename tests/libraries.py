"""Libraries that a file of tests needs, looked for without importing any of them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest


def needed(*names: str) -> None:
    """Skip the file that calls this, at its top, where one of the libraries is not installed."""
    for name in names:
        if not installed(name):
            pytest.skip(f"{name} is not installed", allow_module_level=True)


def installed(name: str) -> bool:
    """Tell whether a library, or a module of one, could be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # not even the package that the module is in
        return False


class Lazy:
    """Stands for a module that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        # pytest looks for names of its own in whatever a file holds.
        if name.startswith(("_", "pytest")):
            raise AttributeError(name)
        return getattr(importlib.import_module(self._name), name)
