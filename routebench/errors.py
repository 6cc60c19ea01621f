"""The errors a user is meant to read: one line that names the place, and a hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RoutebenchError(Exception):
    """Something the user can put right. Shown as message and hint, without a traceback."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class OptionError(RoutebenchError):
    """An option, or a name given on the command line, is unknown or has a wrong value."""


class DataError(RoutebenchError):
    """A file the user gave cannot be used; the message names file, row and column."""


class PluginError(RoutebenchError):
    """A plugin cannot be loaded, or breaks its contract."""


class IsolationError(Exception):
    """A router reached for what its job must not see. Fails its row, never the run."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint naming the closest known names, or all of them where they are few.

    >>> did_you_mean("kn", ["knn", "linear"])
    'did you mean knn?'
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return "there are none"
    shown = ", ".join(names[:12])
    return f"known: {shown}" + (", …" if len(names) > 12 else "")
