"""`routebench export`: a router of a finished run as a checkpoint folder that stands alone."""

from __future__ import annotations

from pathlib import Path

import click

from routebench import router_options
from routebench.arguments import RUN
from routebench.printed import echo


@click.command()
@click.argument("run", type=RUN)
@click.argument("router")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Write this new folder.",
)
@router_options.seed
@router_options.fold
@router_options.own_point
@router_options.license_
def command(
    run: Path,
    router: str,
    out: Path,
    seed: int,
    fold: int,
    point: str | None,
    license_: str | None,
) -> None:
    """Copy the checkpoint of ROUTER in RUN into a folder of its own, with a description and a card.

    \b
    routebench export latest mf --point within-1pp --out mf-checkpoint
    routebench route mf-checkpoint "Who wrote Emma?"

    The folder is data: nothing in it is executed when it is used.
    """
    from routebench.deploy.export import export

    known = export(run, router, out, seed=seed, fold=fold, point=point, license=license_)
    echo(f"{known.router} at {known.point}: {out}")
