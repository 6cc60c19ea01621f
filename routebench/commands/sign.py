"""`routebench sign`: sign a run folder, so that others can tell whether it is as it was."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.arguments import RUN
from routebench.printed import echo


@click.command()
@click.argument("run", type=RUN, required=False)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Sign with this private key.",
)
@click.option(
    "--new-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Make a private key here and a public one, FILE.pub, instead.",
)
def command(run: Path | None, key: Path | None, new_key: Path | None) -> None:
    """Sign the board of RUN, its run file and its tables with an Ed25519 key.

    \b
    routebench sign --new-key mine.key
    routebench sign results/simpleqa/0123456789ab --key mine.key
    routebench verify results/simpleqa/0123456789ab --key mine.key.pub

    The signature is signature.json in RUN. Checkpoints are not signed; verify --reroute asks
    them. Keep the private key to yourself, and give the public one on another way than the run.
    """
    from routebench.errors import OptionError
    from routebench.verify import signature

    if new_key is not None:
        if run is not None or key is not None:
            raise OptionError("--new-key makes a key and signs nothing", "leave out the rest")
        public = signature.make_key(new_key)
        echo(f"private key {new_key}, public key {public}")
        return
    if run is None or key is None:
        raise OptionError("what to sign, and with what key?", "routebench sign RUN --key FILE")
    folder = run if run.is_dir() else run.parent  # of its board
    echo(f"written to {signature.sign(folder, key)}")
