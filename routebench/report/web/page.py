"""One self-contained HTML page of runs, without network access."""

from __future__ import annotations

from collections.abc import Sequence

from routebench.board.read_run import Stored
from routebench.report.verdict_card import volume_of
from routebench.report.volume import Volume
from routebench.report.web import sections
from routebench.report.web.browse import ROOM, browse
from routebench.report.web.templates import Templates, embedded_json, import_extra


def page(runs: Sequence[Stored], volume: Volume | None = None) -> str:
    """Return the page's HTML, with a tab for each of several runs.

    Dollars are counted for `volume`, or for what each run was made with.
    """
    templates = Templates("the page")
    plotly = import_extra("plotly.offline", "the page").get_plotlyjs()
    # As an HTML parser reads line ends, or the script's hash would be another.
    plotly = plotly.replace("\r\n", "\n").replace("\r", "\n")
    described = [
        sections.of_run(i, stored, volume or volume_of(stored.folder))
        for i, stored in enumerate(runs)
    ]
    room = ROOM // len(runs)
    values = {
        "runs": described,
        "title": " · ".join(dict.fromkeys(run["title"] for run in described)),
        "tradeoffs": [run["tradeoffs"] and embedded_json(run["tradeoffs"]) for run in described],
        "plots": [embedded_json(run.pop("plots")) for run in described],
        "data": [embedded_json(browse(stored, room)) for stored in runs],
    }
    # The last one runs when the others ask for it: it takes a second to be read.
    names = ("plots.js", "page.js", "slider.js", "browse.js")
    scripts = [*map(templates.source, names), plotly]
    return templates.render("report.html", values, scripts)
