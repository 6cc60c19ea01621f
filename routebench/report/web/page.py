"""One self-contained HTML page of runs, without network access."""

from __future__ import annotations

from collections.abc import Sequence

from routebench.board.read_run import Stored
from routebench.report.web import sections
from routebench.report.web.browse import browse
from routebench.report.web.templates import Templates, embedded_json, import_extra


def page(runs: Sequence[Stored]) -> str:
    """Return the page's HTML, with a tab for each of several runs."""
    templates = Templates("the page")
    plotly = import_extra("plotly.offline", "the page").get_plotlyjs()
    # As an HTML parser reads line ends, or the script's hash would be another.
    plotly = plotly.replace("\r\n", "\n").replace("\r", "\n")
    described = [sections.of_run(i, stored) for i, stored in enumerate(runs)]
    values = {
        "runs": described,
        "title": " · ".join(dict.fromkeys(run["title"] for run in described)),
        "plots": [embedded_json(run.pop("plots")) for run in described],
        "data": [embedded_json(browse(stored)) for stored in runs],
    }
    scripts = [plotly, templates.source("plots.js"), templates.source("page.js")]
    return templates.render("report.html", values, scripts)
