"""Run a grid: what is wrong is said first, and finished boards are kept as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from routebench import pipeline
from routebench.board import run_folder
from routebench.config import RunConfig, dump
from routebench.data.files import is_outcomes_name
from routebench.errors import DataError, RoutebenchError
from routebench.grid.file import Grid, GridRun, located
from routebench.isolation.scratch import scratch_folder
from routebench.isolation.subprocesses import warm_workers
from routebench.jobs import plan
from routebench.limits import parse_toml
from routebench.pipeline import RunListener
from routebench.schema import Leaderboard

_FREE = ("jobs", "job_timeout", "isolation", "volume")
"""Options that decide no number: a board that was made with others is the same board."""


def finished(run: GridRun) -> Leaderboard | None:
    """Return the board of a run that an earlier call has finished, with the same options.

    None where there is none, or it was made with other options. Code and data are not compared.
    """
    if run.config.fresh or not (run.folder / run_folder.BOARD).is_file():
        return None
    try:
        made_with = parse_toml((run.folder / run_folder.RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # also what is no TOML, or no text
        return None
    if _deciding(made_with) != _deciding(parse_toml(dump(run.config))):
        return None
    return run_folder.read(run.folder)


def check(grid: Grid) -> None:
    """Raise an error for what is known to be wrong in any run, before one of them begins.

    Suites, routers, judges, encoders and their options are looked up; no data is read.
    """
    todo = [run for run in grid.runs if finished(run) is None]
    if not todo:
        return
    isolation, device = todo[0].config.isolation, todo[0].config.device
    with scratch_folder() as scratch, warm_workers(scratch, isolation, device) as workers:
        for run in todo:
            try:
                _check_data(run.config)
                pipeline.check(run.config)
                plan.check(run.config, workers)
            except RoutebenchError as error:
                raise located(error, run) from error


def run_grid(grid: Grid, listener: Callable[[GridRun], RunListener]) -> dict[str, Leaderboard]:
    """Carry out all runs that are not finished, and return the boards of all, by suite.

    Raises:
        RoutebenchError: of a run, with the suite's name; what is finished is kept.
        KeyboardInterrupt: the same call goes on from the jobs that are finished.
    """
    boards = {}
    for run in grid.runs:
        board = finished(run)
        if board is None:
            try:
                with listener(run) as each:
                    board = pipeline.run(run.config, each).board
            except RoutebenchError as error:
                raise located(error, run) from error
        boards[run.name] = board
    return boards


def _deciding(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _FREE}


def _check_data(config: RunConfig) -> None:
    data = config.suite_data
    if data and is_outcomes_name(data) and not Path(data).is_file():
        raise DataError(f"{data}: there is no such file", "paths are taken from where you are")
