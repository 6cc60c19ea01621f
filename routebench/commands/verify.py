"""`routebench verify`: check that every number of a board follows from its files."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.arguments import RUN
from routebench.printed import echo_json


@click.command()
@click.argument("run", type=RUN)
@click.option(
    "--regrade",
    is_flag=True,
    help="Load the suite again, too, as run.toml says, and grade its answers anew.",
)
@click.option(
    "--reroute",
    is_flag=True,
    help="Load the suite again, too, and ask the checkpoints for every decision.",
)
@click.option(
    "--router",
    "routers",
    multiple=True,
    metavar="FILE.py:CLASS",
    help="Let --reroute run this router of a file.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Check that the run is signed with this public key.",
)
@click.option(
    "--first", type=click.IntRange(1), default=10, help="Show the first N differences (default 10)."
)
@click.option("--json", "as_json", is_flag=True, help="Print counts and differences as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    regrade: bool,
    reroute: bool,
    routers: tuple[str, ...],
    key: Path | None,
    first: int,
    as_json: bool,
) -> None:
    """Make every number of RUN's leaderboard again, offline, and compare.

    RUN is a run folder or its leaderboard.json, `latest`, an id, or a folder that holds one run.
    Exit code 0 where all agree to nine digits, 1 where a number or a file differs.
    """
    from routebench.report.terminal import console, verified
    from routebench.verify.verify import verify

    result = verify(run, regrade, reroute, routers, key)
    if as_json:
        echo_json(verified.to_json(result), nl=False)
    else:
        verified.show(result, console.make(), first)
    ctx.exit(1 if result.mismatches else 0)
