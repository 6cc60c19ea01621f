"""`routebench train`: train one router on a suite, and keep it in a folder."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from routebench import router_options, run_options
from routebench.printed import echo, echo_json


@click.command()
@run_options.add(
    *(
        "suite",
        "add",
        "router",
        "data",
        "source",
        "map",
        "score-max",
        "prices",
        "show",
        "task",
        "split",
    ),
    *("split-seed", "encoder", "profile", "objective", "judge", "answers-as", "device", "set"),
    *(
        "inner-folds",
        "max-missing",
        "assume-output-tokens",
        "file",
        "jobs",
        "job-timeout",
        "isolation",
        "fresh",
    ),
)
@router_options.own_point
@click.option(
    "--out",
    "checkpoint",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Write the checkpoint into this new folder.",
)
@click.option(
    "--run", "out", metavar="DIR", help="Keep the run folder here; by default results/SUITE/HASH."
)
@click.option("--all-data", is_flag=True, help="Train on the test part too, once it is measured.")
@click.option("--no-test", is_flag=True, help="Route no test query: nothing is measured.")
@router_options.license_
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the checkpoint's description.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    checkpoint: Path,
    point: str | None,
    all_data: bool,
    no_test: bool,
    license_: str | None,
    quiet: bool,
    as_json: bool,
    file: Path | None,
    **given: Any,
) -> None:
    """Train a router on the training part of a suite, and write a checkpoint that stands alone.

    \b
    routebench train --suite simpleqa --router mf --point within-1pp --out mf-checkpoint
    routebench train --suite table:outcomes.csv --prices list --router knn --all-data --out knn-all
    routebench route mf-checkpoint "Who wrote Emma?"

    It is trained as a run trains it, tuned on the validation part, which chooses the operating
    points too, and measured on the test part; the run folder is kept. With --all-data it is then
    trained on the test part as well, and its card has no results of its own.
    """
    from routebench import config
    from routebench.deploy.train import train
    from routebench.errors import OptionError
    from routebench.report.terminal import console
    from routebench.report.terminal.progress import QuietProgress, RunProgress

    values, notes = run_options.read_file(file, given["router"])
    values |= run_options.given_values(ctx, given, values)
    if not values.get("router"):
        raise OptionError("no router given", "--router NAME, for example --router mf")
    chosen = config.make(values)
    errors = console.make(error=True)
    for note in [] if quiet else [*notes, *config.older_names(values)]:
        errors.print(f"note: {note}", markup=False)
    progress = QuietProgress(errors) if quiet or as_json else RunProgress(errors, chosen)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, like Ctrl-C
    try:
        with progress as listener:
            made = train(
                chosen,
                checkpoint,
                listener,
                point=point,
                measure=not no_test,
                all_data=all_data,
                license=license_,
            )
    except KeyboardInterrupt:
        ctx.exit(130)
    if as_json:
        echo_json(made.model_dump_json(indent=2))
    else:
        echo(
            f"{made.router} at {made.point}, trained on {', '.join(made.trained_on)}: {checkpoint}"
        )
