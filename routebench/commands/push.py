"""`routebench push`: send a checkpoint to a model hub."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.printed import echo


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("repo", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--message", metavar="TEXT", help="Give the commit this message.")
def command(checkpoint: Path, repo: str, private: bool, message: str | None) -> None:
    """Send CHECKPOINT to a repository of models, which is made if it is not there.

    \b
    routebench push mf-checkpoint someone/mf-simpleqa

    The token is HF_TOKEN, or that of `hf auth login`; HF_ENDPOINT names another hub.
    """
    from routebench.deploy.hub import push

    echo(push(checkpoint, repo, private=private, message=message))
