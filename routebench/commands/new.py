"""`routebench new`: a distribution with a plugin that works, to change into one's own."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.printed import echo


@click.command()
@click.argument("kind", type=click.Choice(("router", "suite", "judge", "provider", "encoder")))
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write to this new folder (routebench-NAME).",
)
def command(kind: str, name: str, out: Path | None) -> None:
    """Write a distribution with a plugin of KIND that works, and passes its own tests.

    \b
    routebench new router first-word
    pip install -e routebench-first-word
    routebench check first-word

    It has the entry point by which RouteBench finds the plugin, its package, a README and tests.
    Nothing is ever overwritten.
    """
    from routebench import scaffold

    new = scaffold.check_name(kind, name)
    folder = out or Path(new.distribution)
    for path in scaffold.write(new, folder):
        echo(path)
    echo(f"next: pip install -e {folder} && routebench check {name}")
