"""The HTML pages' templates, style sheet and content security policy.

Every value is escaped but the style sheet and the scripts, which are files of this package. Pages
load nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from routebench.errors import OptionError
from routebench.printed import visible, visible_values
from routebench.report.web import colours


def import_extra(module: str, purpose: str) -> ModuleType:
    """Return a module of the `report` extra, which `purpose` needs.

    Raises:
        OptionError: with the pip command, where the module is missing.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise OptionError(
            f"{purpose} needs {name}, which is not installed", "pip install 'routebench[report]'"
        ) from error


class Templates:
    """The templates of `html/`, for `purpose` (which an error message names)."""

    def __init__(self, purpose: str) -> None:
        jinja2 = import_extra("jinja2", purpose)
        self._environment = jinja2.Environment(
            autoescape=True,
            loader=jinja2.PackageLoader("routebench.report.web", "html"),
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            finalize=_shown,
        )
        palette = {name.lower(): getattr(colours, name) for name in ("LIGHT", "DARK", "PRINT")}
        lists = {"heat": colours.HEAT, "series": colours.FLOWS}
        style = self._environment.get_template("style.css").render(**palette, **lists)
        self._style = _markup(style)

    def source(self, name: str) -> str:
        """Return the text of a file beside the templates, as it is."""
        return str(self._environment.loader.get_source(self._environment, name)[0])

    def render(self, template: str, values: Mapping[str, Any], scripts: Sequence[str] = ()) -> str:
        """Return a page that runs these scripts and no others."""
        for script in scripts:
            if "</script" in script.lower() or "<!--" in script:
                raise ValueError("a script would end its own element")
        return str(
            self._environment.get_template(template).render(
                **values,
                csp=_policy(scripts, self._style),
                style=self._style,
                scripts=[_markup(script) for script in scripts],
            )
        )


def _shown(value: Any) -> Any:
    """Return a value as a page prints it: control characters of a text shown, markup kept."""
    return visible(value) if type(value) is str else value


def embedded_json(value: Any) -> Any:
    """Return JSON as markup in which an HTML parser finds no tag, whatever texts it holds."""
    text = json.dumps(
        visible_values(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return _markup(text)


def _markup(text: str) -> Any:
    return import_extra("markupsafe", "the page").Markup(text)


def _policy(scripts: Sequence[str], style: str) -> str:
    # Plotly sets styles of its own; without scripts only the style sheet has any.
    styles = "'unsafe-inline'" if scripts else _digest(style)
    allowed = f"script-src {' '.join(map(_digest, scripts))}; " if scripts else ""
    images = "data: blob:" if scripts else "data:"
    return (
        f"default-src 'none'; {allowed}style-src {styles}; img-src {images}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
