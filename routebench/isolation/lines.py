"""Messages as lines: one of JSON for each, and nothing else is read."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from routebench.isolation.messages import (
    Access,
    AnswersGiven,
    AnswersNeeded,
    FitGiven,
    FitNeeded,
    Message,
    OutcomesGiven,
    OutcomesNeeded,
    ProgressUpdate,
    Reply,
    Report,
    Request,
    Start,
    Used,
)
from routebench.plugin.discovery import PluginInfo

LONGEST = 1 << 24
"""Characters of the longest line that is read."""
_KIND = "is"
_MESSAGES = {"request", "access", "reply", "plugin"}
"""Fields that hold a message themselves."""
_KINDS = {
    kind.__name__: kind
    for kind in (
        *(Start, Access, PluginInfo, ProgressUpdate, Report, Used),
        *(FitNeeded, FitGiven, AnswersNeeded, AnswersGiven, OutcomesNeeded, OutcomesGiven),
        *(*get_args(Request), *get_args(Reply)),
    )
}
_BETWEEN = (
    *(ProgressUpdate, FitNeeded, FitGiven, AnswersNeeded, AnswersGiven),
    *(OutcomesNeeded, OutcomesGiven, Used),
)


def write(message: Message) -> str:
    """Return a message as one line of JSON, without the newline."""
    return json.dumps(_plain(message))


def read(line: str) -> Message:
    """Return the message that `write` made a line of.

    Raises:
        ValueError: the line is no such message.
    """
    try:
        message = _typed(json.loads(line), "\\ud" in line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"not a message: {place}: {first['msg']}") from error
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {error}") from error
    if isinstance(message, _BETWEEN) or (
        isinstance(message, Start) and isinstance(message.request, Request)
    ):
        return message
    if isinstance(message, Report) and isinstance(message.reply, Reply):
        return message
    raise ValueError("not a message")


def _plain(message: Any) -> dict[str, Any]:
    """Return a message's fields by name, with the name of its class."""
    values = {f.name: getattr(message, f.name) for f in fields(message)}
    inner = {name: _plain(values[name]) for name in _MESSAGES & set(values)}
    return values | inner | {_KIND: type(message).__name__}


def _typed(values: Any, escaped: bool) -> Any:
    """Return the message that `_plain` made a dictionary of; it may have lone surrogates."""
    kind = _KINDS[values[_KIND]]
    inner = {name: _typed(values[name], escaped) for name in _MESSAGES & set(values)}
    outer = {name: values[name] for name in set(values) - {_KIND, *inner}}
    if unknown := set(outer) - {f.name for f in fields(kind)}:
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return _validator(kind).validate_python((_whole(outer) if escaped else outer) | inner)


def _whole(value: Any) -> Any:
    """Return nested values with lone surrogates written out, which no file can hold."""
    if isinstance(value, dict):
        return {_whole(name): _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


@cache
def _validator(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
