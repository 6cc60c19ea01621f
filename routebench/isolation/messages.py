"""Messages between a run and the processes of its jobs: one JSON line a message.

A process gets one `Start` on stdin, and writes to stdout: a `ProgressUpdate` as often as it likes,
then one `Report`. A `FitNeeded` in between is answered on stdin by a `FitGiven`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, get_args

from routebench.plugin.discovery import PluginInfo


@dataclass(frozen=True)
class Access:
    """The rights of a process, besides reading code and writing to its own folder."""

    banned: list[str] = field(default_factory=list)
    """Packages it must not import: they know the suite's answers."""
    processes: bool = False
    """Whether it may start programs."""
    downloads: bool = False
    """Whether it may write to the cache of downloaded models."""
    kept: str | None = None
    """A second folder it may write to, which outlives it."""
    given: str | None = None
    """A folder it may read, though it lies among what is protected: the run puts fits there."""


@dataclass(frozen=True)
class FitRequest:
    """Train a router on the tables in the folder, and save its checkpoint there."""

    stage: ClassVar = "fit"
    label: str
    plugin: PluginInfo
    options: dict[str, Any]
    seed: int
    encoder: str
    encoder_options: dict[str, Any]
    encoded: dict[str, Any] | None
    """What an encoder served from vectors must know of it; None: fitted in the job."""
    device: str
    objective: dict[str, float]
    kept: str
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Those that wrap the router, with their options."""
    training_only: list[str] = field(default_factory=list)
    """Columns in the tables that the process that routes does not get."""


@dataclass(frozen=True)
class RouteRequest:
    """Load the checkpoint in the folder, and route the queries there."""

    stage: ClassVar = "route"
    label: str
    plugin: PluginInfo
    options: dict[str, Any]
    models: list[str]
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class DescribeRequest:
    """Check a plugin's options, and say what it declares and lacks."""

    stage: ClassVar = "describe"
    label: str
    plugin: PluginInfo
    options: dict[str, Any]
    profile: str
    argument: str = ""
    """What follows an encoder's colon: the value of its first option."""
    pool: dict[str, Any] | None = None
    """The run's models, for a router; None for what needs none."""
    shown: list[str] = field(default_factory=list)
    training_only: list[str] = field(default_factory=list)
    priced: bool = False


@dataclass(frozen=True)
class EncodeRequest:
    """Encode the texts in the folder, or look up the query ids there."""

    stage: ClassVar = "encode"
    encoder: str
    encoder_options: dict[str, Any]
    device: str


@dataclass(frozen=True)
class FitTextsRequest:
    """Fit an encoder, or words, on the texts in the folder, and save the fit there."""

    stage: ClassVar = "fit texts"
    kind: str
    settings: dict[str, Any]


Request = FitRequest | RouteRequest | DescribeRequest | EncodeRequest | FitTextsRequest


@dataclass(frozen=True)
class Start:
    """The first message to a process: its request, folder, protected paths and rights."""

    request: Request
    folder: str
    """The job's own folder: all that it may write to."""
    protected: list[str]
    """What it must not read."""
    access: Access


@dataclass(frozen=True)
class ProgressUpdate:
    """The progress of a request."""

    done: float
    """Share in [0, 1]."""
    note: str


@dataclass(frozen=True)
class FitNeeded:
    """A job asks for a fit of its training texts, and waits for a `FitGiven`."""

    kind: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class FitGiven:
    """The run's answer to `FitNeeded`."""

    place: str | None
    """The folder of the fit, in the one that the job was given; None: the job makes it itself."""


@dataclass(frozen=True)
class FitReply:
    """Reply to `FitRequest`."""

    timing: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class RouteReply:
    """Reply to `RouteRequest`; the decisions lie in the folder."""

    timing: dict[str, Any]
    facts: dict[str, Any]
    encoded: bool
    """Whether vectors made beforehand were used."""


@dataclass(frozen=True)
class DescribeReply:
    """Reply to `DescribeRequest`."""

    options: dict[str, Any]
    """All options with their values, defaults included."""
    lacks: str | None
    """Why the router cannot run on this suite; None where it can."""
    starts_processes: bool
    personal: bool
    libraries: list[str] = field(default_factory=list)
    """Those that its jobs import."""
    deterministic: bool = False
    effort: float | None = None
    """Seconds that a job takes; None where it does not say."""
    stateless: bool = False
    by_id: bool = False
    dimension: int = 0
    fingerprint: str = ""


@dataclass(frozen=True)
class EncodeReply:
    """Reply to `EncodeRequest`; the vectors lie in the folder, a file per part."""

    seconds: list[float]
    """What each part took."""


@dataclass(frozen=True)
class FitTextsReply:
    """Reply to `FitTextsRequest`; the fit lies in the folder."""


@dataclass(frozen=True)
class Refused:
    """Reply: what the user asked for is wrong."""

    message: str
    hint: str


@dataclass(frozen=True)
class Broken:
    """Reply: the plugin cannot be used at all."""

    message: str
    hint: str


@dataclass(frozen=True)
class Failed:
    """Reply: the request was not carried out."""

    reason: str
    log: str = ""
    timed_out: bool = False


Reply = (
    FitReply | RouteReply | DescribeReply | EncodeReply | FitTextsReply | Refused | Broken | Failed
)


@dataclass(frozen=True)
class Report:
    """The last message of a process."""

    reply: Reply
    isolation: str = "none"
    """`landlock`, `audit`, or `none`."""
    warnings: list[str] = field(default_factory=list)
    """The first warnings of Python code, each once."""


_KIND = "is"
_MESSAGES = {"request", "access", "reply", "plugin"}
"""Fields that hold a message themselves."""
_KINDS = {
    kind.__name__: kind
    for kind in (
        *(Start, Access, PluginInfo, ProgressUpdate, Report, FitNeeded, FitGiven),
        *(*get_args(Request), *get_args(Reply)),
    )
}


Message = Start | ProgressUpdate | FitNeeded | FitGiven | Report


def write(message: Message) -> str:
    """Return a message as one line of JSON, without the newline."""
    return json.dumps(_plain(message))


def read(line: str) -> Message:
    """Return the message that `write` made a line of.

    Raises:
        ValueError: the line is no such message.
    """
    try:
        message = _typed(json.loads(line))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {error}") from error
    if isinstance(message, ProgressUpdate | FitNeeded | FitGiven) or (
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


def _typed(values: Any) -> Any:
    """Return the message that `_plain` made a dictionary of."""
    kind = _KINDS[values[_KIND]]
    inner = {name: _typed(values[name]) for name in _MESSAGES & set(values)}
    given = values | inner
    return kind(**{name: value for name, value in given.items() if name != _KIND})
