"""RouteBench, a benchmark harness for LLM routers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routebench.bought import Bought, Steps
    from routebench.errors import DataError, OptionError, PluginError, RoutebenchError
    from routebench.hookspecs import Context, FittedEncoder, hookimpl, hookspec
    from routebench.records import (
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
    from routebench.routers.quality_router import QualityRouter
    from routebench.routers.state import DeclaredState
    from routebench.routers.words import WordWeights

__version__ = "0.1.0"

__all__ = [
    "Bought",
    "Context",
    "DataError",
    "Decisions",
    "DeclaredState",
    "FittedEncoder",
    "Grade",
    "Grades",
    "Objective",
    "OptionError",
    "Outcomes",
    "PluginError",
    "Pool",
    "QualityRouter",
    "Queries",
    "RoutebenchError",
    "State",
    "Steps",
    "SuiteData",
    "Table",
    "Usage",
    "WordWeights",
    "__version__",
    "hookimpl",
    "hookspec",
]

_HOMES = (
    "errors",
    "hookspecs",
    "records",
    "bought",
    "routers.words",
    "routers.state",
    "routers.quality_router",
)


def __getattr__(name: str) -> Any:
    # Loaded on first use, the lightest module first: `--help` must not wait for numpy.
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"routebench.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'routebench' has no attribute {name!r}")
