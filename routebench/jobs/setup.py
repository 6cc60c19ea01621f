"""The inputs of jobs: router, seed and fold, and the tables they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from routebench.bought import Bought
from routebench.data.perturbations import KINDS, perturb
from routebench.data.splits import TEST, TRAIN, VALIDATION, Split
from routebench.data.users import Asks, few_shot, marginalise
from routebench.encode.encoded import Encoded
from routebench.jobs.entrant import digest
from routebench.jobs.query_batch import QueryBatch
from routebench.names import below
from routebench.online.stream import Stream
from routebench.plugin.discovery import PluginInfo
from routebench.plugin.selection import best_single
from routebench.records import (
    Codes,
    Decisions,
    Ints,
    Mask,
    Objective,
    Outcomes,
    Pool,
    State,
    SuiteData,
    Table,
)
from routebench.steps.recorded import recorded_answers

TRADE_OFFS = (0.0, 0.01, 0.014, 0.02, 0.028, 0.04, 0.057, 0.08, 0.113, 0.16, 0.32, 0.64)
"""Scores that are given up for what one call of the best single model costs."""


@dataclass(frozen=True, eq=False)  # a job is itself: usable as a key, never compared
class Job:
    """A job, described by name: its tables come from the `Setup` shared by all jobs."""

    label: str
    """Name on the board: the plugin's, or `plugin@label`."""
    plugin: PluginInfo
    options: dict[str, Any]
    seed: int
    fold: int
    fingerprint: str
    """Hash of all that can change the decisions; a finished job with another one is redone."""
    starts_processes: bool = False
    """Whether the router declares that it runs programs of its own."""
    personal: bool = False
    """Whether it declares that it learns from users, and is asked for each of them."""
    extensions: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Those that wrap the router, by name, with their options."""
    libraries: tuple[str, ...] = ()
    """Those that its processes import."""
    all_seeds: bool = False
    """Whether its result is that of every seed: its router decides alike for all."""
    effort: float | None = None
    """Seconds it is said to take; None where the router does not say."""
    steps: bool = False
    """Whether it sees answers: it is stepped, not asked to route."""
    trades_off: bool = False
    """Whether it is stepped at every trade-off; at accuracy alone, if not."""
    needs_network: bool = False
    """Whether the router declares that it uses the network."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What it needs, for executors that place jobs on machines."""
    inner_folds: int = 0
    """Inner fits that decide for the choice of points before it is refitted; 0 for none."""
    updates: bool = False
    """Whether it learns online: in such a run it is told what it chose, query by query."""

    @property
    def id(self) -> str:
        """Return a hash of what it does: equal on all machines that would do the same."""
        return digest([self.label, self.seed, self.fold, self.fingerprint])

    @property
    def path(self) -> Path:
        """Return the folder of its results below the run folder's `routers`."""
        return below(Path(), self.label, "router") / f"seed-{self.seed}" / f"fold-{self.fold}"


@dataclass(frozen=True)
class Setup:
    """The data and settings that all jobs of a run share."""

    data: SuiteData
    split: Split
    encoder: str
    encoder_options: dict[str, Any]
    device: str = "cpu"
    objective: Objective = field(default_factory=Objective)
    timeout: float | None = None
    """Seconds for fit and route together; None waits for ever."""
    encoded: Encoded | None = None
    """Vectors of all texts, where the encoder is stateless."""
    encoder_libraries: tuple[str, ...] = ()
    """Those that it imports in a job that uses it."""
    perturb: int = 0
    """Test queries, over all folds, that are also asked in perturbed form."""

    shots: int = 0
    """Training queries by which users unseen in training are known, under that protocol."""
    inner: Codes | None = None
    """[n] the inner fold of each query, where routers are cross-fitted."""
    judged_on: int | None = None
    """Test queries that points are chosen for; by default those of all folds."""
    stream: Stream | None = None
    """The test queries as they arrive, in an online run."""

    @property
    def tested(self) -> int:
        """Return the number of test queries, over all folds, that points are chosen for."""
        if self.judged_on is not None:
            return self.judged_on
        return int(np.count_nonzero(self.split.codes == TEST))

    def rows(self, fold: int, code: int) -> Ints:
        """Return row numbers of one part of a fold's split."""
        return np.flatnonzero(self.split.codes[fold] == code)

    def deciding_rows(self, fold: int, inner_folds: int) -> Ints:
        """Return the rows on whose decisions a router's points are chosen.

        They are those of validation; with inner folds those of train too.
        """
        codes = (TRAIN, VALIDATION) if inner_folds else (VALIDATION,)
        return np.flatnonzero(np.isin(self.split.codes[fold], codes))

    def libraries(self, job: Job) -> tuple[str, ...]:
        """Return the libraries that a job imports."""
        encoder = () if self.encoded else self.encoder_libraries
        named = [encoder if name == "encoder" else (name,) for name in job.libraries]
        return tuple(dict.fromkeys(name for names in named for name in names))

    def tables(self, fold: int, personal: bool = False, steps: bool = False) -> tuple[Table, Table]:
        """Return train and validation, as fresh tables of the visible columns.

        A router that steps gets their answers with them.
        """
        train, validation = (self.table(fold, code, personal) for code in (TRAIN, VALIDATION))
        if steps:
            train = replace(train, answers=self._known_answers(fold, TRAIN))
            validation = replace(validation, answers=self._known_answers(fold, VALIDATION))
        return train, validation

    def learning_tables(self, job: Job) -> tuple[Table, Table]:
        """Return what a job learns from; on a cold start no outcome is in it, texts are."""
        tables = self.tables(job.fold, job.personal, job.steps)
        if not job.updates or self.stream is None or self.stream.settings.start == "warm":
            return tables
        every = np.ones(len(self.data.pool), dtype=np.bool_)
        train, validation = (
            replace(one, outcomes=without_cells(one.outcomes, every)) for one in tables
        )
        return train, validation

    def _known_answers(self, fold: int, code: int) -> Bought:
        answers = recorded_answers(self.data, self.rows(fold, code))
        if self.split.protocol == "llm":
            answers = answers.only(~self.hidden(fold, self.rows(fold, code)))
        return answers

    def trade_offs(self, job: Job) -> tuple[float, ...]:
        """Return the λ, in score per USD, at which a job is stepped: from accuracy alone on.

        They are set by what the best single model costs in training: the last gives up a score
        of more than half for one of its calls.
        """
        if job.updates and self.stream is not None:
            return (self.stream.settings.trade_off,)
        if not job.trades_off or self.data.outcomes.cost is None:
            return (0.0,)
        train, validation = (table.outcomes for table in self.tables(job.fold))
        cost = train.mean_cost()
        assert cost is not None, "a part of a priced table is priced"
        both = Outcomes(
            np.concatenate([train.score, validation.score]),
            np.concatenate([train.state, validation.state]),
        )
        unit = cost[best_single(both, cost)]
        return tuple(float(share / unit) for share in TRADE_OFFS) if unit > 0 else (0.0,)

    def complete(self, fold: int, code: int) -> Mask:
        """Return which rows of a part are stepped: those that every model answered.

        They are known before anything is asked: no router chooses what it is scored on. Of equal
        texts the first is stepped: what is bought for one would be known for the others, unpaid.
        """
        rows = self.rows(fold, code)
        whole = np.flatnonzero(np.logical_and.reduce(self.data.outcomes.ok[rows], axis=1))
        _, first = np.unique(self.data.text_hash[rows[whole]].astype(str), return_index=True)
        stepped: Mask = np.zeros(len(rows), dtype=np.bool_)
        stepped[whole[first]] = True
        return stepped

    def step_batch(self, job: Job) -> QueryBatch:
        """Return the queries that are stepped, shuffled; none of them in another form."""
        validation, test = self._stepped_rows(job)
        none = np.zeros(0, dtype=np.int64)
        everything = self.data.queries.show(self.data.visible)
        return QueryBatch.of(everything, validation, test, none, [job.seed, job.fold])

    def answers(self, job: Job, batch: QueryBatch) -> Bought:
        """Return the recorded answers to the queries of a batch, in its order."""
        return recorded_answers(self.data, np.concatenate(self._stepped_rows(job))[batch.order])

    def _stepped_rows(self, job: Job) -> list[Ints]:
        parts = (VALIDATION, TEST)
        return [self.rows(job.fold, code)[self.complete(job.fold, code)] for code in parts]

    def widened(self, job: Job, code: int, decisions: Decisions) -> Decisions:
        """Return decisions on all queries of a part; on those not stepped nobody is asked.

        They choose the first model, which no score counts.
        """
        stepped = self.complete(job.fold, code)
        changes: dict[str, Any] = {}
        for f in fields(decisions):
            if isinstance(value := getattr(decisions, f.name), np.ndarray):
                empty: Any = "" if value.dtype == object else 0
                whole = np.full((len(stepped), *value.shape[1:]), empty, dtype=value.dtype)
                whole[stepped] = value
                changes[f.name] = whole
        return replace(decisions, **changes)

    def known_table(self, fold: int, rows: Ints) -> Table:
        """Return a fresh table of some rows that a fold learns from, in a suite without users."""
        table = self.data.table(rows)
        if self.split.protocol == "llm":
            away = np.array(table.pool.models, dtype=object)[self.held_out(fold)]
            outcomes = without_cells(table.outcomes, self.hidden(fold, rows))
            table = replace(table, outcomes=outcomes, pool=table.pool.without_pair(away))
        return table

    def table(self, fold: int, code: int, personal: bool = False) -> Table:
        """Return a fold's table of one part; without users for a router that knows none."""
        table = self.known_table(fold, self.rows(fold, code))
        if table.users is None:
            return table
        pool, users = self._pair(fold, table), table.users
        newcomers = np.zeros(len(users), dtype=np.bool_)
        if self.split.protocol == "user":
            newcomers = self.held_out(fold)
        if not personal:
            return marginalise(replace(table, pool=pool, users=users.only(~newcomers)))
        shots = self.shots if code == TRAIN else 0
        known = few_shot(users, newcomers, len(table), shots, fold)
        return replace(table, pool=pool, users=known)

    def _pair(self, fold: int, table: Table) -> Pool:
        """Return the pool with its cheapest and dearest model by what training calls cost users."""
        pool, outcomes = table.pool, self.data.outcomes.take(self.rows(fold, TRAIN))
        if self.split.protocol == "llm":
            outcomes = without_cells(outcomes, self.held_out(fold))
        cost = outcomes.mean_relative_cost()
        known = np.flatnonzero(~np.isnan(cost))
        if not len(known):
            return pool
        low, high = known[cost[known].argmin()], known[cost[known].argmax()]
        return replace(
            pool, small=pool.small or pool.models[low], large=pool.large or pool.models[high]
        )

    def held_out(self, fold: int) -> Mask:
        """Return users or models that a fold keeps from training."""
        assert self.split.held_out is not None
        apart: Mask = self.split.held_out[fold]
        return apart

    def hidden(self, fold: int, rows: Ints) -> Mask:
        """Return [rows, m] the cells of models that a fold keeps from training, but the few."""
        away: Mask = np.broadcast_to(self.held_out(fold), (len(rows), len(self.data.pool)))
        few = self.split.few_shot
        return away if few is None else away & ~few[fold, rows][:, None]

    def asks(self, fold: int) -> Asks:
        """Return the pairs of query and user in the test of a fold, in a suite with users."""
        users = self.data.users
        assert users is not None
        who = np.arange(len(users))
        if self.split.protocol == "user":
            who = who[self.held_out(fold)]
        return Asks.of(self.rows(fold, TEST), who, users.asked)

    def perturbed(self, fold: int) -> Ints:
        """Return test rows of a fold that are also asked in perturbed form."""
        # Rows are sorted by the hash of their text, so the first ones are a random sample.
        return self.rows(fold, TEST)[: -(-self.perturb // len(self.split.codes))]

    def perturbed_texts(self) -> list[str]:
        """Return all perturbed forms that are asked in any fold."""
        rows = np.concatenate([self.perturbed(f) for f in range(len(self.split.codes))])
        return [perturb(self.data.queries.text[row], kind) for row in rows for kind in KINDS]

    def query_batch(self, job: Job) -> QueryBatch:
        """Return the queries without outcomes, in an order shuffled by the seed and fold."""
        if job.personal and self.data.users is not None:
            asks = self.asks(job.fold)
            everything = asks.queries(self.data.queries.show(self.data.visible), self.data.users)
            sample = asks.one_each(self.perturbed(job.fold))
            none = np.zeros(0, dtype=np.int64)
            return QueryBatch.of(
                everything, none, np.arange(len(asks)), sample, [job.seed, job.fold]
            )
        # What a refitted router says of validation tells nothing: it has learned from it.
        none = np.zeros(0, dtype=np.int64)
        return QueryBatch.of(
            self.data.queries.show(self.data.visible),
            none if job.inner_folds else self.rows(job.fold, VALIDATION),
            self.rows(job.fold, TEST),
            self.perturbed(job.fold),
            [job.seed, job.fold],
        )


def without_cells(outcomes: Outcomes, cells: Mask) -> Outcomes:
    """Return the outcomes as if in the given cells, [n, m] or [m], nothing had been asked."""
    changed: dict[str, Any] = {
        f.name: np.where(cells[..., None] if value.ndim == 3 else cells, np.nan, value)
        for f in fields(outcomes)
        if (value := getattr(outcomes, f.name)) is not None and value.dtype.kind == "f"
    }
    changed["state"] = np.where(cells, State.ABSENT, outcomes.state).astype(np.int8)
    if outcomes.grade is not None:
        changed["grade"] = np.where(cells, -1, outcomes.grade).astype(np.int8)
    return Outcomes(**changed)
