"""`routebench run`: train and score routers on a suite."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Any

import click

from routebench import run_options
from routebench.printed import echo, echo_json


@click.command()
@run_options.add()
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the jobs, how long they take and what is skipped; train nothing.",
)
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--wide", is_flag=True, help="Show timings too.")
@click.option("--curves", is_flag=True, help="Show trade-offs of quality and cost too.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard's JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    dry_run: bool,
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

    With `--shard 0/3`, `1/3` and `2/3` three machines share the jobs; `routebench merge` makes the
    board of their folders.

    Run again after an interruption, the same command goes on where it stopped. `routebench list`
    shows all runs, and `routebench show latest` the newest.
    """
    from routebench import config
    from routebench.board.run_folder import to_json
    from routebench.pipeline import run
    from routebench.report.format import BASELINE
    from routebench.report.terminal import console, leaderboard
    from routebench.report.terminal.progress import QuietProgress, RunProgress
    from routebench.report.volume import Volume

    values, notes = run_options.read_file(file, given["router"])
    values |= run_options.given_values(ctx, given, values)
    chosen = config.make(values)
    volume = Volume.parse(chosen.volume) if chosen.volume else None
    errors = console.make(error=True)
    for note in [] if quiet else [*notes, *config.older_names(values)]:
        errors.print(f"note: {note}", markup=False)
    progress = QuietProgress(errors) if quiet or as_json else RunProgress(errors, chosen)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, like Ctrl-C
    try:
        with progress as listener:
            if dry_run:
                _dry_run(chosen, listener, as_json)
                return
            if chosen.shard is not None:
                ctx.exit(_shard(chosen, listener, as_json))
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
        if not quiet:
            for line in next_steps(done.board, done.folder):
                errors.print(line, markup=False, soft_wrap=True)
    ctx.exit(exit_code(done.board))


def next_steps(board: Any, folder: Path) -> list[str]:
    """Return what to do after a run on simulated answers, which most try first."""
    from importlib.util import find_spec

    if board.suite.source != "simulated":
        return []
    install = "" if find_spec("jinja2") else "pip install 'routebench[report]' && "
    steps = {
        f"{install}routebench report {shlex.quote(str(folder))} --open": "see it as a page",
        "routebench run --suite outcomes.csv --folds 5": "run on your own answers: docs/data.md",
        f"routebench run --suite {board.suite.name} --router my_router.py:MyRouter,best-single": (
            "try a router of yours: docs/write-a-router.md"
        ),
    }
    room = max(map(len, steps))
    lines = [f"  {command:<{room}}  {words}" for command, words in steps.items()]
    return ["", "next:", *lines]


def _shard(config: Any, listener: Any, as_json: bool) -> int:
    """Run a shard and say what comes next; return 1 if a router failed."""
    from routebench.shards.run import run_shard

    done = run_shard(config, listener)
    if as_json:
        echo_json(done.record.model_dump_json(indent=2))
        return 1 if done.record.failed else 0
    failed = f", {len(done.record.failed)} failed" if done.record.failed else ""
    every = f"{shlex.quote(str(done.folder.parent))}/*"
    echo(
        f"shard {done.record.shard}: {done.jobs} of {len(done.record.jobs)} jobs{failed}, in"
        f" {done.folder}\nwhen all shards are done:"
        f" routebench merge {every} --out {shlex.quote(str(done.whole))}"
    )
    return 1 if done.record.failed else 0


def _dry_run(config: Any, listener: Any, as_json: bool) -> None:
    from routebench.dry_run import dry_run
    from routebench.report.terminal import console, planned

    plan = dry_run(config, listener)
    if as_json:
        echo_json(planned.to_json(plan))
    else:
        planned.show(plan, console.make())


def exit_code(board: Any) -> int:
    """Return 0 for a finished run, 1 if a router failed, 3 if too many cells are missing."""
    if not board.valid:
        return 3
    return 1 if any(row.state == "failed" for row in board.rows) else 0
