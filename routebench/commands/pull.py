"""`routebench pull`: fetch a checkpoint from a model hub."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.printed import echo


@click.command()
@click.argument("repo", metavar="OWNER/NAME")
@click.argument("out", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--revision", metavar="COMMIT", help="Fetch this commit, branch or tag (default main)."
)
@click.option(
    "--max-size",
    type=click.IntRange(1),
    metavar="BYTES",
    help="Fetch nothing whose files have more bytes in all.",
)
def command(repo: str, out: Path, revision: str | None, max_size: int | None) -> None:
    """Fetch a checkpoint into DIR, a new folder.

    \b
    routebench pull someone/mf-simpleqa mf-checkpoint
    routebench route mf-checkpoint "Who wrote Emma?"

    Names and sizes are checked before anything is fetched, hashes before anything is kept; files
    that may hold code, such as pickles, are refused.
    """
    from routebench.deploy.hub import pull

    known = pull(repo, out, revision=revision, most=max_size)
    echo(f"{known.router} at {known.point}, trained on {known.suite}: {out}")
