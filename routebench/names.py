"""Names from outside that become names of files and folders: one rule for all of them."""

from __future__ import annotations

import re
from pathlib import Path

from routebench.errors import OptionError

LONGEST = 100
"""Characters of a name: file systems take 255 bytes, and some names get a suffix."""
RULE = f"letters, digits, dots, dashes and underscores, at most {LONGEST}, a letter or digit first"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_name(text: str) -> bool:
    """Return whether a text may name a file: it leads nowhere else, on any system.

    >>> is_name("hybrid-0.5"), is_name("../up"), is_name("/x"), is_name("a b"), is_name(".")
    (True, False, False, False, False)
    """
    return len(text) <= LONGEST and _NAME.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Return whether a text may be a router's label: a name, or `name@label`.

    >>> is_label("knn@k-5"), is_label("knn@"), is_label("knn@../up")
    (True, False, False)
    """
    name, at, label = text.partition("@")
    return is_name(name) and (is_name(label) if at else True)


def below(folder: Path, name: str, what: str = "name") -> Path:
    """Return the place of that name in a folder, which it cannot leave; `name` may be a label.

    Raises:
        OptionError: the text is no name.
    """
    if not is_label(name):
        raise OptionError(f"{what} {name[:LONGEST]!r} cannot name a file", f"allowed are {RULE}")
    return folder / name
