"""Every hook and contract on one page: what a plugin may implement, and when it is called.

A router is a class with `Options` (a pydantic model), `__init__(options)` that only stores,
the hooks `fit` and `route`, and `save` and `load`. Fit and route run in two processes: what
`route` needs must go through `save` and `load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pluggy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from routebench.records import Context, Decisions, Grades, Queries, SuiteData, Table

hookspec = pluggy.HookspecMarker("routebench")
hookimpl = pluggy.HookimplMarker("routebench")


@hookspec(firstresult=True)
def fit(train: Table, validation: Table, context: Context) -> None:
    """Learn. Whatever is chosen (thresholds, k, checkpoints) is chosen on `validation`."""


@hookspec(firstresult=True)
def route(queries: Queries) -> Decisions:
    """Choose a model for every query, each by itself: a batch decides as single queries do."""
    raise NotImplementedError


@hookspec(firstresult=True)
def judge(
    questions: Sequence[str], references: Sequence[str | None], answers: Sequence[str]
) -> Grades:
    """Grade answers, blind: no model name comes with them."""
    raise NotImplementedError


@hookspec
def run_started(config: dict[str, Any], data: SuiteData) -> None:
    """A run has loaded its suite and is about to start its jobs."""


@hookspec
def job_finished(router: str, seed: int, fold: int, state: str, message: str) -> None:
    """A job has ended as `ok` or `failed`; `message` says why it failed."""


@hookspec
def run_finished(board: dict[str, Any], folder: Path) -> None:
    """The leaderboard has been written to `folder`."""


class Plugin(Protocol):
    """What every plugin class has. Option names, types, bounds and help come from `Options`."""

    Options: ClassVar[Any]  # a pydantic model class; typed so, every plugin's own one fits

    def __init__(self, options: Any) -> None: ...


class Router(Plugin, Protocol):
    """A router's plain methods; `fit` and `route` are its hooks.

    Optional: `needs(pool, shown, priced) -> str | None` says what a run lacks for it (no prices,
    no tasks); `starts_processes = True` declares that it runs programs of its own.
    """

    def save(self, folder: Path) -> None:
        """Write all that `route` needs into an empty folder (safetensors and JSON)."""

    def load(self, folder: Path) -> None:
        """Read it back, in another process, without any training data."""


class Suite(Plugin, Protocol):
    def load(self) -> SuiteData:
        """Queries, references, outcomes and pool; `routebench.longform` builds them."""


class FittedEncoder(Protocol):
    """Texts to vectors [n, dimension]; what a router gets, and saves with itself."""

    @property
    def dimension(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]: ...
    def save(self, folder: Path) -> None: ...


class Encoder(Plugin, FittedEncoder, Protocol):
    def fit(self, texts: Sequence[str]) -> None:
        """Learn from the training texts, and no others."""

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote."""
