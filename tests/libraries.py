"""Libraries that a file of tests needs, looked for without importing any of them."""

from __future__ import annotations

import importlib.util

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
