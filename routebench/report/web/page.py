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
        "tradeoffs": [one and embedded_json(one) for one in (run["tradeoffs"] for run in described)],
        "plots": [embedded_json(run.pop("plots")) for run in described],
        "data": [embedded_json(browse(stored, room)) for stored in runs],
    }
    # What needs no plot first: it works while the large script is still being read.
    names = ("page.js", "slider.js", "browse.js")
    scripts = [*map(templates.source, names), plotly, templates.source("plots.js")]
    return templates.render("report.html", values, scripts)
