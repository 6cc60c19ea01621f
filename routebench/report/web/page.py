"""One self-contained HTML page of runs: no network, everything escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import import_module, resources
from types import ModuleType
from typing import Any

from routebench.board.read_run import Stored
from routebench.errors import OptionError
from routebench.report.web import sections
from routebench.report.web.browse import browse


def needed(module: str, what: str) -> ModuleType:
    """A module of the `report` extra; an `OptionError` with the pip command where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise OptionError(
            f"{what} needs {name}, which is not installed", "pip install 'routebench[report]'"
        ) from error


def page(runs: Sequence[Stored]) -> str:
    """The page's HTML; with several runs one tab for each."""
    jinja2 = needed("jinja2", "the page")
    plotly = _one_line_ends(needed("plotly.offline", "the page").get_plotlyjs())
    env = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(_source),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    told = [sections.of_run(i, stored) for i, stored in enumerate(runs)]
    data = [browse(stored) for stored in runs]
    scripts = [_script(plotly), *(_script(_source(name)) for name in ("plots.js", "page.js"))]
    return str(
        env.get_template("page.html").render(
            runs=told,
            title=" · ".join(dict.fromkeys(run["title"] for run in told)),
            csp=_policy(scripts),
            scripts=scripts,
            style=_source("style.css"),
            plots=[_json(run.pop("plots")) for run in told],
            data=[_json(each) for each in data],
        )
    )


def embedded(value: Any) -> str:
    """JSON that an HTML parser takes for nothing else, whatever the texts in it are."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _json(value: Any) -> Any:
    return import_module("markupsafe").Markup(embedded(value))


def _script(text: str) -> Any:
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("a script would end its own element")
    return import_module("markupsafe").Markup(text)


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run and nothing is loaded; Plotly sets styles of its own."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _source(name: str) -> str:
    return (resources.files("routebench.report.web") / "html" / name).read_text(encoding="utf-8")


def _one_line_ends(text: str) -> str:
    """As an HTML parser reads it, or its hash would be another."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
