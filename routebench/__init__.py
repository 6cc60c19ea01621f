"""RouteBench, a benchmark harness for LLM routers.

A router is a program that chooses, for every query, which language model answers. RouteBench
trains and scores routers on recorded answers, and says what each saves, at what loss.

    import routebench as rb

    run = rb.run("outcomes.csv", routers=["knn", "linear", "best-single"], folds=5)
    run.leaderboard()    # one row per router: verdict, accuracy, cost, savings
    run.points()         # every operating point
    run.decisions()      # which model each router chose for each test query
    rb.load("latest")    # the newest run below results/
    rb.compare(old, new) # two runs, query by query
    rb.gate(old, new)    # may the new one replace the old one?

The table may also be a suite's name ("simpleqa"), a pandas DataFrame or a pyarrow Table;
`help(rb.run)` lists every argument. What goes
wrong is a `RoutebenchError` that names the place; its `hint` says what to do.

The other names here are for authors of plugins: a router is a class with `@hookimpl def
route(self, queries)`, which gets `Queries` and returns `Decisions`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routebench.api.runs import GateDecision, PairedRuns, Run, compare, gate, load, run
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
    "GateDecision",
    "Grade",
    "Grades",
    "Objective",
    "OptionError",
    "Outcomes",
    "PairedRuns",
    "PluginError",
    "Pool",
    "QualityRouter",
    "Queries",
    "RoutebenchError",
    "Run",
    "State",
    "Steps",
    "SuiteData",
    "Table",
    "Usage",
    "WordWeights",
    "__version__",
    "compare",
    "gate",
    "hookimpl",
    "hookspec",
    "load",
    "run",
]

# No module is named like one of these: importing it would put the module in their place.
_INTERFACE = ("GateDecision", "PairedRuns", "Run", "compare", "gate", "load", "run")

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
    if name in _INTERFACE:
        return getattr(import_module("routebench.api.runs"), name)
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"routebench.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'routebench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
