"""The records that flow through a run: frozen, typed, columnar.

Rows are queries in canonical order (by text hash), columns are models in name order. Money is
USD, times are seconds, scores are in [0, 1] unless a suite says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from routebench.arrays import Codes as Codes
from routebench.arrays import Floats as Floats
from routebench.arrays import Ints as Ints
from routebench.arrays import Mask as Mask
from routebench.arrays import Rows as Rows
from routebench.arrays import Strings as Strings
from routebench.arrays import Vectors as Vectors
from routebench.bought import Bought
from routebench.errors import OptionError, did_you_mean

_T = TypeVar("_T")

HIDEABLE = ("task", "user", "preference", "embedding")
"""Query columns that a suite may show to routers. Topic is never shown."""


STATED = ("confidence", "verification")
"""Numbers that a table may have about an answer, taken from columns that the run names only."""


class State(IntEnum):
    """The state of a cell (query, model). Only `OK` cells are scored."""

    OK = 0
    FAILED = 1  # asked, and no answer came
    UNGRADED = 2  # answered, but the grader failed or has not run
    UNPRICED = 3  # answered and graded in a priced run, but its cost is unknown
    ABSENT = 4  # never asked; not an error


class Grade(IntEnum):
    """Three-state grades of factual answers; `NONE` where a suite has scores only."""

    NONE = -1
    CORRECT = 0
    INCORRECT = 1
    NOT_ATTEMPTED = 2


@dataclass(frozen=True, slots=True)
class Queries:
    """A batch of n queries. Inside a job only the columns the suite shows are present."""

    text: Strings
    """[n] the query as a user would write it."""
    task: Strings | None = None
    """[n] the data set or task the query comes from."""
    topic: Strings | None = None
    """[n] subject, for reporting; never shown to a router."""
    user: Strings | None = None
    """[n] who asks, by value."""
    preference: Floats | None = None
    """[n] the asker's weight on quality against cost, in [0, 1]."""
    embedding: npt.NDArray[np.float32] | None = None
    """[n, d] precomputed embeddings."""

    def __len__(self) -> int:
        return len(self.text)

    def take(self, rows: Rows) -> Queries:
        """Return the given rows as copies, never views, which would keep the other rows alive."""
        return _take(self, rows)

    def show(self, columns: frozenset[str]) -> Queries:
        """Return the queries with the text and the named columns only."""
        values: dict[str, Any] = {name: getattr(self, name) for name in {"text", *columns}}
        return Queries(**values)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcome of every model on every query: aligned matrices [n, m]."""

    score: Floats
    """Quality of the answer; NaN wherever `state` is not OK."""
    state: Codes
    """A `State` per cell."""
    cost: Floats | None = None
    """USD per call; None when the run has no price source at all."""
    grade: Codes | None = None
    """A `Grade` per cell; None when the suite has scores only."""
    input_tokens: Floats | None = None
    """Prompt tokens; NaN where not recorded."""
    output_tokens: Floats | None = None
    """Answer tokens; NaN where not recorded."""
    latency: Floats | None = None
    """Seconds per call; NaN where not recorded."""
    samples: Floats | None = None
    """[n, m, k] scores of repeated answers, NaN where there are fewer than k; `score` is their
    mean. None where every cell has one answer."""
    relative_cost: Floats | None = None
    """The cost that a user's preference weighs against the score, in [0, 1]; None without users."""
    cached_tokens: Floats | None = None
    """Those of the prompt tokens that the server had cached; None where nothing is recorded."""
    thinking_tokens: Floats | None = None
    """Those of the answer tokens that went into reasoning; None where nothing is recorded."""
    confidence: Floats | None = None
    """The model's own confidence in its answer; None where the run names no such column."""
    verification: Floats | None = None
    """The share of checks, in [0, 1], by which a model passed the answer; None where the run names
    no such column."""

    @property
    def ok(self) -> Mask:
        """Return the cells that may be scored, as a mask [n, m]."""
        mask: Mask = self.state == State.OK
        return mask

    def take(self, rows: Rows) -> Outcomes:
        """Return the given queries, as copies."""
        return _take(self, rows)

    def mean_score(self) -> Floats:
        """Return the mean score [m] of each model over its OK cells; NaN for one without any."""
        return _column_means(self.score, self.ok)

    def mean_cost(self) -> Floats | None:
        """Return the mean cost [m] in USD of each model over its OK cells; None when unpriced."""
        return None if self.cost is None else _column_means(self.cost, self.ok)

    def mean_relative_cost(self) -> Floats:
        """Return the mean relative cost [m] of each model over its OK cells; NaN without any."""
        assert self.relative_cost is not None
        return _column_means(self.relative_cost, self.ok & ~np.isnan(self.relative_cost))


@dataclass(frozen=True, slots=True)
class Pool:
    """The m models that may be chosen, in name order."""

    models: tuple[str, ...]
    input_price: Floats | None = None
    """[m] USD per million prompt tokens; None when there is no price list."""
    output_price: Floats | None = None
    """[m] USD per million answer tokens."""
    size: Floats | None = None
    """[m] billions of parameters; NaN where unknown."""
    description: tuple[str, ...] | None = None
    """[m] what the model's vendor says of it."""
    small: str | None = None
    """The model the suite declares as the small one of a pair."""
    large: str | None = None
    """The model the suite declares as the large one of a pair."""

    def __len__(self) -> int:
        return len(self.models)

    def without_pair(self, models: Iterable[str]) -> Pool:
        """Return the pool that declares none of the given models as small or large."""
        away = {e: None for e in ("small", "large") if getattr(self, e) in set(models)}
        return replace(self, **away)  # type: ignore[arg-type]

    def index(self, model: str, option: str = "model") -> int:
        """Return the position of a model; an `OptionError` naming `option` if it is not there."""
        if model not in self.models:
            raise OptionError(
                f"{option}: no model {model!r} in this pool", did_you_mean(model, self.models)
            )
        return self.models.index(model)


@dataclass(frozen=True, slots=True)
class Users:
    """u people who ask the same queries, each with a weight on quality against cost.

    An answer's reward is w · score − (1 − w) · relative cost: see `data.users.reward`.
    """

    name: Strings
    """[u] who they are, by value."""
    preference: Floats
    """[u] w, in [0, 1]."""
    asked: Mask | None = None
    """[n, u] which of the table's n queries each asked; None where each asked all."""
    unseen: Mask | None = None
    """[u] those whom the suite itself keeps from training."""

    def __len__(self) -> int:
        return len(self.name)

    def take(self, rows: Rows) -> Users:
        """Return the same users on the given queries."""
        return self if self.asked is None else replace(self, asked=self.asked[rows].copy())

    def only(self, users: Rows) -> Users:
        """Return the given users."""
        asked = None if self.asked is None else self.asked[:, users].copy()
        return Users(self.name[users].copy(), self.preference[users].copy(), asked)


@dataclass(frozen=True, slots=True)
class Table:
    """Queries with their outcomes, from which a router learns."""

    queries: Queries
    outcomes: Outcomes
    pool: Pool
    users: Users | None = None
    """Who asked them, for a router that declares `personal = True`. It is then asked with
    `Queries.user` and `Queries.preference`. For all others `outcomes.score` is what an answer
    was worth to those who asked, on average."""
    answers: Bought | None = None
    """All recorded answers, for a router that has `step`; None for all others."""

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of routing itself, per query [n]: the router's own tokens and their cost."""

    input_tokens: Floats
    output_tokens: Floats
    cost: Floats
    """USD."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """A router's answer for a batch of n queries."""

    choice: Ints
    """[n] index into the pool."""
    quality: Floats | None = None
    """[n, m] what is expected of every model: the harness sweeps its trade-off with cost. A
    predicted score at best; for a router of two models the probability that each is the one to
    ask. A column of NaN is a model that the router does not consider."""
    confidence: Floats | None = None
    """[n] probability that the chosen model is right, in [0, 1]."""
    policy: Strings | None = None
    """[n] name of the policy that was applied."""
    reason: Strings | None = None
    """[n] why, in words."""
    usage: Usage | None = None
    """Own tokens and cost; None for a router that calls nothing."""
    asked: Codes | None = None
    """[n, m] the round in which each model was asked, from 1, and 0 for one that was not; set by
    the harness for a router that has `step`. None for one that asks whom it chooses."""
    probability: Floats | None = None
    """[n, m] with which each model was chosen, for a router that learns online; None for one that
    draws nothing."""
    hindsight: Ints | None = None
    """[n] index of the model that the same router would choose had it seen every cell; set by the
    harness of an online run."""


@dataclass(frozen=True, slots=True)
class Grades:
    """A judge's grades of a batch of n answers."""

    score: Floats
    """[n] quality in [0, 1]; NaN where the state is not OK."""
    state: Codes
    """[n] `State.OK`, or `State.UNGRADED` where the judge could not decide."""
    grade: Codes | None = None
    """[n] a `Grade` per answer, for three-state judges."""
    note: Strings | None = None
    """[n] why, in words."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question put to one model."""

    model: str
    prompt: str
    sample: int = 0
    """Tells repeated answers of a model to a prompt apart."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a provider's models to n requests, in their order."""

    text: tuple[str | None, ...]
    """[n] answers; None where none came. A refusal is an answer."""
    input_tokens: Floats
    """[n] prompt tokens; NaN where unknown."""
    output_tokens: Floats
    """[n] answer tokens, those of reasoning included; NaN where unknown."""
    latency: Floats | None = None
    """[n] seconds."""
    note: tuple[str | None, ...] | None = None
    """[n] why no answer came."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply of one call to a live model, and its tokens."""

    text: str
    """The answer; empty where the model refused or said nothing."""
    input_tokens: float = float("nan")
    """Prompt tokens, cached ones included; NaN where the server does not say."""
    output_tokens: float = float("nan")
    """Answer tokens, those of reasoning included; NaN where the server does not say."""
    cached_tokens: float = 0.0
    """Those of `input_tokens` that the server had cached."""
    thinking_tokens: float = 0.0
    """Those of `output_tokens` that went into reasoning."""
    finish: str = "stop"
    """`stop`, `length` (cut short) or `refused`."""
    version: str = ""
    """The exact model that the server says has answered."""
    reasoning: str = ""
    """The text of reasoning that the server sends apart from the answer."""
    miscounted: str = ""
    """Why the server's counts of tokens were set aside, `zero` or `contradictory`; empty where they
    stand, or where it sends none."""
    confidence: float = float("nan")
    """Mean log-probability of the answer's tokens; NaN where it was not asked for, or not sent."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The objective a router optimises: performance · score − cost · normalised cost."""

    performance: float = 1.0
    cost: float = 0.0


@dataclass(frozen=True)
class SuiteData:
    """A loaded suite: all that the parent process knows; no job sees the whole of it."""

    name: str
    source: str
    """`recorded`, `simulated` or `live`; shown wherever a number is shown."""
    queries: Queries
    ids: Strings
    """[n] the suite's own query ids."""
    keys: Strings
    """[n] 16 hex digits that identify a query in the run's files."""
    text_hash: Strings
    """[n] SHA-256 of the normalised text; the rows are sorted by it."""
    outcomes: Outcomes
    pool: Pool
    visible: frozenset[str] = frozenset()
    """Columns out of `HIDEABLE` that routers may see."""
    training_only: frozenset[str] = frozenset()
    """Further ones that they see when they learn, and not when they route."""
    users: Users | None = None
    """The users who ask these queries, in a suite that is scored by their rewards."""
    split: Strings | None = None
    """[n] `train`, `validation` or `test`, where the suite brings its own split."""
    added: Mask | None = None
    """[n] queries that were added to the suite: for training alone, whatever the split."""
    references: Strings | None = None
    """[n] the right answers."""
    time: Floats | None = None
    """[n] when each query was asked, in seconds; NaN where unknown. None where nothing is."""
    answers: Any = None
    """Arrow string array [n · m] of the answers, row by row; null where there is none. The
    first of repeated ones."""
    finals: Any = None
    """Arrow string array [n · m] of the final answers in them; None until they are read."""
    finish_reasons: Any = None
    """Arrow string array [n · m] of why each answer ended; None where nothing is recorded."""
    judge: str | None = None
    """The judge that grades its answers, unless the run names another."""
    answers_as: str | None = None
    """The judge that reads final answers in them, for routers that see answers."""
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2)
    """Train, validation and test of a hash split."""
    ungraded_repeats: int = 0
    """Ungraded answers that are not in `answers`, because another one of their cell is."""
    files: tuple[Path, ...] = ()
    """Files that hold outcomes: jobs are kept away from them."""
    notes: tuple[str, ...] = ()
    """Notes on this data for readers of the board."""

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def measure(self) -> Literal["accuracy", "reward"]:
        """Return the name of the mean score: a reward where users weigh quality against cost."""
        return "accuracy" if self.users is None else "reward"

    def table(self, rows: Rows) -> Table:
        """Return what a router may learn from of the given rows, as a table of copies."""
        return Table(
            self.queries.take(rows).show(self.visible | self.training_only),
            self.outcomes.take(rows),
            self.pool,
            self.users and self.users.take(rows),
        )


def _take(record: _T, rows: Rows) -> _T:
    taken = {
        f.name: value[rows].copy()
        for f in fields(record)  # type: ignore[arg-type]
        if (value := getattr(record, f.name)) is not None
    }
    return replace(record, **taken)  # type: ignore[type-var]


def _column_means(values: Floats, ok: Mask) -> Floats:
    counts = ok.sum(axis=0)
    means: Floats = np.full(len(counts), np.nan)
    np.divide(np.where(ok, values, 0.0).sum(axis=0), counts, out=means, where=counts > 0)
    return means
