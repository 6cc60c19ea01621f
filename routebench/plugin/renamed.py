"""Names that plugins had in older versions: in run files, options and the files of old runs."""

from __future__ import annotations

RENAMED = {"strongest": "most-expensive"}
"""By kind router: the older name, and the one of today."""


def current_name(label: str) -> str:
    """Return the label of a router, `plugin` or `plugin@label`, with the plugin's name of today."""
    name, at, rest = label.partition("@")
    return RENAMED.get(name, name) + at + rest
