"""The options of commands that train routers, each defined once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

_F = TypeVar("_F", bound=Callable[..., Any])
_LISTS = {"router", "show", "against", "point"}

OPTIONS: dict[str, Callable[[Any], Any]] = {
    "suite": click.option(
        "--suite", metavar="NAME[:FILE]", help="Suite: simpleqa, or a file: outcomes.csv."
    ),
    "data": click.option(
        "--data", metavar="FILE", help="File the suite reads; same as after the colon."
    ),
    "source": click.option(
        "--source", metavar="NAME", help="Which data a suite takes: embedded or recorded."
    ),
    "map": click.option(
        "--map",
        metavar="COLUMN=NAME,…",
        help="Names of the file's columns: query=prompt,score=rating; of JSON also paths, a.0.b.",
    ),
    "score-max": click.option(
        "--score-max", type=float, metavar="N", help="What the file's scores go up to."
    ),
    "router": click.option(
        "--router",
        multiple=True,
        metavar="NAME,…",
        help="Routers: names, name@label, file.py:Class, or all (the default).",
    ),
    "prices": click.option(
        "--prices",
        metavar="FILE|list",
        help="Prices in USD per million tokens, JSON or TOML; list: vendors' dated list prices.",
    ),
    "show": click.option(
        "--show",
        multiple=True,
        metavar="COLUMN,…",
        help="Query columns that routers may see, such as task.",
    ),
    "task": click.option(
        "--task",
        type=click.Choice(["hidden", "train", "all"]),
        help="Who sees a query's task: no router, training (the default), or training and routing.",
    ),
    "split": click.option(
        "--split",
        type=click.Choice(["auto", "given", "hash"]),
        help="The table's own split, or one by text hash. Default: its own where it has one.",
    ),
    "split-seed": click.option(
        "--split-seed", type=int, help="Another seed gives another hash split."
    ),
    "folds": click.option(
        "--folds", type=int, metavar="K", help="Cross-fit: every query is tested once."
    ),
    "protocol": click.option(
        "--protocol",
        type=click.Choice(["query", "user", "llm"]),
        help="What training never saw: test queries, also their users, or also some models.",
    ),
    "shots": click.option(
        "--shots", type=int, metavar="K", help="Training queries by which such users are known."
    ),
    "seeds": click.option(
        "--seeds", type=int, metavar="N", help="Train every router with N seeds (default 1)."
    ),
    "encoder": click.option(
        "--encoder",
        metavar="NAME[:MODEL]",
        help="Text encoder for the routers that use one, such as hf:allenai/longformer-base-4096.",
    ),
    "profile": click.option(
        "--profile",
        type=click.Choice(["embedded", "paper"]),
        help="Defaults that need no download, or those of the sources.",
    ),
    "perturb": click.option(
        "--perturb", type=int, metavar="N", help="Test queries also asked perturbed (default 100)."
    ),
    "against": click.option(
        "--against",
        multiple=True,
        metavar="ROUTER,…",
        help="Compare all routers with these too; the first one is shown.",
    ),
    "point": click.option(
        "--point",
        multiple=True,
        metavar="NAME,…",
        help="More operating points: savings=40%, drop=0.5pp, cost=0.2 (USD per 1,000 queries).",
    ),
    "margin": click.option(
        "--margin", metavar="1pp", help="Accuracy that may be lost: each router's verdict."
    ),
    "volume": click.option(
        "--volume", metavar="N/day", help="Print dollars a month too: 100000/day."
    ),
    "objective": click.option(
        "--objective", metavar="performance=P,cost=C", help="What routers are to optimise."
    ),
    "judge": click.option("--judge", metavar="NAME", help="Grade answers that have no score."),
    "answers-as": click.option(
        "--answers-as",
        metavar="JUDGE",
        help="Read final answers as this judge does, for routers that see answers; grades stay.",
    ),
    "device": click.option("--device", metavar="cpu|cuda[:N]", help="Where routers are trained."),
    "set": click.option(
        "--set",
        "set_",
        multiple=True,
        metavar="NAME.OPTION=VALUE",
        help="An option of a router, suite, judge or encoder.",
    ),
    "max-missing": click.option(
        "--max-missing",
        type=float,
        metavar="SHARE",
        help="Missing test cells above which the run is invalid (default 0.01).",
    ),
    "assume-output-tokens": click.option(
        "--assume-output-tokens",
        type=int,
        metavar="N",
        help="Answer length where none is recorded (default 256).",
    ),
    "file": click.option(
        "--file",
        type=click.Path(path_type=Path),
        help="TOML run file, or YAML of LLMRouter; options given here win over it.",
    ),
    "out": click.option("--out", metavar="DIR", help="Run folder. Default: results/SUITE/HASH."),
    "jobs": click.option(
        "--jobs", type=int, metavar="N", help="Jobs at a time. Default: one per core on a CPU."
    ),
    "job-timeout": click.option(
        "--job-timeout",
        type=float,
        metavar="SECONDS",
        help="Time for one job, fit and route together.",
    ),
    "isolation": click.option(
        "--isolation",
        type=click.Choice(["fork", "spawn"]),
        help="Fork jobs from a warm process (default on Linux's CPUs), or start each fresh.",
    ),
    "fresh": click.option(
        "--fresh", is_flag=True, default=None, help="Start over instead of resuming."
    ),
}


def add(*names: str) -> Callable[[_F], _F]:
    """Return a decorator that adds the named options, or all, in their order here."""

    def decorate(function: _F) -> _F:
        for name in reversed(OPTIONS):
            if not names or name in names:
                function = OPTIONS[name](function)
        return function

    return decorate


def read_file(file: Path | None, routers: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a run file, TOML or another system's YAML, and notes on the reading.

    `routers` are those given beside it.
    """
    from routebench import config
    from routebench.importers import run_files

    if file is None:
        return {}, []
    if file.suffix.lower() not in run_files.SUFFIXES:
        return config.read(file), []
    named = [part for text in routers for part in text.split(",") if part]
    found = run_files.read(file, named)
    return found.values, found.notes


def given_values(ctx: click.Context, given: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """Return the options given on the command line, in the run file's terms."""
    from routebench.errors import OptionError
    from routebench.plugin import options

    values: dict[str, Any] = {}
    for name, value in given.items():
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if name in _LISTS:
            values[name] = [part for text in value for part in text.split(",") if part]
        elif name == "set_":
            base = {plugin: dict(own) for plugin, own in file.get("set", {}).items()}
            for plugin, own in options.parse(value).items():
                base[plugin] = base.get(plugin, {}) | own
            values["set"] = base
        elif name == "objective":
            pairs = [part.partition("=") for part in value.split(",")]
            if not all(equals for _, equals, _ in pairs):
                raise OptionError(f"--objective {value!r}: expected performance=P,cost=C")
            values["objective"] = {key.strip(): weight for key, _, weight in pairs}
        else:
            values[name] = value
    return values
