"""`routebench site`: turn the boards below a folder into static pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import click

from routebench.printed import echo


@click.command()
@click.argument(
    "results", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="RESULTS"
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PUBLIC",
    help="Write the pages to this folder; it is replaced whole, if this command made it.",
)
def command(results: Path, out: Path) -> None:
    """Turn every leaderboard.json below RESULTS into static pages for any host.

    An index, a page per suite with its history, and a page per router. They need no JavaScript
    and no network. Hidden folders and checkpoints are skipped.
    """
    from routebench.report.web import site
    from routebench.report.web.templates import import_extra

    import_extra("jinja2", "the site")
    place = out.resolve()
    _free(place, results.resolve(), out)
    pages = site.pages(site.find(results))
    _publish(pages, place, out)
    echo(f"{len(pages)} files written to {out}", err=True)


def _free(place: Path, results: Path, out: Path) -> None:
    """Raise an `OptionError` unless the folder holds only files that this command has made."""
    from routebench.errors import OptionError
    from routebench.report.web.site import MARKER

    if results.is_relative_to(place):
        raise OptionError(f"-o {out}: the boards lie in it", "name a folder beside them")
    if not place.exists():
        return
    hint = "name a new folder, or move this one away"
    if not place.is_dir():
        raise OptionError(f"-o {out}: not a folder", hint)
    held = {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}
    if not held:
        return
    if MARKER not in held:
        raise OptionError(f"-o {out}: not empty, and not made by routebench site", hint)
    made = {MARKER, *(place / MARKER).read_text(encoding="utf-8", errors="replace").splitlines()}
    if foreign := sorted(held - made):
        raise OptionError(f"-o {out}: holds {foreign[0]}, which routebench site did not make", hint)


def _publish(pages: Mapping[str, bytes], place: Path, out: Path) -> None:
    """Write all pages to a folder beside, then rename it: visitors see the old or the new."""
    from routebench.errors import OptionError
    from routebench.files import new_folder

    old = place.with_name(f".{place.name}-old-{os.getpid()}")
    try:
        with new_folder(place) as part:
            for name, content in pages.items():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                (part / name).write_bytes(content)
            if place.exists():
                place.rename(old)
    except OSError as error:
        if old.exists():
            old.rename(place)
        raise OptionError(f"cannot write {out}: {error.strerror or error}") from error
    shutil.rmtree(old, ignore_errors=True)
