"""`routebench compare`: a paired comparison of two runs, or of two routers of one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from routebench.arguments import RUN
from routebench.printed import echo_json


@click.command()
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN…")
@click.option(
    "--router",
    multiple=True,
    metavar="NAME,…",
    help="Compare these routers only; with one RUN, these two.",
)
@click.option(
    "--flips",
    type=click.IntRange(0),
    default=5,
    help="List N changed queries per router (default 5).",
)
@click.option(
    "--by",
    type=click.Choice(["score", "cost"]),
    default="score",
    help="List the queries whose score, or whose cost, changed most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def command(
    runs: tuple[Path, ...],
    router: tuple[str, ...],
    flips: int,
    by: Literal["score", "cost"],
    as_json: bool,
) -> None:
    """Compare the routers of RUNs, each later one with the first: differences are later − first.

    \b
    routebench compare results/simpleqa/old results/simpleqa/new
    routebench compare results/simpleqa/new --router knn,linear

    A RUN is a run folder or its leaderboard.json, `latest`, an id, or a folder that holds one
    run. Exit code 3 where runs are on another suite,
    split, outcomes, judge or pool.
    """
    from routebench.comparison.compare import compare, to_json
    from routebench.report.terminal import comparison, console

    names = [name for text in router for name in text.split(",") if name]
    found = compare(runs, names, flips, by)
    if as_json:
        echo_json(to_json(found), nl=False)
    else:
        comparison.show(found, console.make())
