"""`routebench grid`: routers on many suites, and one page of all boards."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from routebench.printed import echo_json

RESULT, PAGE = "grid.json", "grid.html"


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.toml")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the run folders and the page here; by default results/grid/NAME.",
)
@click.option("--jobs", type=int, metavar="N", help="Run N jobs at a time, whatever FILE says.")
@click.option(
    "--fresh", is_flag=True, help="Start all runs over, in place of finished boards and jobs too."
)
@click.option(
    "--dry-run", is_flag=True, help="Print what would run and how long it takes; train nothing."
)
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the result's JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path,
    out: Path | None,
    jobs: int | None,
    fresh: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run all suites of FILE.toml, and rank the routers over them.

    Options of `routebench run` at the top of the file go for all suites; a table [suites.NAME]
    names one suite, with options of its own. Each is a run folder under the grid's, a finished
    one is kept, and the same command goes on after an interruption. The page is grid.html, the
    result grid.json.
    """
    from routebench.grid import file as grid_file
    from routebench.grid.result import grid_result
    from routebench.grid.run import check, run_grid
    from routebench.report.terminal import console, grid
    from routebench.report.web.templates import import_extra

    more: dict[str, Any] = {"fresh": fresh} | ({} if jobs is None else {"jobs": jobs})
    chosen = grid_file.read(file, out, **more)
    errors = console.make(error=True)
    listener = _listener(errors, quiet or as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, like Ctrl-C
    try:
        if dry_run:
            check(chosen)
            _dry_run(chosen, listener, as_json)
            return
        import_extra("jinja2", "the page")
        check(chosen)
        boards = run_grid(chosen, listener)
    except KeyboardInterrupt:
        ctx.exit(130)
    result = grid_result(chosen.name, boards)
    _write(chosen.folder, result)
    if as_json:
        echo_json((chosen.folder / RESULT).read_text(encoding="utf-8"), nl=False)
    else:
        grid.show(result, console.make())
        errors.print(f"written to {chosen.folder / PAGE}", markup=False, soft_wrap=True)
    ctx.exit(_exit_code(boards.values()))


def _listener(errors: Any, quiet: bool) -> Callable[[Any], Any]:
    """Return what makes the listener of each run; it says first which suite begins."""
    from routebench.pipeline import RunListener
    from routebench.report.terminal.progress import QuietProgress, RunProgress

    def listener(run: Any) -> RunListener:
        if quiet:
            return QuietProgress(errors)
        errors.print(f"suite {run.name}", markup=False, style="bold")
        return RunProgress(errors, run.config)

    return listener


def _dry_run(chosen: Any, listener: Callable[[Any], Any], as_json: bool) -> None:
    """Print the plan of every run that is not finished, and which ones are."""
    import json

    from routebench.dry_run import dry_run
    from routebench.grid.run import finished
    from routebench.report.terminal import console, planned

    out, plans = console.make(), {}
    for run in chosen.runs:
        if finished(run) is not None:
            plans[run.name] = {"folder": str(run.folder), "state": "finished"}
            if not as_json:
                out.print(f"{run.name}: finished, kept in {run.folder}", markup=False)
            continue
        with listener(run) as each:
            plan = dry_run(run.config, each)
        plans[run.name] = json.loads(planned.to_json(plan)) | {"state": "to run"}
        if not as_json:
            out.print(f"{run.name}", markup=False, style="bold")
            planned.show(plan, out)
            out.print()
    if as_json:
        echo_json(json.dumps(plans, indent=2))


def _write(folder: Path, result: Any) -> None:
    from routebench.files import replace_file
    from routebench.grid.schema import to_json
    from routebench.report.web.grid import grid_page

    for name, text in ((RESULT, to_json(result)), (PAGE, grid_page(result))):
        replace_file(folder / name, text.encode("utf-8", "replace"))


def _exit_code(boards: Any) -> int:
    """Return 0, 1 if a router failed, 3 if too many cells of a suite are missing."""
    boards = list(boards)
    if not all(board.valid for board in boards):
        return 3
    return int(any(row.state == "failed" for board in boards for row in board.rows))
