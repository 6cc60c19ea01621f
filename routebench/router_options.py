"""The options of commands that use a trained router, each defined once.

Those that a command says in its own words are made with its help.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Option = Callable[[Any], Any]
"""A decorator that adds an option to a command."""

seed: Option = click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    help="Take the router trained with this seed (default 0).",
)
fold: Option = click.option(
    "--fold",
    type=click.IntRange(0),
    default=0,
    help="Take the router trained in this fold (default 0).",
)
models: Option = click.option(
    "--models", multiple=True, metavar="NAME,…", help="Choose among these only."
)
set_: Option = click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of the router that counts in routing, or of a provider or judge.",
)
prices: Option = click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Price what is asked by this file of USD per million tokens; by default by dated lists.",
)
answers_as: Option = click.option(
    "--answers-as",
    metavar="JUDGE",
    help="Read final answers as this judge does; by default as the run's.",
)
spent: Option = click.option(
    "--spent",
    type=float,
    metavar="USD",
    help="Count this as spent of the budget already (default 0).",
)
timeout: Option = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Wait this long for one call (default 120).",
)
license_: Option = click.option(
    "--license", "license_", metavar="ID", help="Name the checkpoint's license, such as apache-2.0."
)
own_point: Option = click.option(
    "--point",
    metavar="NAME",
    help="Let it decide at this operating point, such as within-1pp; by default by its own choice.",
)


def point(text: str) -> Option:
    """Return the option for an operating point."""
    return click.option("--point", metavar="NAME", help=text)


def budget(text: str) -> Option:
    """Return the option for the most that answers may cost."""
    return click.option("--budget", type=float, metavar="USD", help=text)


def providers(text: str) -> Option:
    """Return the option for who is asked, of all models or of one."""
    return click.option(
        "--provider", "providers", multiple=True, metavar="NAME|MODEL=NAME:MODEL", help=text
    )


def allowed(given: tuple[str, ...]) -> list[str]:
    """Return the names that `--models` was given."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]
