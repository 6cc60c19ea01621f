"""`routebench run`: train and score routers on a suite."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from routebench import run_options
from routebench.printed import echo_json


@click.command()
@run_options.add()
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
@click.option("--wide", is_flag=True, help="Show timings too.")
@click.option("--curves", is_flag=True, help="Show trade-offs of quality and cost too.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard's JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    quiet: bool,
    wide: bool,
    curves: bool,
    as_json: bool,
    file: Path | None,
    **given: Any,
) -> None:
    """Train routers on a suite, route its test queries, write a leaderboard.

    \b
    routebench run --suite simpleqa --router all
    routebench run --suite table:outcomes.parquet --prices prices.json --folds 5
    routebench run --suite table:outcomes.csv --router knn,./mine.py:MyRouter

    Run again after an interruption, the same command goes on where it stopped.
    """
    from routebench import config
    from routebench.board.run_folder import to_json
    from routebench.report.format import BASELINE
    from routebench.report.terminal import console, leaderboard
    from routebench.report.terminal.progress import RunProgress
    from routebench.report.volume import Volume
    from routebench.run import RunListener, run

    values, notes = run_options.read_file(file, given["router"])
    values |= run_options.given_values(ctx, given, values)
    chosen = config.make(values)
    volume = Volume.parse(chosen.volume) if chosen.volume else None
    errors = console.make(error=True)
    for note in [] if quiet else [*notes, *config.older_names(values)]:
        errors.print(f"note: {note}", markup=False)
    progress = RunListener() if quiet or as_json else RunProgress(errors, chosen)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, like Ctrl-C
    try:
        with progress as listener:
            done = run(chosen, listener)
    except KeyboardInterrupt:
        ctx.exit(130)
    if as_json:
        echo_json(to_json(done.board), nl=False)
    else:
        out = console.make(wide=wide)
        baseline = chosen.against[0] if chosen.against else BASELINE
        leaderboard.show(
            done.board,
            out,
            wide=wide,
            curves=curves,
            folder=done.folder,
            baseline=baseline,
            volume=volume,
        )
    ctx.exit(_exit_code(done.board))


def _exit_code(board: Any) -> int:
    """Return 0 for a finished run, 1 if a router failed, 3 if too many cells are missing."""
    if not board.valid:
        return 3
    return 1 if any(row.state == "failed" for row in board.rows) else 0
