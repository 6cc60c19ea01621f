"""The options of commands that buy answers, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Option = Callable[[Any], Any]
"""A decorator that adds an option to a command."""

data: Option = click.option(
    "--data", metavar="FILE", help="Let the suite read this file, as after the colon."
)
source: Option = click.option("--source", metavar="NAME", help="Take this data of the suite.")
judge: Option = click.option("--judge", metavar="NAME", help="Grade the answers with this judge.")
budget: Option = click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="USD",
    help="Keep what the store's answers cost in all within this, with what was paid earlier.",
)
store: Option = click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep answers in this store.",
)
set_: Option = click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of a suite, provider or judge.",
)
