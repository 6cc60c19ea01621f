"""`routebench reprice`: recompute a finished run's board at other prices."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.arguments import RUN
from routebench.printed import echo_json


@click.command()
@click.argument("run", type=RUN)
@click.option(
    "--prices",
    required=True,
    metavar="FILE|list",
    help="Price every model of the pool by a JSON or TOML file, or by vendors' dated lists: list.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the new run folder here; by default beside RUN's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard's JSON instead.")
def command(run: Path, prices: str, out: Path | None, as_json: bool) -> None:
    """Make RUN's leaderboard again at the prices in FILE, from its tokens, without any call.

    RUN is a run folder or its leaderboard.json, `latest`, an id, or a folder that holds one run.
    What routers decided stays; every cost and every comparison of costs is made again, and
    `routebench verify` checks the result like any run.
    """
    from routebench.board import run_folder
    from routebench.report.terminal import console, leaderboard
    from routebench.verify.reprice import reprice

    board, folder = reprice(run, prices, out)
    if as_json:
        echo_json(run_folder.to_json(board), nl=False)
    else:
        leaderboard.show(board, console.make(), folder=folder)
