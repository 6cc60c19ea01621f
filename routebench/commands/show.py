"""`routebench show`: print the table of a finished run."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.arguments import RUN
from routebench.printed import echo_json


@click.command()
@click.argument("run", type=RUN)
@click.option("--wide", is_flag=True, help="Show timings too.")
@click.option("--curves", is_flag=True, help="Show trade-offs of quality and cost too.")
@click.option(
    "--against", metavar="ROUTER", help="Compare with this router of the run's --against."
)
@click.option("--volume", metavar="N/day", help="Print dollars a month too: 100000/day.")
@click.option(
    "--query", metavar="ID", help="Show one test query: its answers, and what each router chose."
)
@click.option(
    "--point", metavar="NAME", help="Show the query's choices at a point, such as within-1pp."
)
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard's JSON instead.")
def command(
    run: Path,
    wide: bool,
    curves: bool,
    against: str | None,
    volume: str | None,
    query: str | None,
    point: str | None,
    as_json: bool,
) -> None:
    """Show the leaderboard of RUN.

    RUN is a run folder or its leaderboard.json, `latest`, an id, or a folder that holds one run.
    `routebench list` has all of them.
    """
    from routebench.board import run_folder
    from routebench.errors import OptionError
    from routebench.report.format import BASELINE
    from routebench.report.terminal import console, leaderboard
    from routebench.report.volume import Volume

    board = run_folder.read(run)
    if point is not None and query is None:
        raise OptionError(f"--point {point}: of which query?", "--query ID, or --curves for all")
    if query is not None:
        from routebench.board.read_run import read_run
        from routebench.report.terminal import query as query_terminal

        query_terminal.show(read_run(run, board=board), query, point, console.make())
        return
    if as_json:
        echo_json(run_folder.to_json(board), nl=False)
    else:
        baseline = against or BASELINE
        known = {name for row in board.rows for name in row.against}
        if against and baseline not in known:
            raise OptionError(
                f"--against {baseline}: the board compares with {', '.join(sorted(known))}",
                f"run again with --against {baseline}; finished jobs are not repeated",
            )
        out = console.make(wide=wide)
        queries = Volume.parse(volume) if volume else None
        leaderboard.show(board, out, wide=wide, curves=curves, baseline=baseline, volume=queries)
