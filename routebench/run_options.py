"""The options of commands that train routers, each defined once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

_F = TypeVar("_F", bound=Callable[..., Any])
_LISTS = {"router", "show", "against", "point", "online"}

OPTIONS: dict[str, Callable[[Any], Any]] = {
    "suite": click.option(
        "--suite",
        metavar="NAME[:FILE]",
        help="Run on this suite, such as simpleqa, or on a file: outcomes.csv.",
    ),
    "data": click.option(
        "--data", metavar="FILE", help="Let the suite read this file, as after the colon."
    ),
    "source": click.option(
        "--source", metavar="NAME", help="Take the suite's embedded or its recorded data."
    ),
    "add": click.option(
        "--add",
        metavar="FILE",
        help="Train on these outcomes too, a store or a table; none of them is tested.",
    ),
    "map": click.option(
        "--map",
        metavar="COLUMN=NAME,…",
        help="Read columns of other names: query=prompt,score=rating; of JSON also paths, a.0.b.",
    ),
    "score-max": click.option(
        "--score-max", type=float, metavar="N", help="Read scores that go up to N."
    ),
    "router": click.option(
        "--router",
        multiple=True,
        metavar="NAME,…",
        help="Run these routers: names, name@label, file.py:Class, a family, or all (the default).",
    ),
    "prices": click.option(
        "--prices",
        metavar="FILE|list",
        help="Price tokens by this JSON or TOML file of USD per million, or by vendors' lists.",
    ),
    "show": click.option(
        "--show",
        multiple=True,
        metavar="COLUMN,…",
        help="Show routers these columns of the queries, such as task.",
    ),
    "task": click.option(
        "--task",
        type=click.Choice(["hidden", "train", "all"]),
        help="Show tasks to no router, in training (the default), or in training and routing.",
    ),
    "split": click.option(
        "--split",
        type=click.Choice(["auto", "given", "hash"]),
        help="Split as the table says, or by text hash; by default as it says where it does.",
    ),
    "split-seed": click.option(
        "--split-seed", type=int, help="Draw another hash split with another seed."
    ),
    "folds": click.option(
        "--folds",
        type=int,
        metavar="K",
        help="Cross-fit with K folds, so that every query is tested once.",
    ),
    "inner-folds": click.option(
        "--inner-folds",
        type=int,
        metavar="K",
        help="Choose points by 3 to 20 inner fits, refit on train and validation (cheap routers).",
    ),
    "protocol": click.option(
        "--protocol",
        type=click.Choice(["query", "user", "llm", "online"]),
        help="Keep from training the test queries, also users or models, or let queries arrive.",
    ),
    "online": click.option(
        "--online",
        multiple=True,
        metavar="KEY=VALUE,…",
        help="Set up the stream: start=warm, batch=N, delay=N, trade_off=λ, swap=A:B, later=FILE.",
    ),
    "shots": click.option(
        "--shots",
        type=int,
        metavar="K",
        help="Let such users, or models, be known by K training queries.",
    ),
    "seeds": click.option(
        "--seeds", type=int, metavar="N", help="Train every router with N seeds (default 1)."
    ),
    "encoder": click.option(
        "--encoder",
        metavar="NAME[:MODEL]",
        help="Encode texts for routers that use vectors, such as hf:allenai/longformer-base-4096.",
    ),
    "profile": click.option(
        "--profile",
        type=click.Choice(["embedded", "paper"]),
        help="Take defaults that need no download, or those of the papers.",
    ),
    "perturb": click.option(
        "--perturb",
        type=int,
        metavar="N",
        help="Ask N test queries in perturbed forms too (default 100).",
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
        help="Add operating points: savings=40%, drop=0.5pp, cost=0.2 (USD per 1,000 queries).",
    ),
    "margin": click.option(
        "--margin",
        metavar="1pp",
        help="Judge each router by whether it loses less accuracy than this.",
    ),
    "volume": click.option(
        "--volume", metavar="N/day", help="Print dollars a month too: 100000/day."
    ),
    "objective": click.option(
        "--objective",
        metavar="performance=P,cost=C",
        help="Let routers optimise this sum of performance and cost.",
    ),
    "judge": click.option("--judge", metavar="NAME", help="Grade answers that have no score."),
    "answers-as": click.option(
        "--answers-as",
        metavar="JUDGE",
        help="Read final answers as this judge does, for routers that see answers; grades stay.",
    ),
    "device": click.option(
        "--device", metavar="cpu|cuda[:N]", help="Train routers on this device."
    ),
    "set": click.option(
        "--set",
        "set_",
        multiple=True,
        metavar="NAME.OPTION=VALUE",
        help="Set an option of a router, suite, judge or encoder.",
    ),
    "max-missing": click.option(
        "--max-missing",
        type=float,
        metavar="SHARE",
        help="Call the run invalid above this share of missing test cells (default 0.01).",
    ),
    "assume-output-tokens": click.option(
        "--assume-output-tokens",
        type=int,
        metavar="N",
        help="Assume answers of N tokens where no length is recorded (default 256).",
    ),
    "file": click.option(
        "--file",
        type=click.Path(path_type=Path),
        help="Take options from a TOML run file or LLMRouter's YAML; those given here win.",
    ),
    "keep-texts": click.option(
        "--keep-texts",
        is_flag=True,
        default=None,
        help="Keep the queries' texts in the run folder, for the report; by default it has none.",
    ),
    "out": click.option(
        "--out", metavar="DIR", help="Write the run folder here; by default results/SUITE/HASH."
    ),
    "jobs": click.option(
        "--jobs",
        type=int,
        metavar="N",
        help="Run N jobs at a time; by default one per core on a CPU.",
    ),
    "job-timeout": click.option(
        "--job-timeout",
        type=float,
        metavar="SECONDS",
        help="End a job that takes longer than this, fit and route together.",
    ),
    "isolation": click.option(
        "--isolation",
        type=click.Choice(["fork", "spawn"]),
        help="Fork jobs from a warm process (default on Linux's CPUs), or start each fresh.",
    ),
    "executor": click.option(
        "--executor",
        metavar="NAME[:ADDRESS]",
        help="Run jobs there: local (the default), or ray on the nodes of a cluster.",
    ),
    "shard": click.option(
        "--shard",
        metavar="i/n|auto",
        help="Run one of n parts of the jobs, 0/n to n-1/n, for `merge`; auto: a Slurm task's.",
    ),
    "fresh": click.option(
        "--fresh",
        is_flag=True,
        default=None,
        help="Start over instead of resuming, and replace another run's board.",
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
