"""RouteBench: does this router save money without losing answers, and is it real?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Loaded on first use: `routebench --help` must not wait for numpy.
_HOME = {
    **dict.fromkeys(["hookimpl", "hookspec"], "routebench.hookspecs"),
    **dict.fromkeys(
        [
            "Context", "Decisions", "Grade", "Grades", "Objective", "Outcomes", "Pool",
            "Queries", "State", "SuiteData", "Table", "Usage",
        ],
        "routebench.records",
    ),
    **dict.fromkeys(
        ["DataError", "OptionError", "PluginError", "RoutebenchError"], "routebench.errors"
    ),
}  # fmt: skip

__all__ = ["__version__", *_HOME]  # noqa: PLE0604

if TYPE_CHECKING:
    from routebench.errors import DataError, OptionError, PluginError, RoutebenchError
    from routebench.hookspecs import hookimpl, hookspec
    from routebench.records import (
        Context,
        Decisions,
        Grade,
        Grades,
        Objective,
        Outcomes,
        Pool,
        Queries,
        State,
        SuiteData,
        Table,
        Usage,
    )


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'routebench' has no attribute {name!r}")
