"""Errors for the user: one line that names the place, and a hint."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_SURE = 0.7  # share of common letters from which on two names need not begin alike


class RoutebenchError(Exception):
    """An error that the user can correct; shown as message and hint, without a traceback."""

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


class CallError(RoutebenchError):
    """A call to a live model that brought no answer.

    Kinds: `rate-limited`, `server`, `timeout` and `malformed` may go away when asked again;
    `rejected` concerns this request alone, `denied` every request to this model (a wrong key, no
    such model).
    """

    PASSING = frozenset({"rate-limited", "server", "timeout", "malformed"})

    def __init__(
        self, kind: str, message: str, hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.retry_after = retry_after
        """Seconds that the server asked to wait."""

    @property
    def passing(self) -> bool:
        """Return whether asking again may help."""
        return self.kind in self.PASSING


class IsolationError(Exception):
    """A router tried to read what its job must not see; fails its row, never the run."""


_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
_EXPECTED = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "finite_number": "must be a finite number",
    "dict_type": "must hold values by name",
    "model_type": "must hold values by name",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
}


def problem(detail: Mapping[str, Any]) -> str:
    """Return what is wrong with a value in a few plain words, of one of pydantic's errors.

    >>> problem({"type": "greater_than_equal", "ctx": {"ge": 3}, "msg": "Input should be …"})
    'must be at least 3'
    """
    kind, known = str(detail["type"]), detail.get("ctx", {})
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        value = known.get(bound)
        limit = f"{value:g}" if isinstance(value, float) else str(value)
        return f"must be {words} {limit}"
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    for start, words in (
        ("int_", "must be a whole number"),
        ("float_", "must be a number"),
        ("bool_", "must be true or false"),
    ):
        if kind.startswith(start):
            return words
    if kind in ("literal_error", "enum"):
        return f"must be {known.get('expected')}"
    if kind == "string_pattern_mismatch":
        return f"must have the form {known.get('pattern')}"
    if kind == "too_short":
        return f"must have at least {known.get('min_length')}"
    text = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    text = text.replace("Input should be", "must be").replace("Input should", "must")
    return text[:1].lower() + text[1:]


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three of the known names that are close to a name, whatever their case.

    >>> nearest("nope", ["openai", "knn"])
    []
    """
    by = {each.casefold(): each for each in sorted(set(known), reverse=True)}
    folded = name.casefold()
    close = difflib.get_close_matches(folded, by, n=3, cutoff=0.5)
    return [by[each] for each in close if _is_near(folded, each)]


def _is_near(name: str, other: str) -> bool:
    """Return whether names share most letters, or many and the first one of a word."""
    if difflib.SequenceMatcher(None, name, other).ratio() >= _SURE:
        return True
    return name[:1] in {word[:1] for word in re.split(r"[^a-z0-9]+", other)}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the closest known names, or the first ones where none is close.

    >>> did_you_mean("kn", ["knn", "linear"])
    'did you mean knn?'
    """
    names = sorted(set(known))
    close = nearest(name, names)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return "there are none"
    listing = ", ".join(names[:12])
    return f"known: {listing}" + (", …" if len(names) > 12 else "")
