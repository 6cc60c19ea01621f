"""Imports from the `report` extra, which a user may not have installed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from routebench.errors import OptionError


def import_extra(module: str, purpose: str) -> ModuleType:
    """Return a module of the `report` extra, which `purpose` needs.

    Raises:
        OptionError: with the pip command, where the module is missing.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise OptionError(
            f"{purpose} needs {name}, which is not installed", "pip install 'routebench[report]'"
        ) from error
