"""`routebench list`: the runs below a folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from routebench.printed import echo, echo_json


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="results", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON instead.")
def command(folder: Path, as_json: bool) -> None:
    """List the runs in FOLDER and below it, the newest first; FOLDER is `results` by default.

    Each run is shown with its suite, its routers, when it ended, and its headline, or how an
    interrupted one goes on. Wherever a command takes a RUN, `latest` is the newest one, and a
    folder that holds one run stands for it.
    """
    from routebench.board import find_runs
    from routebench.errors import OptionError

    if not folder.is_dir() and folder != Path("results"):
        raise OptionError(f"{folder}: there is no such folder", "routebench list results")
    runs = [find_runs.summary(run) for run in find_runs.find(folder)]
    if as_json:
        echo_json(json.dumps([asdict(run) | {"folder": str(run.folder)} for run in runs], indent=2))
    elif not runs:
        echo(f"there is no run below {folder}; `routebench run --suite simpleqa` makes one")
    else:
        _show(runs)


def _show(runs: list[Any]) -> None:
    from rich.markup import escape

    from routebench.report.terminal import console

    out = console.make()
    for run in runs:
        when = run.when.replace("T", " ").removesuffix("Z")[:16]
        tone = {"interrupted": "[yellow]", "damaged": "[red]"}.get(run.state, "[bold]")
        out.print(f"{tone}{escape(str(run.folder))}[/]", soft_wrap=True)
        state = [] if run.state == "finished" else [run.state]
        suite = [run.suite] if run.suite else []
        about = escape(" · ".join([*state, *suite, f"{when} UTC", *_routers(run.routers)]))
        out.print(f"  {about}", soft_wrap=True)
        if run.headline:
            out.print(f"  {escape(run.headline)}", soft_wrap=True)


def _routers(names: tuple[str, ...]) -> list[str]:
    """Return the first routers, and how many more there are."""
    if not names:
        return []
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return [", ".join(names[:4]) + more]
