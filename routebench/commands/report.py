"""`routebench report`: runs as one page, as figures for papers, as Markdown for a README."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.arguments import RUN
from routebench.printed import echo


@click.command()
@click.argument("runs", type=RUN, nargs=-1, required=True, metavar="RUN…")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the page here; by default report.html in the run folder, or here for several runs.",
)
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--figures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write PNG and SVG of the cost–quality plane and of model usage too.",
)
@click.option(
    "--card",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Write the verdict as a picture of 1200 × 630, for sharing; of one run.",
)
@click.option("--volume", metavar="N/day", help="Count dollars for so many queries: 100000/day.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the leaderboards as Markdown too.",
)
def command(
    runs: tuple[Path, ...],
    out: Path | None,
    opened: bool,
    figures: Path | None,
    card: Path | None,
    volume: str | None,
    markdown: Path | None,
) -> None:
    """Write RUN… as one self-contained HTML page.

    RUN is a run folder or its leaderboard.json, `latest`, an id, or a folder that holds one run.

    With --figures, --card or --markdown alone there is no page; --out or --open asks for it too.
    Dollars are counted for the --volume given here, or else to the run, or else 10,000 a day.
    """
    from routebench.board import read_run
    from routebench.errors import OptionError
    from routebench.report.volume import Volume

    alone = figures is not None or card is not None or markdown is not None
    paged = opened or out is not None or not alone
    if card is not None and len(runs) > 1:
        raise OptionError("--card is of one run", "name one, or call it for each")
    if card is not None and card.suffix.lower() != ".png":
        raise OptionError(f"--card {card}: a PNG is written", f"--card {card.with_suffix('.png')}")
    queries = Volume.parse(volume) if volume else None
    _installed(paged, "--figures" if figures is not None else "--card" if card is not None else "")
    read = [read_run.read_run(run, check=True) for run in runs]
    if paged:
        from routebench.report.web.page import page

        place = out or (read[0].folder if len(read) == 1 else Path()) / "report.html"
        _write(place, page(read, queries).encode())
        if opened:
            click.launch(str(place.resolve()))
    if figures is not None:
        from routebench.report.web.figures import draw

        for made in draw(read, figures):
            echo(f"written to {made}", err=True)
    if markdown is not None:
        from routebench.report.markdown import markdown as told

        _write(markdown, told([each.board for each in read]).encode())
    if card is not None:
        from routebench.report.verdict_card import verdict_card, volume_of
        from routebench.report.web.card import png

        of_run = verdict_card(read[0].board)
        _write(card, png(of_run, queries or volume_of(read[0].folder)))


def _installed(paged: bool, drawn: str) -> None:
    """Raise an error for a missing package, before anything is read."""
    from routebench.report.web.templates import import_extra

    for module in ("jinja2", "plotly.offline") if paged else ():
        import_extra(module, "the page")
    if drawn:
        import_extra("matplotlib", drawn)


def _write(place: Path, content: bytes) -> None:
    from routebench.errors import OptionError
    from routebench.files import replace_file

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, content)
    except OSError as error:
        raise OptionError(f"cannot write {place}: {error.strerror or error}") from error
    echo(f"written to {place}", err=True)
