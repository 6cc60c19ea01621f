"""Messages between a run and the processes of its jobs; `lines` writes and reads them.

A process gets one `Start` on stdin, and writes to stdout: a `ProgressUpdate` as often as it likes,
then one `Report`. In between, a `FitNeeded` is answered on stdin by a `FitGiven`, and an
`AnswersNeeded` by an `AnswersGiven`, and an `OutcomesNeeded` by an `OutcomesGiven`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from routebench.plugin.discovery import PluginInfo
from routebench.plugin.optional import Facts, Text

Quantity = Annotated[int | float, Field(ge=0, allow_inf_nan=False)]
Timing = dict[str, Quantity]


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
    network: bool = False
    """Whether it may use the network."""
    accelerator: bool = False
    """Whether it computes on a GPU, whose driver speaks to a server of its own."""


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
    kept: str | None
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Those that wrap the router, with their options."""
    trade_offs: list[float] = field(default_factory=lambda: [0.0])
    """Those at which a router that steps will be asked."""
    training_only: list[str] = field(default_factory=list)
    """Columns in the tables that the process that routes does not get."""
    refit: bool = False
    """Whether it is trained again afterwards, on the table of both in the folder."""


@dataclass(frozen=True)
class RouteRequest:
    """Load the checkpoint in the folder, and route the queries there."""

    stage: ClassVar = "route"
    label: str
    plugin: PluginInfo
    options: dict[str, Any]
    models: list[str]
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    singly: bool = False
    """Whether to ask each query by itself, the last first."""


@dataclass(frozen=True)
class StepRequest:
    """Load the checkpoint in the folder, and step the queries there at one trade-off."""

    stage: ClassVar = "step"
    label: str
    plugin: PluginInfo
    options: dict[str, Any]
    models: list[str]
    trade_off: float
    singly: bool
    """Whether some queries are stepped again one by one, and compared."""
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class OnlineRequest:
    """Load the checkpoint in the folder, and choose for the queries there one after the other."""

    stage: ClassVar = "online"
    label: str
    plugin: PluginInfo
    options: dict[str, Any]
    models: list[str]
    batch: int
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class HindsightRequest:
    """Load the checkpoint in the folder, learn from every cell of the table there, and choose."""

    stage: ClassVar = "hindsight"
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


Request = (
    FitRequest
    | RouteRequest
    | StepRequest
    | OnlineRequest
    | HindsightRequest
    | DescribeRequest
    | EncodeRequest
    | FitTextsRequest
)


@dataclass(frozen=True)
class Start:
    """The first message to a process: its request, folder, protected paths and rights."""

    request: Request
    folder: str
    """The job's own folder: all that it may write to."""
    protected: list[str]
    """What it must not read."""
    access: Access
    roots: list[str] = field(default_factory=list)
    """Folders that code is installed from in place: its packages may be read."""


@dataclass(frozen=True)
class Used:
    """Resources a job's process used, measured by the process that waited for it."""

    cpu_seconds: Quantity
    peak_rss_bytes: Quantity


@dataclass(frozen=True)
class ProgressUpdate:
    """The progress of a request."""

    done: Annotated[float, Field(allow_inf_nan=False)]
    """Share in [0, 1]."""
    note: Text


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
class AnswersNeeded:
    """A router that steps buys answers, and waits for an `AnswersGiven`."""

    cells: list[int]
    """Query in the folder · number of models + model, for each."""


@dataclass(frozen=True)
class AnswersGiven:
    """The run's answer to `AnswersNeeded`."""

    place: str | None
    """An Arrow file of the queries that were asked about, in their order; None: they cannot be
    bought, for the reason in `problem`."""
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class OutcomesNeeded:
    """A router has chosen for the next queries, and waits for an `OutcomesGiven`."""

    start: int
    """The first of them, in the order of arrival."""
    choice: list[int]
    probability: list[list[float]] | None = None


@dataclass(frozen=True)
class OutcomesGiven:
    """The run's answer to `OutcomesNeeded`: what is revealed now, of chosen cells alone."""

    rows: list[int] = field(default_factory=list)
    choice: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    """NaN in an unpriced run."""
    problem: str = ""
    """Why nothing is."""


@dataclass(frozen=True)
class FitReply:
    """Reply to `FitRequest`."""

    timing: Timing
    facts: Facts


@dataclass(frozen=True)
class RouteReply:
    """Reply to `RouteRequest`; the decisions lie in the folder."""

    timing: Timing
    facts: Facts
    encoded: bool
    """Whether vectors made beforehand were used."""


@dataclass(frozen=True)
class StepReply:
    """Reply to `StepRequest`; the decisions lie in the folder, without who was asked: the run
    knows that."""

    timing: Timing
    facts: Facts
    encoded: bool


@dataclass(frozen=True)
class OnlineReply:
    """Reply to `OnlineRequest`; the run knows what was chosen."""

    timing: Timing
    facts: Facts
    encoded: bool


@dataclass(frozen=True)
class HindsightReply:
    """Reply to `HindsightRequest`; the decisions lie in the folder."""


@dataclass(frozen=True)
class DescribeReply:
    """Reply to `DescribeRequest`."""

    options: dict[str, Any]
    """All options with their values, defaults included."""
    lacks: str | None
    """Why the router cannot run on this suite; None where it can."""
    starts_processes: bool
    personal: bool
    steps: bool = False
    """Whether it sees answers: it has `step`, and no `route`."""
    trades_off: bool = False
    """Whether its `step` takes a trade-off."""
    updates: bool = False
    """Whether it learns online: it has `update`."""
    libraries: list[str] = field(default_factory=list)
    """Those that its jobs import."""
    needs_network: bool = False
    deterministic: bool = False
    cheap_fit: bool = False
    reference: bool = False
    effort: float | None = None
    """Seconds that a job takes; None where it does not say."""
    resources: dict[str, float] = field(default_factory=dict)
    """What a job needs, for executors that place jobs on machines."""
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
    FitReply
    | RouteReply
    | StepReply
    | OnlineReply
    | HindsightReply
    | DescribeReply
    | EncodeReply
    | FitTextsReply
    | Refused
    | Broken
    | Failed
)


@dataclass(frozen=True)
class Report:
    """The last message of a process."""

    reply: Reply
    isolation: str = "none"
    """The layers that held it, such as `landlock, namespaces`; `audit` where there was no other."""
    warnings: list[str] = field(default_factory=list)
    """The first warnings of Python code, each once."""


Message = (
    Start
    | ProgressUpdate
    | FitNeeded
    | FitGiven
    | AnswersNeeded
    | AnswersGiven
    | OutcomesNeeded
    | OutcomesGiven
    | Report
    | Used
)


def paths(request: Request) -> list[Path]:
    """Return the paths that a request names: in its options, and the file of its router."""
    plugin = getattr(request, "plugin", None)
    file = plugin.target.rpartition(":")[0] if plugin is not None else ""
    named = [*_texts([getattr(request, f.name) for f in fields(request)]), file]
    return [Path(name) for name in named if name.startswith("/")]


def _texts(values: Any) -> list[str]:
    """Return the texts in nested values."""
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [text for value in values for text in _texts(value)]
    return [values] if isinstance(values, str) else []
