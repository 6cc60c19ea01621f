"""Every hook and contract on one page: what a plugin may implement.

A plugin is a class with `Options` (a pydantic model; `presets` by profile, if it has any) and an
`__init__(options)` that only stores. A router adds the hooks `fit` and `route`, and `save` and
`load`: the two run in different processes, and what `route` needs goes through a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pluggy

from routebench import records
from routebench.records import Decisions, Grades, Objective, Queries, SuiteData, Table, Vectors

hookspec = pluggy.HookspecMarker("routebench")
hookimpl = pluggy.HookimplMarker("routebench")


@hookspec(firstresult=True)
def fit(train: Table, validation: Table, context: Context) -> None:
    """Learn. Whatever is chosen (thresholds, k, checkpoints) is chosen on `validation`."""


@hookspec(firstresult=True)
def route(queries: Queries) -> Decisions:  # type: ignore[empty-body]
    """Choose a model for every query, each by itself: a batch decides as single queries do."""


@hookspec(firstresult=True)
def judge(questions: list[str], references: list[str | None], answers: list[str]) -> Grades:  # type: ignore[empty-body]
    """Grade answers, blind: no model name comes with them.

    Optional on a judge's class: `parameters() -> dict`, what else its grades depend on, and
    `judge_each(questions, references, answers, told)`, to have every grade stored as it comes.
    """


@hookspec
def run_started(config: dict[str, Any], data: SuiteData) -> None:
    """Observers: a run has loaded its suite and is about to start its jobs."""


@hookspec
def job_finished(router: str, seed: int, fold: int, state: str, message: str) -> None:
    """Observers: a job has ended as `ok` or `failed`; `message` says why it failed."""


@hookspec
def run_finished(board: dict[str, Any], folder: Path) -> None:
    """Observers: the leaderboard has been written to `folder`."""


class Router(Protocol):
    """A router's plain methods. Optional: `needs(pool, shown, priced) -> str | None` says what a
    run lacks for it; `starts_processes = True` declares that it runs programs of its own,
    `personal = True` that it learns from `Table.users` and is asked for each of them;
    `facts() -> dict[str, str | float]` is what the board says of it, asked after fit and route;
    `route_options` names the options that `routebench route --set` may change, and an attribute
    `budget` is a `routebench.plugin.budget.Budget` to keep to, outside benchmarks."""

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class Suite(Protocol):
    """Optional: `questions() -> list[StoredQuestion]`, which `routebench collect` asks."""

    def load(self) -> SuiteData: ...  # `routebench.data.long_table` builds one from a long table


class Provider(Protocol):
    """Answers in batches. Optional: `pool() -> Pool`, the models it has, with their prices, and
    `parameters() -> dict`, what else an answer depends on (temperature, server; never a key)."""

    def answer(self, requests: Sequence[records.Request]) -> records.Answers: ...


class LiveProvider(Protocol):
    """Is asked over a network, many calls at a time; raises `CallError` where no answer comes."""

    def parameters(self) -> dict[str, Any]: ...
    async def ask(self, request: records.Request) -> records.Reply: ...
    async def close(self) -> None: ...


class FittedEncoder(Protocol):
    """Texts to vectors [n, dimension]; what a router gets, and saves with itself."""

    @property
    def dimension(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def encode(self, texts: Sequence[str]) -> Vectors: ...
    def save(self, folder: Path) -> None: ...


class Encoder(FittedEncoder, Protocol):
    """`stateless = True`: a text has one vector everywhere, encoded once and cached by fingerprint;
    neither fit nor save is called, and `device` is set."""

    def fit(self, texts: Sequence[str]) -> None: ...  # the training texts, and no others
    def load(self, folder: Path) -> None: ...


def _silent(done: float, note: str = "") -> None:
    """Progress nobody watches."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a router is given to learn with, besides the tables."""

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
    """A folder that outlives a killed run: what lies in it, this very job has left there, to go
    on from. None where nothing is kept."""
