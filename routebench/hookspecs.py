"""Every hook and contract on one page: what a plugin may implement.

A plugin is a class with `Options` (a pydantic model; `presets` by profile, if it has any) and an
`__init__(options)` that only stores. A router adds the hooks `fit` and `route`, and `save` and
`load`: the two run in different processes, and what `route` needs goes through a checkpoint.
One that sees answers has `step` in place of `route`. One that learns online has `update` besides
`route`. One that learns nothing needs `route` or
`step` alone, without `Options` and `__init__`. One that predicts quality is a
`routebench.QualityRouter`: it has `learn` and `predict`, and declares its state.
What a plugin may have besides is in `routebench.plugin.optional`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from routebench import records
from routebench.bought import Bought, Steps
from routebench.records import (
    Decisions,
    Floats,
    Grades,
    Ints,
    Objective,
    Queries,
    SuiteData,
    Table,
    Vectors,
)
from routebench.redact import one_line

if TYPE_CHECKING:
    import pyarrow as pa

hookspec = pluggy.HookspecMarker("routebench")
hookimpl = pluggy.HookimplMarker("routebench")


@hookspec(firstresult=True)
def fit(train: Table, validation: Table, context: Context) -> None:
    """Train. Whatever is chosen (thresholds, k, checkpoints) is chosen on `validation`."""


@hookspec(firstresult=True)
def refit(table: Table, context: Context) -> None:
    """Train again on all of `table`: train and validation as one. What `fit` chose stays.

    It is called on the object that `fit` has just left, of a router that declares `cheap_fit`, in
    runs with inner folds. Nothing is chosen on the table, which holds what would tell; only
    `context.cross_fitted` was decided without having seen its queries' outcomes.
    """


@hookspec(firstresult=True)
def route(queries: Queries) -> Decisions:  # type: ignore[empty-body]
    """Choose a model for every query, each by itself: a batch decides as single queries do."""


@hookspec(firstresult=True)
def step(queries: Queries, bought: Bought, trade_off: float) -> Steps:  # type: ignore[empty-body]
    """Ask models about every query, or stop with an answer that was bought: see `Table.answers`.

    A router has `route` or `step`. It is asked about all open queries of a round at once, each by
    itself, and again with what it has bought until it stops. `trade_off` is λ, in score per USD:
    an answer is worth its score − λ · cost; 0 is accuracy at any price. `context.trade_offs` are
    those it will be asked at, so that `fit` may choose for each; no state is kept between them.
    """


@hookspec(firstresult=True)
def update(queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
    """Learn from what was revealed: for each query the outcome of the model chosen, no other's.

    All are [n], in the order of arrival: a batch teaches what its queries do one after the other.
    `cost` is USD, NaN where unknown. In a run with `--protocol online` it is called between calls
    of `route`, which may then depend on all that it has learned; see docs/online.md. `fit` may
    have seen tables in which every cell is absent: their texts are there.
    """


@hookspec(firstresult=True)
def judge(questions: list[str], references: list[str | None], answers: list[str]) -> Grades:  # type: ignore[empty-body]
    """Grade answers, blind: no model name comes with them."""


@hookspec
def run_started(config: dict[str, Any], data: SuiteData) -> None:
    """Receive a run's configuration and loaded suite, before its jobs start (for observers)."""


@hookspec
def job_finished(router: str, seed: int, fold: int, state: str, message: str) -> None:
    """Receive the end of a job, `ok` or `failed` for the reason in `message` (for observers)."""


@hookspec
def run_finished(board: dict[str, Any], folder: Path) -> None:
    """Receive the leaderboard, after it was written to `folder` (for observers)."""


class Router(Protocol):
    """A router's plain methods."""

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class Suite(Protocol):
    """Queries with their outcomes."""

    def load(self) -> SuiteData: ...  # `routebench.data.long_table` builds one from a long table


class Provider(Protocol):
    """Answers in batches."""

    def answer(self, requests: Sequence[records.Request]) -> records.Answers: ...


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A query of a suite with its reference and labels. Only the prompt is shown to a model."""

    query_id: str
    query: str
    prompt: str
    reference: str | None = None
    """The right answer, or a JSON list of all that are right."""
    task: str | None = None
    topic: str | None = None
    split: str | None = None


@dataclass
class JudgeUsage:
    """The calls, tokens and costs of a judge that asks a model."""

    calls: int = 0
    """Replies that came."""
    unread: int = 0
    """Those of them that were no grade."""
    failed: int = 0
    """Calls without a reply, with all their attempts."""
    doubtful: int = 0
    """Attempts without a reply that may have been charged all the same."""
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    usd: float = 0.0
    unpriced: int = 0
    """Replies whose cost is not known; they are not in `usd`."""
    price: str = ""
    """Where the price is from, or why there is none."""


@dataclass
class AnswerTexts:
    """The peculiarities a judge found in the texts of answers, besides what they answer."""

    answers: int = 0
    traces: int = 0
    """Texts with a reasoning trace, which is not read."""
    unfinished: int = 0
    """Those of them that end within the trace, and are not attempted."""
    empty: int = 0
    """Texts that say nothing, or nothing after their trace."""

    def note(self) -> str | None:
        """Return the counts in words; None where there is nothing to tell."""
        parts = []
        if self.traces:
            parts.append(f"{self.traces:,} hold a reasoning trace, which is not read")
        if self.unfinished:
            parts.append(f"{self.unfinished:,} end within it")
        if self.empty:
            parts.append(f"{self.empty:,} say nothing" + (" besides" if self.traces else ""))
        return f"of {self.answers:,} answers " + ", ".join(parts) if parts else None


class LiveProvider(Protocol):
    """A provider asked over a network, many calls at a time; raises `CallError` for no answer."""

    def parameters(self) -> dict[str, Any]: ...
    async def ask(self, request: records.Request) -> records.Reply: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """The place at which a provider's server takes OpenAI's chat completions."""

    url: str
    """Of the chat completions, in whole."""
    key: str = field(default="", repr=False)
    """Sent as a bearer token; empty for a server that needs none."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a request gets where it has none of that name."""


class FittedEncoder(Protocol):
    """A fitted encoder, texts to vectors [n, dimension], that a router gets and saves."""

    @property
    def dimension(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def encode(self, texts: Sequence[str]) -> Vectors: ...
    def save(self, folder: Path) -> None: ...


class Encoder(FittedEncoder, Protocol):
    """A text encoder, before it is fitted."""

    def fit(self, texts: Sequence[str]) -> None: ...  # the training texts, and no others
    def load(self, folder: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class FileHead:
    """The beginning of a file, by which importers recognise their format."""

    path: Path
    kind: str
    """`csv`, `json` (an object), `list` (of JSON), `jsonl`, `pickle`, `tar`, `parquet`, or `""`."""
    names: tuple[str, ...] = ()
    """The columns of a table; of JSON the keys at its beginning, those of inner objects too."""
    first: tuple[str, ...] = ()
    """The cells of a CSV's first row."""

    def summary(self) -> str:
        """Return the columns or keys that were found, for a message."""
        if not self.names:
            return "no columns or keys are found in it"
        names = [one_line(name, 30) for name in self.names[:12]]
        more = ", …" if len(self.names) > 12 else ""
        what = "columns" if self.kind in ("csv", "parquet") else "keys"
        return f"found {what}: {', '.join(names)}{more}"


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of public data that the user asks for."""

    tasks: tuple[str, ...] = ()
    """Patterns like `mmlu*`; all of them without any."""
    models: tuple[str, ...] = ()
    answers: bool = True
    """Whether the text of the answers is kept."""
    score_max: float = 1.0
    """The highest score of the source's scale."""
    skip_bad: bool = False
    """Whether rows that something is wrong with are named and left out."""

    def task(self, name: str) -> bool:
        """Return whether the rows of a task are asked for."""
        return not self.tasks or any(fnmatchcase(name, pattern) for pattern in self.tasks)

    def model(self, name: str) -> bool:
        """Return whether the rows of a model are asked for."""
        return not self.models or any(fnmatchcase(name, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class ImportPart:
    """Some rows of an import."""

    key: str
    """The source of the rows, such as a file; a later part with the same key replaces this one."""
    rows: pa.Table
    """Columns of `routebench.importers.rows.COLUMNS`; query_id, query and model must be there.

    Scores are in [0, 1]; a state is ok, failed or ungraded."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """Notes on the reading of the data that the user should know, with their counts."""


class Importer(Protocol):
    """Reads files of a public format. The first line of its docstring says what files those are.

    `recognises` is asked of the beginning of every file that `data import auto` gets; in a folder,
    of files with one of all importers' `suffixes`. `read` raises `DataError`, naming file and row,
    and divides scores by `Selection.score_max`; the rest of the selection is applied to the rows
    that it yields.
    `routebench.importers` has what reads files, and checks rows (`rows.OutcomeRows`).
    """

    suffixes: tuple[str, ...]

    def recognises(self, head: FileHead) -> bool: ...
    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]: ...


class LogReader(Protocol):
    """Reads logs of requests. The first line of its docstring says which ones.

    `recognises` is asked of the beginning of every file without `--format`. `read` yields events,
    each with the place to name it by and its values by column of `routebench.traffic.events`;
    what a log does not say is left out, or None. It raises `DataError`, naming file and row.
    """

    suffixes: tuple[str, ...]

    def recognises(self, head: FileHead) -> bool: ...
    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]: ...


def _silent(done: float, note: str = "") -> None:
    """Ignore the progress."""


@dataclass(frozen=True, slots=True)
class Context:
    """The means of learning that a router is given, besides the tables."""

    seed: int
    """Seeds every source of randomness."""
    encoder: FittedEncoder
    """Text encoder, already fitted on the training texts (on first use)."""
    work: Path
    """An empty folder of this job's own; the only place it may write to."""
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:N`."""
    objective: Objective = field(default_factory=Objective)
    progress: Callable[[float, str], None] = _silent
    """Call with (share done in [0, 1], a short note)."""
    kept: Path | None = None
    """A folder that outlives a killed run, in which this job finds its own files to resume
    from. None where nothing is kept, as in inner fits."""
    trade_offs: tuple[float, ...] = (0.0,)
    """The λ, in score per USD and from 0 upwards, at which a router that steps will be asked; the
    first is what a router that learns online is scored at."""
    training_only: frozenset[str] = frozenset()
    """Columns of the queries in both tables, such as `task`, that `route` will not be given."""
    cross_fitted: Decisions | None = None
    """In `refit` of the router that is deployed: decisions on its table, row by row, each made by
    an inner fit that had learned from other rows. None elsewhere, inner fits included."""
